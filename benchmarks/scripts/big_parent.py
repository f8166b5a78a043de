"""Run no-op bash jobs from a process with much resident memory, as a notebook kernel with data has.

A run of one job comes before the memory is filled: it loads the modules, whose time says nothing of the size of the process, but a lot of the
processor's caches, which filling the memory has emptied.

Arguments: RESULT MODULE COUNT RESIDENT_MB
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

MB = 1 << 20


def resident_bytes() -> int:
    """Memory of this process that is really in RAM (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def ballast_up_to(resident_mb: int) -> bytearray:
    """Memory, every page of it touched, that brings the process up to `resident_mb`."""
    ballast = bytearray(max(0, resident_mb * MB - resident_bytes()))
    pages = range(0, len(ballast), 4096)
    ballast[::4096] = b"\1" * len(pages)
    return ballast


def main(result: str, module: str, count: int, resident_mb: int) -> None:
    """Time until `b.run(wait=False)` returns, and per job until all have ended."""
    hb = importlib.import_module(module)
    backend = hb.LocalBackend(tmp_dir=tempfile.mkdtemp())
    first = hb.Batch(name="first", backend=backend)
    first.new_job(name="job").command("true")
    first.run()
    ballast = ballast_up_to(resident_mb)
    b = hb.Batch(name="big", backend=backend)
    for number in range(count):
        b.new_job(name=f"job{number}").command("true")
    rss_mb = resident_bytes() / MB
    started_s = time.perf_counter()
    run = b.run() if module == "hailtop.batch" else b.run(wait=False)  # hailtop's always waits and refuses the word
    returned_s = time.perf_counter()
    if run is not None:
        run.wait()
    ended_s = time.perf_counter()
    backend.close()
    values = {
        "run_returns_ms": (returned_s - started_s) * 1000,
        "ms_per_job": (ended_s - started_s) / count * 1000,
        "rss_mb": rss_mb,
        "jobs": count,
    }
    del ballast
    Path(result).write_text(json.dumps(values))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

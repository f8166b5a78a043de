"""Time jobs that write one output file against jobs that write none, and give the difference per job.

Arguments: RESULT MODULE COUNT
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def run_batch(hb: Any, count: int, outputs: Path | None) -> float:  # Any: two modules with one interface
    """Seconds of `b.run()` for `count` jobs; with `outputs` each makes a file and writes it there."""
    backend = hb.LocalBackend(tmp_dir=tempfile.mkdtemp())
    b = hb.Batch(name="outputs", backend=backend)
    for number in range(count):
        j = b.new_job(name=f"job{number}")
        if outputs is None:
            j.command("true")
        else:
            j.command(f"echo {number} > {j.ofile}")
            b.write_output(j.ofile, str(outputs / f"{number}.txt"))
    started_s = time.perf_counter()
    b.run()
    elapsed_s = time.perf_counter() - started_s
    backend.close()
    return elapsed_s


def main(result: str, module: str, count: int) -> None:
    """Run without, with, with, without (so that drift cancels), then check that every file arrived."""
    hb = importlib.import_module(module)
    first, second = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    without_s = run_batch(hb, count, None)
    with_s = run_batch(hb, count, first) + run_batch(hb, count, second)
    without_s += run_batch(hb, count, None)
    for outputs in (first, second):
        arrived = [int((outputs / f"{number}.txt").read_text()) for number in range(count)]
        if arrived != list(range(count)):
            raise SystemExit(f"outputs differ from what the {count} jobs wrote")
    values = {
        "output_ms_per_job": (with_s - without_s) / (2 * count) * 1000,
        "with_output_ms_per_job": with_s / (2 * count) * 1000,
        "without_output_ms_per_job": without_s / (2 * count) * 1000,
        "jobs": count,
    }
    Path(result).write_text(json.dumps(values))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

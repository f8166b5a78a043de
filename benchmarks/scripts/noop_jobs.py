"""Run no-op bash jobs with a hailtop-like batch module and time `b.run()`.

Arguments: RESULT MODULE COUNT independent|chain
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import time
from pathlib import Path


def main(result: str, module: str, count: int, shape: str) -> None:
    """Define `count` jobs that run `true`, each after the one before it in a chain, and time the run."""
    hb = importlib.import_module(module)
    backend = hb.LocalBackend(tmp_dir=tempfile.mkdtemp())
    b = hb.Batch(name="noop", backend=backend)
    previous = None
    for number in range(count):
        j = b.new_job(name=f"job{number}")
        j.command("true")
        if shape == "chain" and previous is not None:
            j.depends_on(previous)
        previous = j
    started_s = time.perf_counter()
    b.run()
    elapsed_s = time.perf_counter() - started_s
    backend.close()
    Path(result).write_text(json.dumps({"jobs_per_s": count / elapsed_s, "jobs": count}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])

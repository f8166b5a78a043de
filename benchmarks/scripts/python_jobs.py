"""Run Python jobs, each in a process of its own, with a hailtop-like batch module and time `b.run()`.

Arguments: RESULT MODULE COUNT
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import time
from pathlib import Path


def double(number: int) -> int:
    """The smallest function with an argument and a result."""
    return 2 * number


def main(result: str, module: str, count: int) -> None:
    """Define `count` calls of `double` and time the run."""
    hb = importlib.import_module(module)
    backend = hb.LocalBackend(tmp_dir=tempfile.mkdtemp())
    b = hb.Batch(name="python", backend=backend)
    for number in range(count):
        b.new_python_job(name=f"job{number}").call(double, number)
    started_s = time.perf_counter()
    b.run()
    elapsed_s = time.perf_counter() - started_s
    backend.close()
    Path(result).write_text(json.dumps({"jobs_per_s": count / elapsed_s, "jobs": count}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

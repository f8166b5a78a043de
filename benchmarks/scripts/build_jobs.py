"""Describe jobs with a hailtop-like batch module, without running them.

Arguments: RESULT MODULE COUNT bash|chain|scatter|python
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any


def bash(b: Any, count: int) -> None:
    """Independent jobs of one command."""
    for number in range(count):
        b.new_job(f"j{number}").command("true")


def chain(b: Any, count: int) -> None:
    """Each job reads the file of the one before."""
    before = b.new_job("j0")
    before.command(f"echo 0 > {before.ofile}")
    for number in range(1, count):
        job = b.new_job(f"j{number}")
        job.command(f"cat {before.ofile} > {job.ofile}")
        before = job


def scatter(b: Any, count: int) -> None:
    """Jobs that make a file each, and one that reads all."""
    jobs = []
    for number in range(count - 1):
        job = b.new_job(f"j{number}")
        job.command(f"echo {number} > {job.ofile}")
        jobs.append(job)
    gather = b.new_job("gather")
    gather.command(f"cat {' '.join([job.ofile for job in jobs])} > {gather.ofile}")


def increment(number: int) -> int:
    """What every Python job calls."""
    return number + 1


def python(b: Any, count: int) -> None:
    """Python jobs of one call."""
    for number in range(count):
        b.new_python_job(f"j{number}").call(increment, number)


def main(result: str, module: str, count: int, shape: str) -> None:
    """Describe a few jobs first, so that imports are not measured, then `count`."""
    hb = importlib.import_module(module)
    build = {"bash": bash, "chain": chain, "scatter": scatter, "python": python}[shape]
    build(hb.Batch(backend=hb.LocalBackend()), 100)
    b = hb.Batch(backend=hb.LocalBackend())
    started_s = time.perf_counter()
    build(b, count)
    elapsed_s = time.perf_counter() - started_s
    Path(result).write_text(json.dumps({"built_jobs_per_s": count / elapsed_s, "jobs": count}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])

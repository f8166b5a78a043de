"""Describe and compile jobs with a file each, many and a tenth as many, without running them.

Arguments: RESULT MODULE COUNT files|chain

us_per_job, us_per_job_of_a_tenth  time of describing and compiling, divided by the number of jobs
bytes_per_job                      what the batch and its specification hold afterwards, of a tenth of the jobs: everything that Python's
                                   allocator gave and did not get back, as tracemalloc counts it; the script keeps no job
peak_bytes_per_job                 the most that was held at any time, counted in the same way
"""

from __future__ import annotations

import gc
import importlib
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shapes import SHAPES  # its neighbour: scripts run in environments that know nothing of this repository


def made(hb: Any, build: Callable[[Any, int], None], count: int) -> tuple[Any, Any]:
    """A batch of so many jobs, and what would run."""
    b = hb.Batch(backend=hb.LocalBackend())
    build(b, count)
    return b, b.compile()


def us_per_job(hb: Any, build: Callable[[Any, int], None], count: int) -> float:
    """Microseconds that one job takes among so many."""
    gc.collect()
    started_s = time.perf_counter()
    held = made(hb, build, count)
    elapsed_s = time.perf_counter() - started_s
    del held
    return elapsed_s * 1e6 / count


def main(result: str, module: str, count: int, shape: str) -> None:
    """Begin with a few jobs, so that imports are not measured."""
    hb = importlib.import_module(module)
    build, tenth = SHAPES[shape], count // 10
    made(hb, build, 100)
    values = {"us_per_job_of_a_tenth": us_per_job(hb, build, tenth), "us_per_job": us_per_job(hb, build, count), "jobs": count}
    gc.collect()
    tracemalloc.start()
    held = made(hb, build, tenth)
    values["peak_bytes_per_job"] = tracemalloc.get_traced_memory()[1] / tenth
    gc.collect()
    values["bytes_per_job"] = tracemalloc.get_traced_memory()[0] / tenth
    del held
    Path(result).write_text(json.dumps(values))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])

"""Make calls of the smallest function with an executor that is warm, one call at a time (`chunksize=1`).

Arguments: RESULT MODULE:CLASS COUNT named|lambda
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

WARM_UP = 50
FIRSTS = 20


def increment(number: int) -> int:
    """The smallest function with an argument and a result."""
    return number + 1


def first_result_ms(pool: Any, function: Any) -> float:
    """Median time from a call to its result, when nothing else is going on."""
    samples = []
    for number in range(FIRSTS):
        started_s = time.perf_counter()
        pool.submit(function, number).result()
        samples.append(1000 * (time.perf_counter() - started_s))
    return median(samples)


def main(result: str, executor: str, count: int, kind: str) -> None:
    """Time `count` calls, and a single one."""
    module, _, name = executor.partition(":")
    function = increment if kind == "named" else lambda number: number + 1
    words = {"max_workers": 2} if module == "concurrent.futures" else {}
    with getattr(importlib.import_module(module), name)(**words) as pool:
        list(pool.map(function, range(WARM_UP)))
        started_s = time.perf_counter()
        values = list(pool.map(function, range(count), chunksize=1))
        elapsed_s = time.perf_counter() - started_s
        assert values == list(range(1, count + 1))
        first_ms = first_result_ms(pool, function)
    Path(result).write_text(json.dumps({"jobs_per_s": count / elapsed_s, "first_result_ms": first_ms, "jobs": count}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])

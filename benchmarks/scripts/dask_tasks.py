"""Run tasks on a dask LocalCluster of `WIDTH` single-threaded workers; its start is not timed.

Arguments: RESULT COUNT WIDTH bash|python
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path


def run_bash(number: int) -> int:
    """A no-op bash process, as the other tools' bash jobs start; dask runs it in a worker that lives on."""
    return subprocess.run(["bash", "-c", "true"], check=True).returncode + number


def double(number: int) -> int:
    """The smallest function with an argument and a result."""
    return 2 * number


def main(result: str, count: int, width: int, kind: str) -> None:
    """Submit `count` tasks that share nothing and time until the last result is here."""
    distributed = importlib.import_module("dask.distributed")
    function = run_bash if kind == "bash" else double
    cluster = distributed.LocalCluster(n_workers=width, threads_per_worker=1, dashboard_address=None, host="127.0.0.1")
    with cluster, distributed.Client(cluster) as client:
        client.gather(client.map(function, range(width), pure=False))
        started_s = time.perf_counter()
        client.gather(client.map(function, range(count), pure=False))
        elapsed_s = time.perf_counter() - started_s
    Path(result).write_text(json.dumps({"jobs_per_s": count / elapsed_s, "jobs": count}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])

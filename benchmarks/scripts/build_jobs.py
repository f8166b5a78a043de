"""Describe jobs with a hailtop-like batch module, without running them.

Arguments: RESULT MODULE COUNT bash|chain|scatter|python
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

from shapes import SHAPES  # its neighbour: scripts run in environments that know nothing of this repository


def main(result: str, module: str, count: int, shape: str) -> None:
    """Describe a few jobs first, so that imports are not measured, then `count`."""
    hb = importlib.import_module(module)
    build = SHAPES[shape]
    build(hb.Batch(backend=hb.LocalBackend()), 100)
    b = hb.Batch(backend=hb.LocalBackend())
    started_s = time.perf_counter()
    build(b, count)
    elapsed_s = time.perf_counter() - started_s
    Path(result).write_text(json.dumps({"built_jobs_per_s": count / elapsed_s, "jobs": count}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])

"""Start a command many times, `width` at a time, with posix_spawn and nothing else: the floor of any job runner.

Arguments: RESULT COUNT WIDTH PROGRAM [ARGUMENT ...]
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def spawn_all(argv: list[str], count: int, width: int) -> None:
    """Keep `width` children alive until `count` have ended; a child that fails ends the loop."""
    started = ended = 0
    while ended < count:
        while started < count and started - ended < width:
            os.posix_spawn(argv[0], argv, os.environ)
            started += 1
        _, status = os.waitpid(-1, 0)
        if status != 0:
            raise SystemExit(f"{argv} ended with wait status {status}")
        ended += 1


if __name__ == "__main__":
    count, width = int(sys.argv[2]), int(sys.argv[3])
    started_s = time.perf_counter()
    spawn_all(sys.argv[4:], count, width)
    elapsed_s = time.perf_counter() - started_s
    Path(sys.argv[1]).write_text(json.dumps({"jobs_per_s": count / elapsed_s, "jobs": count}))

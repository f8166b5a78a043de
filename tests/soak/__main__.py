"""The kill series from the command line; ends with 1 when anything was lost, left behind or done twice."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from hail_batch_jupyter.observe.rundir import RUNS_VARIABLE
from tests.soak.series import Moment, series, table


def main() -> int:
    """Print one line a moment while it goes on, and the table at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--moments", type=int, default=50, help="how often the runner is killed (default: 50); the maker is killed a fifth as often")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="makes graphs and moments, as far as the machine lets it")
    given = parser.parse_args()
    found: list[Moment] = []
    with tempfile.TemporaryDirectory(prefix="hbj-soak-") as folder:
        os.environ[RUNS_VARIABLE] = f"{folder}/runs"
        for moment in series(Path(folder), given.moments, given.seed):
            found.append(moment)
            sys.stderr.write(f"\r{len(found)} moments, {sum(not m.clean for m in found)} of them not clean")
            sys.stderr.flush()
    sys.stdout.write(f"\nseed {given.seed}\n{table(found)}\n")
    return 0 if all(moment.clean for moment in found) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Time `%%batch_job` cells in IPython: defined for the first time, and run again after an edit.

Arguments: RESULT COUNT
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any  # IPython's methods carry no types

from IPython.core.interactiveshell import InteractiveShell


def run_cells(shell: Any, count: int, command: str) -> float:
    """Median milliseconds of a cell, over `count` cells, each of which uses the file of the one before it."""
    times_s = []
    for number in range(count):
        source = "{data}" if number == 0 else f"{{job{number - 1}.out}}"
        cell = f"{command} {source} > {{job{number}.out}}\n"
        started_s = time.perf_counter()
        shell.run_cell_magic("batch_job", f"job{number} --cpu 1 --memory 500Mi", cell)
        times_s.append(time.perf_counter() - started_s)
    return statistics.median(times_s) * 1000


def main(result: str, count: int) -> None:
    """Load the extension, define a chain of jobs, then run every cell again with another command."""
    shell: Any = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "hail_batch_jupyter")
    if "batch_job" not in shell.magics_manager.magics["cell"]:
        raise ImportError("%load_ext hail_batch_jupyter gave no %%batch_job")
    data = Path("data.csv").absolute()
    data.write_text("1,2\n")
    shell.push({"data": data})
    shell.run_line_magic("batch", "cells")
    values = {
        "define_cell_ms": run_cells(shell, count, "sort"),
        "edited_cell_ms": run_cells(shell, count, "sort -r"),
        "cells": count,
    }
    if "job0" not in shell.user_ns:
        raise SystemExit("the cells defined no job")
    Path(result).write_text(json.dumps(values))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

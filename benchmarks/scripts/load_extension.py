"""Time `%load_ext` in IPython, on top of the import of the batch module.

Arguments: RESULT
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell


def main(result: str) -> None:
    """Import the batch module, then load the extension, in a shell that is already there."""
    shell = InteractiveShell.instance()
    imported_s = time.perf_counter()
    importlib.import_module("hail_batch_jupyter.batch")
    started_s = time.perf_counter()
    shell.run_line_magic("load_ext", "hail_batch_jupyter")
    ended_s = time.perf_counter()
    if "batch_run" not in shell.magics_manager.magics["line"]:
        raise ImportError("%load_ext hail_batch_jupyter gave no %batch_run")
    values = {"load_ext_ms": (ended_s - started_s) * 1000, "import_ms": (started_s - imported_s) * 1000}
    Path(result).write_text(json.dumps(values))


if __name__ == "__main__":
    main(sys.argv[1])

"""Where a run comes from: the notebook of this kernel, and the cell of it that runs now."""

from __future__ import annotations

import os
import sys
from typing import Any  # IPython's shell carries no types

CELL_VARIABLE = "HAIL_BATCH_JUPYTER_CELL"
"""Names the cell for a process that runs something again in its place."""


def origin() -> dict[str, str]:
    """'notebook', its file, and 'cell', the id of the cell in it; '' for what is not known, as in a script."""
    return {"notebook": os.environ.get("JPY_SESSION_NAME", ""), "cell": cell_id(_shell()) or os.environ.get(CELL_VARIABLE, "")}


def cell_id(shell: Any) -> str:
    """The id of the cell that is running, '' where the host does not say."""
    parent = getattr(shell, "parent_header", None)
    metadata = parent.get("metadata") if isinstance(parent, dict) else None
    found = metadata.get("cellId") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else ""


def _shell() -> Any:
    """IPython's shell where there is one; nothing is imported for a script."""
    ipython = sys.modules.get("IPython")
    find = getattr(ipython, "get_ipython", None)
    return None if find is None else find()

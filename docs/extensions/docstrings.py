"""Docstrings of this project on the page: its aligned lists of names become definition lists."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_ENTRY = re.compile(r"(\S+(?:,? \S+)*?)(?: \(.*?\))? {2,}(\S.*)")


def definitions(*event: Any) -> None:
    """Turn lines such as `name  what it is` of the event's last part, the docstring, into terms and definitions, in place."""
    lines: list[str] = event[-1]
    made: list[str] = []
    in_list = False
    for line in lines:
        entry = _ENTRY.fullmatch(line) if not line.startswith((" ", ">", "|", ":", "├", "│", "└")) else None
        if entry:
            made += [] if in_list else [""]
            made += [f"``{entry[1]}``", f"  {entry[2]}"]
            in_list = True
        else:
            made += [""] if in_list and line and not line.startswith(" ") else []
            made.append(f"  {line.strip()}" if in_list and line.startswith(" ") else line)
            in_list = in_list and line.startswith(" ")
    lines[:] = made


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's hook."""
    app.connect("autodoc-process-docstring", definitions)
    return {"parallel_read_safe": True}

"""The runner as one file for another machine: the parts that run a batch, which need nothing but Python 3.9."""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

PARTS = (
    *("__init__.py", "errors.py", "cluster", "compile/__init__.py", "compile/call_runner.py", "config", "core", "engine", "executors", "observe", "storage"),
    *(f"client/{name}.py" for name in ("__init__", "calls", "plain", "session", "transport")),
)
_FOLDER = Path(__file__).resolve().parents[2]
_MAIN = "from hail_batch_jupyter.engine.shipped import main\n\nmain()\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Shipment(NamedTuple):
    """The file's name, which is that of its content, and the content."""

    name: str
    data: bytes


@cache
def shipment() -> Shipment:
    """The zipapp of this version; equal sources make equal bytes."""
    files = {"__main__.py": _MAIN.encode()}
    for part in PARTS:
        path = _FOLDER / part
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            files[f"{_FOLDER.name}/{source.relative_to(_FOLDER).as_posix()}"] = source.read_bytes()
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return Shipment(f"runner-{hashlib.sha256(held.getvalue()).hexdigest()[:16]}.pyz", held.getvalue())

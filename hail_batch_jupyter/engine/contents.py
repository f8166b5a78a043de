"""A name for the content of a file or folder, the same on every machine."""

from __future__ import annotations

import hashlib
import os

_BLOCK = 1 << 20


def digest(path: str) -> str:
    """Of a file its bytes, of a folder the names and bytes of all files in it; links count as what they lead to. Raises OSError."""
    if not os.path.isdir(path):
        return _bytes(path)
    total = hashlib.sha256(b"folder\0")
    for folder, names, files in os.walk(path, followlinks=True):
        names.sort()
        for name in sorted(files):
            inside = os.path.join(folder, name)
            total.update(f"{os.path.relpath(inside, path)}\0{_bytes(inside)}\0".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _bytes(path: str) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(_BLOCK):
            found.update(data)
    return found.hexdigest()

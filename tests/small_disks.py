"""File systems that can be filled, which only root can mount."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A file system of that size at a new folder; without the rights to mount the test is skipped."""
    folder.mkdir()
    made = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "small", str(folder)], check=False, capture_output=True)
    if not made or made.returncode:
        pytest.skip("a small file system can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, left_bytes: int = 0) -> Path:
    """Fill it, also what has become free since the last time, but for so much; gives the file that does."""
    path = folder / "filler"
    with contextlib.suppress(OSError), open(path, "ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    if left_bytes:
        os.truncate(path, path.stat().st_size - left_bytes)
    return path

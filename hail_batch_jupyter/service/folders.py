"""What is in a folder of the storage: its files and folders with their sizes, however many there are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from heapq import nsmallest
from pathlib import Path
from typing import NamedTuple

PARTIAL = re.compile(r"\..*\.part", re.DOTALL)
"""Names of files that are being written beside the place where they will be."""
_MOST_FILES = 20_000
"""So many files below the folders of one page are looked at for their sizes."""


class Entry(NamedTuple):
    """A file or folder; `counted` is whether the bytes are all that there are below it."""

    name: str
    folder: bool
    n_bytes: int
    counted: bool
    changed_s: float


def listed(place: Path, after: str, most: int, *, links: bool) -> tuple[list[Entry], bool]:
    """Up to `most` entries with names behind `after`, in the order of names, and whether there are more; `links` says whether links are followed.

    Raises OSError for what is no folder.
    """
    with os.scandir(place) as found:
        first = nsmallest(most + 1, (each.name for each in found if each.name > after and not PARTIAL.fullmatch(each.name)))
    entries, left = [], _MOST_FILES
    for name in first[:most]:
        entry, left = _entry(os.path.join(place, name), name, left, links)
        entries += [entry] if entry is not None else []
    return entries, len(first) > most


def _entry(path: str, name: str, left: int, links: bool) -> tuple[Entry | None, int]:
    """The entry, None for one that is gone, and how many files may still be looked at."""
    try:
        facts = os.stat(path, follow_symlinks=links)
        folder = os.path.isdir(path) and (links or not os.path.islink(path))
    except FileNotFoundError:
        return None, left
    if not folder:
        return Entry(name, False, facts.st_size, True, facts.st_mtime), left
    n_bytes, seen, whole = _below(path, left, links)
    return Entry(name, True, n_bytes, whole, facts.st_mtime), left - seen


def _below(folder: str, most: int, links: bool) -> tuple[int, int, bool]:
    """Bytes of the files below a folder, how many were looked at, and whether these are all."""
    n_bytes = seen = 0
    for path in files_below(folder, links=links):
        if seen >= most:
            return n_bytes, seen, False
        seen += 1
        with suppress(OSError):  # gone, or a link to nothing
            n_bytes += os.stat(path, follow_symlinks=links).st_size
    return n_bytes, seen, True


def files_below(folder: str | Path, *, links: bool) -> Iterator[Path]:
    """The files below a folder in the order of their names, also by links if these are followed; each folder once, however links lead back to it."""
    walked: set[tuple[int, int]] = set()
    for place, below, names in os.walk(folder, followlinks=links):
        below[:] = sorted(each for each in below if not links or _is_new(os.path.join(place, each), walked))
        yield from (Path(place, name) for name in sorted(names) if not PARTIAL.fullmatch(name))


def _is_new(folder: str, walked: set[tuple[int, int]]) -> bool:
    try:
        facts = os.stat(folder)
    except OSError:
        return False
    before = len(walked)
    walked.add((facts.st_dev, facts.st_ino))
    return len(walked) > before

"""What a run uploaded to object stores, and what these said of it, so that a later run need not do it again."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from hail_batch_jupyter.engine.fingerprint import runs_before
from hail_batch_jupyter.engine.stores import bare

_FILE = "written.jsonl"


class Noted(NamedTuple):
    """One upload.

    facts  what the file or folder was then, as `facts_of` tells
    told   name below the destination ('' for a file) -> the version that the store gave to what was written
    """

    facts: str
    told: Mapping[str, str]


class Written:
    """Notes uploads beside the journal of a run; its method may be called from any thread."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / _FILE
        self._lock = threading.Lock()

    def note(self, dest: str, noted: Noted) -> None:
        """Keep what was written to an address, which is noted without its token."""
        line = json.dumps([bare(dest), noted.facts, dict(noted.told)], separators=(",", ":")) + "\n"
        with self._lock, open(self._path, "a", encoding="utf-8") as file:
            file.write(line)


def noted_before(previous: str | None) -> dict[str, Noted]:
    """Address without token -> the newest upload to it by the run `previous` and those before it."""
    found: dict[str, Noted] = {}
    for run in reversed(list(runs_before(previous))):
        try:
            lines = (run.directory / _FILE).read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
        except OSError:
            continue
        for line in lines:
            address, facts, told = json.loads(line)
            found[address] = Noted(facts, told)
    return found


def facts_of(path: str) -> str:
    """What tells whether a file, or one of a folder, has changed since it was uploaded; '' for one that is not there."""
    try:
        facts = os.stat(path)
    except OSError:
        return ""
    if not os.path.isdir(path):
        return f"{facts.st_size}:{facts.st_mtime_ns}"
    inside = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    return hashlib.sha256(repr(sorted((each[len(path) :], facts_of(each)) for each in inside)).encode()).hexdigest()

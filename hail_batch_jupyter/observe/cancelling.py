"""The word to end parts of a run: one JSON line a request in the run directory, which the runner reads while it goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from hail_batch_jupyter.core.ports import CancelRequest
from hail_batch_jupyter.errors import RunLostError

_FILE = "cancel-parts"


def request_parts(directory: Path, jobs: Sequence[int] = (), group: int = 0) -> None:
    """Ask for the end of these jobs, or of a group.

    Raises RunLostError when the run directory is gone.
    """
    line = json.dumps({"jobs": list(jobs), "group": group}, separators=(",", ":")) + "\n"
    try:
        fd = os.open(directory / _FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise RunLostError(f"the run directory {str(directory)!r} is gone; there is nothing left to cancel") from None
    with os.fdopen(fd, "wb") as file:
        file.write(line.encode())


class PartsReader:
    """Reads what was asked for since the last call; costs one failing stat while nobody asks."""

    def __init__(self, directory: Path) -> None:
        self._path = str(directory / _FILE)
        self._offset = 0

    def read(self) -> list[CancelRequest]:
        """The new requests; a half-written last line waits for its rest."""
        try:
            if os.stat(self._path).st_size <= self._offset:
                return []
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self._offset += end
        found = [json.loads(line) for line in data[:end].splitlines()]
        return [CancelRequest(tuple(one["jobs"]), one["group"]) for one in found]

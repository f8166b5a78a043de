"""A run directory on this machine as a BatchPort."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.observe import owner, rundir
from hail_batch_jupyter.observe.cancelling import request_parts
from hail_batch_jupyter.observe.journal import JournalReader

_SHORTEST_S = 0.002
_LONGEST_S = 0.01
_END_EVERY_S = 0.005
_READ_EVERY_S = 0.25
"""So often what is new is read while the end is waited for, so that little is left to read then (7 ms for 1 000 jobs)."""


def path_of_log(directory: Path, job_id: int, attempt: int, container: str) -> Path:
    """Where the log of an attempt lies in a run directory, if there is one."""
    return directory / "logs" / f"{job_id}.{attempt}.{container}.log"


class LocalPort:
    """Reads the journal and the logs; the runner is asked through the file `cancel`.

    Each caller's position is its own: `events` keeps what was read once and answers from there.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._end_mark = str(directory / "ended")
        self._reader = JournalReader(directory / "events.jsonl")
        self._events: list[JobEvent] = []
        self._lock = threading.Lock()
        self._next_read = time.monotonic() + _READ_EVERY_S

    def events(self, after: int, timeout_s: float) -> Sequence[JobEvent]:
        """Events after that number; polls the size of the journal, more rarely the longer nothing comes."""
        deadline = time.monotonic() + timeout_s
        pause_s = _SHORTEST_S
        while True:
            self._take()
            if len(self._events) > after:
                return self._events[after:]
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return []
            time.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, _LONGEST_S)

    def ended(self, timeout_s: float) -> bool:
        """Looks for the file that the runner leaves at its end; costs next to nothing while the run goes on."""
        deadline = time.monotonic() + timeout_s
        while not os.path.exists(self._end_mark):
            now = time.monotonic()
            left_s = deadline - now
            if left_s <= 0:
                return False
            if now >= self._next_read:
                self._next_read = now + _READ_EVERY_S
                self._take()
            time.sleep(min(_END_EVERY_S, left_s))
        return True

    def _take(self) -> None:
        if self._reader.grown():
            with self._lock:
                self._events.extend(self._reader.read())

    def log(self, job_id: int, container: str = "main", attempt: int | None = None, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of one log; the last attempt when none is named."""
        path = self.log_path(job_id, container, attempt)
        if path is None:
            return b""
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size + start) if start < 0 else min(start, size))
            return file.read() if length is None else file.read(length)

    def log_path(self, job_id: int, container: str = "main", attempt: int | None = None) -> Path | None:
        """Where that log lies, None when there is none."""
        self._take()
        if attempt is not None:
            path = path_of_log(self.directory, job_id, attempt, container)
            return path if path.exists() else None
        number = max((event.attempt for event in self._events if event.job_id == job_id), default=1) or 1
        candidates = (path_of_log(self.directory, job_id, tried, container) for tried in range(number, 0, -1))
        return next((path for path in candidates if path.exists()), None)

    def cancel(self, jobs: Sequence[int] | None = None, group: int | None = None) -> None:
        """Leave the word for the runner."""
        if jobs is not None or group is not None:
            request_parts(self.directory, jobs or (), group or 0)
            return
        rundir.request_cancel(self.directory, "cancelled by the user")

    def alive(self) -> bool:
        """Whether the runner lives."""
        return not (self.directory / "ended").exists() and owner.owner_alive(self.directory)

    def delete(self) -> None:
        """Cancel, wait for the runner to let go, remove the directory."""
        self.cancel()
        deadline = time.monotonic() + 30
        while self.alive() and time.monotonic() < deadline:
            time.sleep(_LONGEST_S)
        rundir.remove(self.directory)

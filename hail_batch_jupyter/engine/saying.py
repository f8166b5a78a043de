"""What is done before a run begins, told in its journal where it takes so long that somebody may wonder."""

from __future__ import annotations

import time

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.observe.journal import JournalWriter

_WONDER_S = 0.3


class Saying:
    """Writes a line for people now and then; the first begins the run, at the time when this was made."""

    def __init__(self, journal: JournalWriter, wonder_s: float = _WONDER_S) -> None:
        self._journal = journal
        self._wonder_s = wonder_s
        self._began_ms = int(time.time() * 1000)
        self._phase = "start"
        self._next_s = time.monotonic() + wonder_s

    def __call__(self, words: str) -> None:
        """Tell this, unless something was told a moment ago."""
        if time.monotonic() < self._next_s:
            return
        time_ms = self._began_ms if self._phase == "start" else int(time.time() * 1000)
        self._journal.write(JobEvent(0, time_ms, 0, phase=self._phase, reason=words))
        self._journal.flush()
        self._phase, self._next_s = "note", time.monotonic() + self._wonder_s

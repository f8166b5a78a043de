"""What an executor knows of its calls: which are open, and how many ended in which way."""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.pool_future import BatchPoolFuture


class PoolCounts(NamedTuple):
    """How many calls there are of each kind.

    busy_s     seconds since the first of the calls that were made while others were open, up to now or to the end of the last
    n_in_busy  how many of these have ended
    """

    submitted: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    running: int = 0
    busy_s: float = 0.0
    n_in_busy: int = 0

    @property
    def ended(self) -> int:
        """Calls that are over, however."""
        return self.succeeded + self.failed + self.cancelled


class PoolBook:
    """Counts calls; every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open: dict[BatchPoolFuture, None] = {}
        self._all: weakref.WeakSet[BatchPoolFuture] = weakref.WeakSet()
        self._closed = False
        self._submitted = self._succeeded = self._failed = self._cancelled = self._running = self._ended_before = 0
        self._began_s = self._ended_s = 0.0

    def add(self, future: BatchPoolFuture) -> None:
        """Note a new call.

        Raises RuntimeError after `close`.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError("the BatchPoolExecutor has already been shutdown; make a new one")
            if not self._open:
                self._began_s, self._ended_before = time.monotonic(), self._ended
            self._open[future] = None
            self._all.add(future)
            self._submitted += 1

    def note_begin(self) -> None:
        """Note that a call began; its end is noted with `begun`."""
        with self._changed:
            self._running += 1

    def note_end(self, kind: str, begun: bool) -> None:
        """Note that a call succeeded ('value'), was 'cancelled' or failed (anything else); before it is told, so that who hears of it finds it counted."""
        with self._changed:
            self._running -= begun
            self._succeeded += kind == "value"
            self._cancelled += kind == "cancelled"
            self._failed += kind not in ("value", "cancelled")

    def forget(self, future: BatchPoolFuture) -> None:
        """Note that the end of a call was told."""
        with self._changed:
            self._open.pop(future, None)
            if not self._open:
                self._ended_s = time.monotonic()
                self._changed.notify_all()

    def close(self) -> None:
        """Take no more calls."""
        with self._changed:
            self._closed = True

    @property
    def _ended(self) -> int:
        return self._succeeded + self._failed + self._cancelled

    @property
    def closed(self) -> bool:
        """Whether no more calls are taken."""
        return self._closed

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether, within the time, no call is open."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, timeout_s)

    def open(self) -> list[BatchPoolFuture]:
        """Calls that have not ended, in the order in which they were made."""
        with self._changed:
            return list(self._open)

    def futures(self) -> list[BatchPoolFuture]:
        """Calls that have not ended or that somebody still holds, in the order in which they were made."""
        with self._changed:
            return sorted(self._all, key=lambda future: future.number)

    def counts(self) -> PoolCounts:
        """What there is to tell now."""
        with self._changed:
            busy_s = (time.monotonic() if self._open else self._ended_s) - self._began_s
            n_in_busy = self._ended - self._ended_before
            return PoolCounts(self._submitted, self._succeeded, self._failed, self._cancelled, self._running, busy_s, n_in_busy)

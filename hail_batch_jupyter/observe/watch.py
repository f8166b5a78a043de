"""Telling a listener of news from a thread, no more often than people can see."""

from __future__ import annotations

import threading
from typing import Callable, Protocol

from hail_batch_jupyter.core.events import BatchSnapshot

INTERVAL_S = 0.25
_QUIET_S = 1.0


class _Source(Protocol):
    def snapshot(self, newer_than: int | None = None, timeout_s: float = 0.0) -> BatchSnapshot: ...


def watch(source: _Source, listener: Callable[[BatchSnapshot], None]) -> Callable[[], None]:
    """Start the thread; it ends with the run or when the function that is returned is called. An exception of the listener ends it."""
    stopped = threading.Event()

    def loop() -> None:
        seq = -1
        while not stopped.is_set():
            snapshot = source.snapshot(seq, _QUIET_S)
            if stopped.is_set():
                return
            if snapshot.seq > seq:
                seq = snapshot.seq
                listener(snapshot)
            if snapshot.ended_ms is not None:
                return
            stopped.wait(INTERVAL_S)

    thread = threading.Thread(target=loop, name="hail-batch-jupyter-watch", daemon=True)
    thread.start()

    def stop() -> None:
        stopped.set()
        if threading.current_thread() is not thread:
            thread.join(timeout=_QUIET_S + 2 * INTERVAL_S)

    return stop

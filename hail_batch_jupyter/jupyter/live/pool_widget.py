"""The progress of an executor's calls as a widget that is put where the user wants it."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any  # ipywidgets carry no types

from hail_batch_jupyter.jupyter.live.pool_view import INTERVAL_S, pool_html
from hail_batch_jupyter.jupyter.live.publisher import PUBLISHER

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.pool_book import PoolCounts


@functools.cache
def _widget_class() -> Any:
    """The widget's class; made, and ipywidgets imported, when the first is asked for."""
    import traitlets
    from ipywidgets import HTML

    class PoolProgress(HTML):  # type: ignore[misc]  # ipywidgets carries no types
        """One line with a bar, brought up to date while calls are open.

        counts   calls by word: 'submitted', 'succeeded', 'failed', 'cancelled', 'running'      state   'running' or 'idle'
        """

        counts = traitlets.Dict()
        state = traitlets.Unicode("idle")

    return PoolProgress


class PoolTeller:
    """Keeps the widget of one executor up to date."""

    def __init__(self, name: str, counts: Callable[[], PoolCounts]) -> None:
        self.title = f"executor {name}"
        self.widget = _widget_class()()
        self._name, self._counts = name, counts
        self._lock = threading.Lock()
        self._watched = False
        self._told_s = 0.0
        self.flush()

    def touch(self) -> None:
        """Note that a call was made: the widget moves from now on."""
        if not self._watched:
            self._watched = True
            PUBLISHER.watch(self, self._end_watch)

    @property
    def ended(self) -> bool:
        """Whether no call is open, told or not."""
        counts = self._counts()
        return counts.ended >= counts.submitted

    def tick(self) -> bool:
        """Bring the widget up to date if it is time; False when no call is open."""
        if time.monotonic() - self._told_s >= INTERVAL_S:
            self.flush()
        return not self.ended

    def flush(self) -> None:
        """Bring the widget up to date now."""
        with self._lock:
            counts, widget = self._counts(), self.widget
            self._told_s = time.monotonic()
            widget.value = pool_html(self._name, counts)
            words = ("submitted", "succeeded", "failed", "cancelled", "running")
            widget.counts = {word: getattr(counts, word) for word in words if getattr(counts, word)}
            widget.state = "running" if counts.ended < counts.submitted else "idle"

    def _end_watch(self) -> None:
        self._watched = False
        self.flush()
        if not self.ended:  # a call was made since the tick
            self.touch()

"""The one thread that tells every widget of this process what is new."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from typing import Protocol

from hail_batch_jupyter.errors import BatchException

INTERVAL_S = 0.26
"""A little more than a quarter of a second, so that no second sees more than four messages of a run."""


class Telling(Protocol):
    """What tells about something that goes on."""

    @property
    def title(self) -> str:
        """What it tells about."""

    @property
    def ended(self) -> bool:
        """Whether that is over, told or not."""

    def tick(self) -> bool:
        """Tell what is new; False when that has ended."""


class Publisher:
    """Ticks feeds until what they tell about has ended; the thread sleeps while there is nothing to watch.

    Nothing is printed from the thread: output of threads lands under whatever cell ran last.
    """

    def __init__(self) -> None:
        self._feeds: dict[Telling, Callable[[], None]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def watch(self, feed: Telling, ended: Callable[[], None]) -> None:
        """Tick the feed from now on; `ended` is called once, on the thread, when that has ended and all is told."""
        with self._changed:
            self._feeds[feed] = ended
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="hail-batch-jupyter-publisher", daemon=True)
                self._thread.start()
                atexit.register(self.stop)
            self._changed.notify()

    def finish_ended(self, *_: object) -> None:
        """Tell at once all there is of what has ended, so that what is saved with a cell that waited for it is its end."""
        for feed in list(self._feeds):
            while feed in self._feeds and feed.ended:
                self._tick(feed)

    def stop(self) -> None:
        """End the thread; what it was telling stays as it is."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._feeds) or self._stopped)
                self._changed.wait_for(lambda: self._stopped, timeout=INTERVAL_S)
                if self._stopped:
                    return
                feeds = list(self._feeds)
            for feed in feeds:
                self._tick(feed)

    def _tick(self, feed: Telling) -> None:
        try:
            if feed.tick():
                return
            self._forget(feed)()
        except BatchException as error:
            self._forget(feed)
            logging.getLogger(__name__).error("%s is no longer shown live: %s; %%batch_attach shows a run again", feed.title, error)
        except Exception:  # the edge of a thread: other runs are still to be told
            self._forget(feed)
            logging.getLogger(__name__).exception("%s is no longer shown live; %%batch_attach shows a run again", feed.title)

    def _forget(self, feed: Telling) -> Callable[[], None]:
        with self._changed:
            return self._feeds.pop(feed, _nothing)


def _nothing() -> None:
    """For a feed that was forgotten already."""


PUBLISHER = Publisher()

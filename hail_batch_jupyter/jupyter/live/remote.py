"""The widget's conversation without a kernel: pages ask again and again, and are told what a feed has for them."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hail_batch_jupyter.jupyter.live.deeds import retry_apart
from hail_batch_jupyter.jupyter.live.feed import Feed
from hail_batch_jupyter.jupyter.live.graph import Message
from hail_batch_jupyter.jupyter.server.runlist import own_run
from hail_batch_jupyter.observe.attach import attach
from hail_batch_jupyter.observe.running import RunningBatch

MAX_LINES = 16
FORGOTTEN_S = 120.0
_MAX_LETTERS = 64
_MAX_ASKED = 4
_PAGE = re.compile(r"[A-Za-z0-9-]{1,64}")


class Turn(NamedTuple):
    """What a page says; `page` is its own random name."""

    page: str
    messages: list[Message]


def turn_of(body: object) -> Turn | None:
    """The turn in what a page has sent, None when it is none."""
    page, messages = (body.get("page"), body.get("messages")) if isinstance(body, dict) else (None, None)
    if not isinstance(page, str) or not _PAGE.fullmatch(page) or not isinstance(messages, list):
        return None
    return Turn(page, [message for message in messages if isinstance(message, dict)])


class _Line:
    """One page that shows one run, and what it is to be told next."""

    def __init__(self, running: RunningBatch) -> None:
        self.lock = threading.Lock()
        self.used_s = time.monotonic()
        self._outbox: list[Message] = []
        self._feed = Feed(running, self._put, retry=retry_apart)

    def _put(self, content: Message, buffer: bytes | None) -> None:
        self._outbox.append({"content": content, "buffer": None if buffer is None else base64.b64encode(buffer).decode()})

    def converse(self, messages: Sequence[Message]) -> list[Message]:
        """What there is to tell after these messages; all of it when it was told nothing before."""
        with self.lock:
            self.used_s = time.monotonic()
            for message in messages:
                self._feed.receive(message)
            if not self._feed.heard:
                self._feed.heard = True
                self._feed.tell_all()
            self._tick()
            told, self._outbox = self._outbox, []
            return told

    def _tick(self) -> None:
        """Take all changes that wait: the page's own pace bounds the rate."""
        for _ in range(_MAX_LETTERS):
            count = len(self._outbox)
            self._feed.tick()
            if len(self._outbox) == count:
                return


class Lines:
    """The pages that show runs; those that went silent are forgotten, and told everything when they come back."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], _Line] = {}
        self._lock = threading.Lock()

    def converse(self, run_id: str, page: str, messages: Sequence[Message], attach_to: Callable[[], RunningBatch]) -> list[Message]:
        """Hand the page's messages to the feed of the run, and give what it says: [{'content', 'buffer' in base64}].

        Raises what `attach_to` raises, which is asked for the run of a new page.
        """
        with self._lock:
            line = self._lines.pop((run_id, page), None)
        if line is None:
            line = _Line(attach_to())
        with self._lock:
            self._lines[run_id, page] = line
            self._forget()
        return line.converse(messages)

    def forget(self, run_id: str) -> None:
        """Drop all that is held of a run."""
        with self._lock:
            self._lines = {key: line for key, line in self._lines.items() if key[0] != run_id}

    def _forget(self) -> None:
        now_s = time.monotonic()
        kept = [(key, line) for key, line in self._lines.items() if now_s - line.used_s < FORGOTTEN_S]
        self._lines = dict(kept[-MAX_LINES:])


class Remote(Lines):
    """The pages that show runs of this user without a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: dict[str, RunningBatch] = {}

    def tell(self, run_id: str, page: str, messages: Sequence[Message]) -> list[Message]:
        """As `converse`; raises RunLostError when there is no such run of this user."""
        own_run(run_id)
        return self.converse(run_id, page, messages, lambda: attach(run_id))

    def running(self, run_id: str) -> RunningBatch:
        """The handle for single questions about a run; that of the last few runs is kept, so that its journal is not read again.

        Raises RunLostError when there is no such run of this user.
        """
        own_run(run_id)
        with self._lock:
            running = self._asked.pop(run_id, None)
        if running is None:
            running = attach(run_id)
        with self._lock:
            self._asked[run_id] = running
            self._asked = dict(list(self._asked.items())[-_MAX_ASKED:])
        return running

    def forget(self, run_id: str) -> None:
        """Drop all that is held of a run."""
        super().forget(run_id)
        with self._lock:
            self._asked.pop(run_id, None)

"""What the widgets of one run are told, and when: from snapshots to the messages of the protocol. Knows neither comm nor thread."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from hail_batch_jupyter.core.events import BatchSnapshot, JobView
from hail_batch_jupyter.core.state import BROKEN
from hail_batch_jupyter.jupyter.live import answers, deeds
from hail_batch_jupyter.jupyter.live.graph import MAX_CHANGES_BYTES, VERSION, Graph, Message, changes_messages, graph_of, snapshot_message, states_of
from hail_batch_jupyter.jupyter.words import note_text
from hail_batch_jupyter.observe.running import RunningBatch

HIDDEN_S = 1.0
MAX_FAILURES = 20
TAIL_CHARACTERS = 1500
_FAILURES_BYTES = 5500
_LOST_EVERY_S = 2.0

Send = Callable[[Message, bytes | None], None]
Follow = Callable[[BatchSnapshot], None]


class Feed:
    """One run and the pages (widgets, tabs) that show it; every method may be called from any thread.

    A page is the function that sends to it. Messages go to every page in the order of their numbers; what one asks is answered to it alone. A tick sends one
    message at most to each, so that who ticks bounds the rate, and calls what pages follow the run with. `retry` is how a run is retried from here.
    """

    def __init__(self, running: RunningBatch, *pages: Send, retry: answers.Retry = deeds.retry) -> None:
        self.running = running
        self._retry = retry
        self.heard = False
        self._visible = dict.fromkeys(pages, True)
        self._followers: dict[Send, Follow] = {}
        self._followed_seq = -1
        self._lock = threading.RLock()
        self._answering = threading.Lock()
        self._graph: Graph | None = None
        self._seq = 0
        self._told: bytes | None = None
        self._told_clock: tuple[Any, ...] = ()
        self._told_note = ""
        self._failures: dict[int, Message] = {}
        self._cancelling = False
        self._last_s = 0.0
        self._looked_s = 0.0

    @property
    def graph(self) -> Graph:
        """The part that never changes, made when first needed."""
        if self._graph is None:
            self._graph = graph_of(self.running.spec)
        return self._graph

    def join(self, page: Send, follow: Follow | None = None) -> None:
        """Tell this page from now on too; `follow` is called with every snapshot that has something new."""
        with self._lock:
            self._visible[page] = True
            if follow is not None:
                self._followers[page] = follow
                self._followed_seq = -1

    def leave(self, page: Send) -> None:
        """Tell this page nothing any more."""
        with self._lock:
            self._visible.pop(page, None)
            self._followers.pop(page, None)

    def _send(self, content: Message, buffer: bytes | None) -> None:
        for page in list(self._visible):
            page(content, buffer)

    def _follow(self, snapshot: BatchSnapshot) -> None:
        if snapshot.seq == self._followed_seq:
            return
        self._followed_seq = snapshot.seq
        for follow in list(self._followers.values()):
            try:
                follow(snapshot)
            except Exception:  # what users observe may raise anything; the others are told all the same
                logging.getLogger(__name__).exception("what observes a view of %s failed", self.title)

    def _tell_one(self, page: Send) -> None:
        """Send a snapshot of what all know to a page that comes later, or missed something."""
        if self._told is None:
            self.tell_all()
            return
        with self._lock:
            snapshot = self.running.snapshot()
            head = self._head(snapshot)
            if self._told != states_of(snapshot.jobs):
                head["clock"] = _unfinished(head["clock"])
            page(*snapshot_message(self._seq, head, self.graph, self._told, list(self._failures.values())))

    def tell_all(self) -> None:
        """Send a snapshot to every page."""
        with self._lock:
            snapshot = self.running.snapshot()
            states = states_of(snapshot.jobs)
            self._note_failures(snapshot)
            self._seq += 1
            content, buffer = snapshot_message(self._seq, self._head(snapshot), self.graph, states, list(self._failures.values()))
            self._told, self._told_clock, self._told_note = states, _moving(self._clock(snapshot)), content["run"]["note"]
            self._send(content, buffer)

    @property
    def title(self) -> str:
        """What it tells about."""
        return f"run {self.running.id}"

    @property
    def ended(self) -> bool:
        """Whether the run is over, told or not."""
        return self.running.snapshot().ended_ms is not None

    def tick(self) -> bool:
        """Send what changed, if anything and if it is time; gives False when the run has ended and all is told."""
        with self._lock:
            now_s = time.monotonic()
            snapshot = self._looked(now_s)
            self._follow(snapshot)
            ended = snapshot.ended_ms is not None
            if self._told is None:
                return not ended
            if not ended and not any(self._visible.values()) and now_s - self._last_s < HIDDEN_S:
                return True
            if note_text(self.running, snapshot) != self._told_note:
                self._last_s = now_s
                self.tell_all()
                return not ended
            return self._tell_changes(snapshot, now_s) or not ended

    def _looked(self, now_s: float) -> BatchSnapshot:
        """The snapshot; a run without news is checked for a killed runner now and then."""
        snapshot = self.running.snapshot()
        if snapshot.ended_ms is not None or now_s - self._looked_s < _LOST_EVERY_S:
            return snapshot
        self._looked_s = now_s
        if not self.running.alive():
            self.running.close_if_dead()
        return self.running.snapshot()

    def _tell_changes(self, snapshot: BatchSnapshot, now_s: float) -> bool:
        """Send one message of changes; gives whether more of them wait."""
        assert self._told is not None
        new_failures = self._note_failures(snapshot)
        states, clock = states_of(snapshot.jobs), self._clock(snapshot)
        if states == self._told and _moving(clock) == self._told_clock and not new_failures:
            return False
        failures = fitting(list(self._failures.values()))
        limit = MAX_CHANGES_BYTES - len(json.dumps(failures).encode())
        content, buffer = next(changes_messages(self._seq, clock, failures, self._told, states, limit))
        self._told = applied(self._told, content, buffer)
        if self._told != states:
            content["clock"] = clock = _unfinished(clock)
        self._seq, self._told_clock, self._last_s = content["seq"], _moving(clock), now_s
        self._send(content, buffer)
        return self._told != states

    def _note_failures(self, snapshot: BatchSnapshot) -> bool:
        """Keep the first MAX_FAILURES failures; gives whether there is a new one."""
        known = len(self._failures)
        for number, view in enumerate(snapshot.jobs):
            if len(self._failures) >= MAX_FAILURES:
                break
            if view.state in BROKEN and number not in self._failures:
                self._failures[number] = self._failure(number, view)
        return len(self._failures) > known

    def _failure(self, number: int, view: JobView) -> Message:
        name = self.running.spec.job(view.job_id).display_name
        tail = self.running.log_tail(view.job_id, 10)[-TAIL_CHARACTERS:]
        return {"job": number, "name": name, "state": view.state.value, "exit_code": view.exit_code, "reason": view.reason, "tail": tail}

    def _head(self, snapshot: BatchSnapshot) -> Message:
        run = self.running
        head = {"id": str(run.id), "name": run.name, "backend": run.backend, "runs_on": run.runs_on}
        return {**head, "clock": self._clock(snapshot), "note": note_text(run, snapshot)}

    def _clock(self, snapshot: BatchSnapshot) -> Message:
        ended = snapshot.ended_ms is not None
        return {
            "state": snapshot.state.value,
            "complete": ended,
            "lost": snapshot.lost,
            "started_ms": snapshot.started_ms,
            "ended_ms": snapshot.ended_ms,
            "now_ms": int(time.time() * 1000),
            "cost_usd": snapshot.cost_usd,
            "cost_text": self.running.cost_text(),
            "cancelling": (self._cancelling or snapshot.cancelled) and not ended,
        }

    def receive(self, content: Message, page: Send | None = None) -> None:
        """Handle a message of a page, the first where there is but one; what is not of the protocol is ignored."""
        kind = content.get("kind")
        page = page or next(iter(self._visible))
        if kind == "hello" and content.get("version") == VERSION:
            self.heard = True
            self._tell_one(page)
        elif kind == "need":
            self._tell_one(page)
        elif kind == "visible":
            self._visible[page] = bool(content.get("visible"))
        elif kind == "job":
            page(*answers.answer(self.running, content))
        elif kind == "cancel":
            self._answer_deed(content, page)
        elif kind in answers.KINDS or kind == "retry":
            threading.Thread(target=self._answer_apart, args=(content, page), name="hail-batch-jupyter-answer", daemon=True).start()

    def _answer_apart(self, content: Message, page: Send) -> None:
        """Answer what may take a while, on a thread of its own, so that the kernel's next message does not wait."""
        with self._answering:
            if content["kind"] == "retry":
                self._answer_deed(content, page)
            else:
                page(*answers.answer(self.running, content))

    def _answer_deed(self, content: Message, page: Send) -> None:
        answer = answers.carry_out(self.running, content, self._retry)
        if content["kind"] == "cancel" and answer["ok"] and not answers.names_part(content):
            self._cancelling = True
        page(answer, None)


def fitting(failures: Sequence[Message]) -> list[Message]:
    """The failures with tails so short that all of them together fit into a message of changes."""
    size = len(json.dumps(failures).encode())
    if size <= _FAILURES_BYTES:
        return list(failures)
    each = _FAILURES_BYTES // len(failures)
    return [_shortened(failure, each) for failure in failures]


def _shortened(failure: Message, limit_bytes: int) -> Message:
    short = {**failure, "name": failure["name"][:60], "reason": failure["reason"][:60]}
    while short["tail"] and len(json.dumps(short).encode()) > limit_bytes:
        short["tail"] = short["tail"][len(short["tail"]) // 4 + 1 :]
    return short


def _unfinished(clock: Message) -> Message:
    """The clock of a run whose last changes are still to be told."""
    return {**clock, "complete": False, "ended_ms": None}


def _moving(clock: Message) -> tuple[Any, ...]:
    """The part of a clock that does not run by itself."""
    return tuple(value for key, value in clock.items() if key != "now_ms")


def applied(states: bytes, content: Message, buffer: bytes) -> bytes:
    """All states after a message of changes."""
    after, k = bytearray(states), content["k"]
    first = memoryview(buffer)[: 4 * k].cast("I")
    if content["form"] == "single":
        for job, state in zip(first, buffer[4 * k :], strict=True):
            after[job] = state
    else:
        counts = memoryview(buffer)[4 * k : 8 * k].cast("I")
        for job, count, state in zip(first, counts, buffer[8 * k :], strict=True):
            after[job : job + count] = bytes([state]) * count
    return bytes(after)

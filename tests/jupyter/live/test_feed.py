from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.jupyter.live.feed import Feed, applied
from hail_batch_jupyter.jupyter.live.graph import STATE_CODES
from hail_batch_jupyter.jupyter.live.publisher import Publisher
from tests.conftest import wait_until

READY, RUNNING, SUCCESS, FAILED = JobState.READY, JobState.RUNNING, JobState.SUCCESS, JobState.FAILED
Told = Callable[..., tuple[Any, Any]]


class Page:
    """Hears a feed and keeps the states as the browser does."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.states = b""
        self.seq = 0

    def hear(self, content: dict[str, Any], buffer: bytes | None) -> None:
        size = len(json.dumps(content)) + len(buffer or b"")
        self.heard.append(content)
        if content["kind"] == "snapshot":
            self.seq = content["seq"]
            self.states = bytes(content["n"])
        elif content["kind"] == "changes":
            assert size <= 10_000
            assert content["from"] == self.seq
            self.seq = content["seq"]
            self.states = applied(self.states, content, buffer or b"")

    @property
    def last(self) -> dict[str, Any]:
        return self.heard[-1]


def feed_of(run: Any) -> tuple[Feed, Page]:
    page = Page()
    return Feed(run, page.hear), page


def codes(*states: JobState) -> bytes:
    return bytes([STATE_CODES[state] for state in states])


def test_hello_is_answered_by_a_snapshot_and_then_changes_follow(told_run: Told) -> None:
    run, port = told_run(("a", ()), ("b", (1,)))
    feed, page = feed_of(run)
    feed.receive({"kind": "hello", "version": 1})
    port.tell(1, READY)
    port.tell(1, RUNNING, 1)

    assert feed.tick()

    assert [message["kind"] for message in page.heard] == ["snapshot", "changes"]
    assert page.states == codes(RUNNING, JobState.PENDING)
    assert feed.heard


def test_nothing_is_said_when_nothing_is_new_or_nobody_listens(told_run: Told) -> None:
    run, port = told_run(("a", ()))
    feed, page = feed_of(run)
    port.tell(1, READY)

    feed.tick()
    assert page.heard == []
    feed.tell_all()
    feed.tick()

    assert len(page.heard) == 1


def test_a_gap_is_healed_by_a_snapshot(told_run: Told) -> None:
    run, _ = told_run(("a", ()))
    feed, page = feed_of(run)
    feed.tell_all()

    feed.receive({"kind": "need"})

    assert [message["kind"] for message in page.heard] == ["snapshot", "snapshot"]


def test_the_end_is_told_once_and_the_feed_ends(told_run: Told) -> None:
    run, port = told_run(("a", ()))
    feed, page = feed_of(run)
    feed.tell_all()
    for state in (READY, RUNNING, SUCCESS):
        port.tell(1, state, 1)
    port.tell(0, phase="end")

    assert not feed.tick()
    assert not feed.tick()

    assert len(page.heard) == 2
    assert page.last["clock"]["complete"]
    assert page.last["clock"]["state"] == "success"


def test_a_hidden_page_is_told_once_a_second_but_of_the_end_at_once(told_run: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("hail_batch_jupyter.jupyter.live.feed.time.monotonic", lambda: now[0])
    run, port = told_run(("a", ()), ("b", ()), ("c", ()))
    feed, page = feed_of(run)
    feed.tell_all()
    feed.receive({"kind": "visible", "visible": False})
    counts = []
    for job, seconds in ((1, 0.0), (2, 0.3), (3, 0.8)):
        now[0] += seconds
        port.tell(job, READY)
        feed.tick()
        counts.append(len(page.heard))
    port.tell(0, phase="end")
    feed.tick()

    assert counts == [2, 2, 3]
    assert len(page.heard) == 4


def test_many_changes_are_spread_over_ticks_and_the_end_comes_with_the_last(told_run: Told) -> None:
    run, port = told_run(*[(f"j{number}", ()) for number in range(6000)])
    feed, page = feed_of(run)
    feed.tell_all()
    for job in range(1, 6001):
        port.tell(job, READY)
        if job % 2:
            port.tell(job, RUNNING, 1)
            port.tell(job, SUCCESS, 1)
    port.tell(0, phase="end")
    ticks = 1
    while feed.tick():
        ticks += 1

    assert ticks > 2
    assert [message["clock"]["complete"] for message in page.heard[1:]] == [False] * (len(page.heard) - 2) + [True]
    assert page.states == codes(SUCCESS, READY) * 3000


def test_failures_come_with_the_end_of_their_logs_and_fit_into_a_message(told_run: Told) -> None:
    run, port = told_run(*[(f"j{number}", ()) for number in range(30)])
    feed, page = feed_of(run)
    feed.tell_all()
    for job in range(1, 31):
        port.logs[job] = b"x\xc3\xa9\n" * 5000 + f"last words of {job}\n".encode()
        port.tell(job, READY)
        port.tell(job, RUNNING, 1)
        port.tell(job, FAILED, 1, exit_code=7, reason="out of memory")

    feed.tick()

    failures = page.last["failures"]
    assert [failure["job"] for failure in failures] == list(range(20))
    assert failures[0]["exit_code"] == 7
    assert failures[3]["reason"] == "out of memory"
    assert all(failure["tail"].endswith(f"last words of {number}") for number, failure in enumerate(failures, 1))


def test_cancelling_is_asked_for_and_said(told_run: Told) -> None:
    run, port = told_run(("a", ()))
    feed, page = feed_of(run)
    feed.tell_all()

    feed.receive({"kind": "cancel", "request": 3})
    assert page.last == {"kind": "answer", "request": 3, "ok": True, "text": "The run is being cancelled"}
    feed.tick()

    assert port.cancelled
    assert page.last["clock"]["cancelling"]


def test_details_of_a_job_are_answered_and_a_job_that_is_not_there_is_refused(told_run: Told) -> None:
    run, port = told_run(("a", ()))
    port.logs[1] = b"hello\n"
    feed, page = feed_of(run)

    feed.receive({"kind": "job", "request": 1, "job": 0})
    detail = page.last["detail"]
    feed.receive({"kind": "job", "request": 2, "job": 9})

    assert (detail["name"], detail["command"], detail["job_id"], detail["logs"]) == ("a", "/bin/bash -c true", 1, [[1, ["main"]]])
    assert page.last == {"kind": "answer", "request": 2, "ok": False, "text": "job: this run has no job 9"}


@pytest.mark.parametrize("content", [{}, {"kind": "what"}, {"kind": "hello", "version": 9}, {"kind": "job", "job": "x", "request": 1}])
def test_what_is_not_of_the_protocol_breaks_nothing(told_run: Told, content: dict[str, Any]) -> None:
    run, _ = told_run(("a", ()))
    feed, page = feed_of(run)

    feed.receive(content)

    assert [message["kind"] for message in page.heard] == (["answer"] if content.get("kind") == "job" else [])


def test_a_note_of_the_run_comes_with_a_new_snapshot(told_run: Told) -> None:
    run, port = told_run(("a", ()))
    feed, page = feed_of(run)
    feed.tell_all()
    port.tell(0, phase="start", reason="1 of 1 jobs taken over from the run of 10:31")

    feed.tick()

    assert page.last["run"]["note"] == "1 of 1 jobs taken over from the run of 10:31"


def test_the_publisher_ticks_until_the_end_and_says_so_once(told_run: Told) -> None:
    run, port = told_run(("a", ()))
    feed, page = feed_of(run)
    feed.tell_all()
    ended = threading.Event()
    publisher = Publisher()
    publisher.watch(feed, ended.set)
    for state in (READY, RUNNING, SUCCESS):
        port.tell(1, state, 1)
    port.tell(0, phase="end")

    assert ended.wait(90)
    publisher.stop()
    assert page.last["clock"]["complete"]


def test_an_ended_run_is_told_before_the_cell_ends(told_run: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hail_batch_jupyter.jupyter.live.publisher.INTERVAL_S", 600)
    run, port = told_run(("a", ()))
    feed, page = feed_of(run)
    feed.tell_all()
    ends: list[bool] = []
    publisher = Publisher()
    publisher.watch(feed, lambda: ends.append(page.last["clock"]["complete"]))
    for state in (READY, RUNNING, SUCCESS):
        port.tell(1, state, 1)

    publisher.finish_ended()
    assert ends == []
    port.tell(0, phase="end")
    publisher.finish_ended()

    assert ends == [True]
    publisher.stop()


def test_a_run_of_which_nothing_is_heard_any_more_is_one_sentence(told_run: Told, caplog: pytest.LogCaptureFixture) -> None:
    def lost(after: int, timeout_s: float) -> list[JobEvent]:
        raise RunLostError("the journal cannot be read; free space")

    running, port = told_run(("a", ()))
    feed, _ = feed_of(running)
    feed.tell_all()
    port.events = lost  # type: ignore[method-assign]
    publisher = Publisher()
    publisher.watch(feed, lambda: None)

    wait_until(lambda: "is no longer shown live: the journal cannot be read; free space; %batch_attach shows a run again" in caplog.text)
    publisher.stop()
    assert "Traceback" not in caplog.text


def test_a_run_that_cannot_be_told_does_not_stop_the_others(told_run: Told, caplog: pytest.LogCaptureFixture) -> None:
    broken, broken_port = told_run(("a", ()))
    feed, page = feed_of(broken)
    feed.tell_all()
    broken_port.events = None
    other, port = told_run(("a", ()))
    ended = threading.Event()
    publisher = Publisher()
    publisher.watch(feed, ended.clear)
    publisher.watch(Feed(other, page.hear), ended.set)
    port.tell(0, phase="end")

    assert ended.wait(90)
    wait_until(lambda: "is no longer shown live" in caplog.text)
    publisher.stop()

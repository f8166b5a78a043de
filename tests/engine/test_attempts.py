"""What runs is asked to end when its time is over, and again until it has."""

from __future__ import annotations

from collections.abc import Sequence

from hail_batch_jupyter.core.ports import Attempt, Outcome
from hail_batch_jupyter.engine.attempts import TERM_S, TIMED_OUT, Attempts
from hail_batch_jupyter.engine.clock import Clock
from hail_batch_jupyter.engine.ready import Grant
from tests.core.graphs import node


class Asked:
    """An executor whose attempts never end; `stops` is what it was asked."""

    def __init__(self) -> None:
        self.stops: list[tuple[str, bool]] = []

    def start(self, attempts: Sequence[Attempt]) -> list[Outcome]:
        return [Outcome(attempt.attempt_id, "started", pid=1) for attempt in attempts]

    def wait(self, timeout_s: float) -> list[Outcome]:
        raise AssertionError(f"nobody waits for {timeout_s} s")

    def stop(self, attempt_id: str, force: bool) -> None:
        self.stops.append((attempt_id, force))

    def close(self) -> None:
        return


class Hand:
    """The hand of a clock, which is set by whoever holds it."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.at_s)


def attempt_of(job_id: int, timeout_s: float | None = None) -> Attempt:
    return Attempt(node(job_id)._replace(timeout_s=timeout_s), 1, 0, ("true",), {}, "folder", "log")


def running(executor: Asked, hand: Hand, *attempts: Attempt) -> Attempts:
    """These attempts, which have begun."""
    now = Attempts(executor, hand.clock())
    for attempt in attempts:
        now.add(attempt, Grant(attempt.job, 0, 1000, 0))
    for outcome in now.start(attempts):
        trying = now.get(outcome.attempt_id)
        assert trying is not None
        now.began(trying)
    return now


def test_an_attempt_whose_time_is_over_is_asked_to_end_and_then_ended_until_it_has() -> None:
    executor, hand, limited = Asked(), Hand(), attempt_of(1, timeout_s=30)
    now = running(executor, hand, limited, attempt_of(2))
    assert now.next_deadline() == 130

    now.stop_overdue(129)
    assert executor.stops == []
    hand.at_s = 130
    now.stop_overdue(130)
    assert executor.stops == [(limited.attempt_id, False)]
    trying = now.get(limited.attempt_id)
    assert trying is not None
    assert trying.stopped == TIMED_OUT

    now.stop_overdue(130 + TERM_S)
    now.stop_overdue(130 + 2 * TERM_S)
    assert executor.stops[1:] == [(limited.attempt_id, True)] * 2
    now.remove(limited.attempt_id)
    now.stop_overdue(130 + 9 * TERM_S)
    assert len(executor.stops) == 3


def test_only_those_with_a_reason_are_asked_to_end_and_only_once() -> None:
    executor, doomed, other = Asked(), attempt_of(1), attempt_of(2)
    now = running(executor, Hand(), doomed, other)

    for _ in range(2):
        now.stop_those(lambda job: "its group was cancelled" if job.job_id == 1 else "")

    assert executor.stops == [(doomed.attempt_id, False)]


def test_who_was_asked_to_end_before_it_began_hears_it_again_when_it_begins() -> None:
    executor, early = Asked(), attempt_of(1, timeout_s=30)
    now = Attempts(executor, Hand().clock())
    now.add(early, Grant(early.job, 0, 1000, 0))
    now.stop_those(lambda _: "cancelled")
    trying = now.get(early.attempt_id)
    assert trying is not None

    now.began(trying)

    assert executor.stops == [(early.attempt_id, False)] * 2

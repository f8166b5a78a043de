"""Attempts that the executor has: until they end, and made to end when their time is over or somebody asks for it."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Callable

from hail_batch_jupyter.core.ports import Attempt, Executor, Outcome
from hail_batch_jupyter.core.spec import JobSpec
from hail_batch_jupyter.engine.clock import Clock
from hail_batch_jupyter.engine.ready import Grant

TERM_S = 2.0
"""Between asking a job to end and making it end."""
TIMED_OUT = "timed out"


class Trying:
    """One attempt that was handed to the executor; `stopped` is why it was asked to end."""

    __slots__ = ("attempt", "grant", "stopped")

    def __init__(self, attempt: Attempt, grant: Grant) -> None:
        self.attempt = attempt
        self.grant = grant
        self.stopped = ""


class Attempts:
    """What runs now, and when it must be asked to end."""

    def __init__(self, executor: Executor, clock: Clock) -> None:
        self._executor = executor
        self._clock = clock
        self._trying: dict[str, Trying] = {}
        self._deadlines: list[tuple[float, str, bool]] = []

    def add(self, attempt: Attempt, grant: Grant) -> None:
        """The attempt is started next; it can be stopped from now on."""
        self._trying[attempt.attempt_id] = Trying(attempt, grant)

    def start(self, attempts: Sequence[Attempt]) -> Iterable[Outcome]:
        """Start what was added; gives what is known at once."""
        return self._executor.start(attempts) if attempts else ()

    def get(self, attempt_id: str) -> Trying | None:
        """The attempt, None when it has ended."""
        return self._trying.get(attempt_id)

    def began(self, trying: Trying) -> None:
        """It runs: its time counts from now, and who was asked to end before hears it again."""
        if trying.stopped:
            self._executor.stop(trying.attempt.attempt_id, force=False)
        elif trying.attempt.job.timeout_s is not None:
            self._end_at(self._clock.monotonic() + trying.attempt.job.timeout_s, trying.attempt.attempt_id, force=False)

    def remove(self, attempt_id: str) -> None:
        """It has ended."""
        del self._trying[attempt_id]

    def next_deadline(self) -> float | None:
        """When `stop_overdue` has something to do, in monotonic seconds; None if never."""
        return self._deadlines[0][0] if self._deadlines else None

    def stop_those(self, why: Callable[[JobSpec], str]) -> None:
        """Ask those to end for whose job there is a reason."""
        for trying in self._trying.values():
            reason = why(trying.attempt.job)
            if reason:
                self._stop(trying, reason)

    def stop_overdue(self, now: float) -> None:
        """Ask those to end whose time is over, and end those that were asked and did not."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, attempt_id, force = heapq.heappop(self._deadlines)
            trying = self._trying.get(attempt_id)
            if trying is None:
                continue
            if force:
                self._executor.stop(attempt_id, force=True)
                self._end_at(now + TERM_S, attempt_id, force=True)
            else:
                self._stop(trying, TIMED_OUT)

    def _stop(self, trying: Trying, reason: str) -> None:
        if not trying.stopped:
            trying.stopped = reason
            self._executor.stop(trying.attempt.attempt_id, force=False)
            self._end_at(self._clock.monotonic() + TERM_S, trying.attempt.attempt_id, force=True)

    def _end_at(self, due: float, attempt_id: str, *, force: bool) -> None:
        heapq.heappush(self._deadlines, (due, attempt_id, force))

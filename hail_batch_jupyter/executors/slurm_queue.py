"""Attempts on their way to Slurm: which are submitted together, and when the next array may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

from hail_batch_jupyter.core.ports import Attempt
from hail_batch_jupyter.executors.slurm_words import Shape, shape_of

_BURST, _A_SECOND = 20.0, 1.0
"""So many calls of sbatch at once, and so many a second after that: sites limit them."""
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 30.0
_MOST = 1000
"""Attempts in one array, where the site allows more."""


class Submission(NamedTuple):
    """An array to be submitted. `tried`: it may have been, without that having become known."""

    number: int
    shape: Shape
    attempts: tuple[Attempt, ...]
    tried: bool = False


class BackOff:
    """A pause that grows with each failure: half a second at first, half a minute at last."""

    def __init__(self) -> None:
        self._pause_s = _FIRST_PAUSE_S
        self.until = 0.0

    def failed(self, now: float) -> None:
        """Wait longer than the last time."""
        self.until = now + self._pause_s
        self._pause_s = min(self._pause_s * 2, _LAST_PAUSE_S)

    def worked(self) -> None:
        """Begin anew."""
        self._pause_s, self.until = _FIRST_PAUSE_S, 0.0


class SubmitQueue:
    """Attempts that wait to be submitted, by shape, in their order."""

    def __init__(self) -> None:
        self._waiting: dict[Shape, list[Attempt]] = {}
        self._size = _MOST
        self._most = _MOST
        self._tokens, self._counted = _BURST, 0.0
        self._number = 0
        self.room = BackOff()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, attempt: Attempt) -> None:
        """One more that may be submitted."""
        self._waiting.setdefault(shape_of(attempt), []).append(attempt)

    def limit(self, array_size: int) -> None:
        """No larger arrays than this."""
        self._most = self._size = min(_MOST, array_size)

    def drop(self, attempt_id: str) -> bool:
        """Take one out; whether it was here."""
        for shape, attempts in self._waiting.items():
            left = [attempt for attempt in attempts if attempt.attempt_id != attempt_id]
            if len(left) < len(attempts):
                self._waiting[shape] = left
                return True
        return False

    def next(self, now: float) -> Submission | None:
        """What is to be submitted now, as large as may be; None while there is nothing, no room, or too many calls were made."""
        self._tokens = min(_BURST, self._tokens + (now - self._counted) * _A_SECOND)
        self._counted = now
        shape = next((shape for shape, attempts in self._waiting.items() if attempts), None)
        if shape is None or now < self.room.until or self._tokens < 1:
            return None
        self._tokens -= 1
        self._number += 1
        attempts = self._waiting[shape]
        self._waiting[shape] = attempts[self._size :]
        if not self._waiting[shape]:
            del self._waiting[shape]
        return Submission(self._number, shape, tuple(attempts[: self._size]))

    def taken(self, submission: Submission) -> None:
        """Slurm took it: there may be room for more at once."""
        self.room.worked()
        if len(submission.attempts) == self._size:
            self._size = min(self._most, self._size * 2)

    def full(self, submission: Submission, now: float) -> None:
        """Slurm has no room for so many: fewer next time, and a pause when it has none for a single one."""
        self._put_back(submission.shape, submission.attempts)
        self._size = max(1, len(submission.attempts) // 2)
        if len(submission.attempts) == 1:
            self.room.failed(now)

    def _put_back(self, shape: Shape, attempts: Sequence[Attempt]) -> None:
        self._waiting[shape] = [*attempts, *self._waiting.get(shape, ())]


class Watch:
    """When Slurm is asked about the jobs next: soon after something happened, more and more seldom while nothing does."""

    def __init__(self) -> None:
        self._gap_s = self._first_s = 2.0
        self.due: Optional[float] = None

    def soon(self, now: float, within_s: float) -> None:
        """Ask within so many seconds."""
        self._gap_s = within_s
        self.due = now + within_s if self.due is None else min(self.due, now + within_s)

    def asked(self, now: float) -> None:
        """It was asked; the next time is later by half as much again."""
        self._gap_s = min(self._gap_s * 1.5, _LAST_PAUSE_S)
        self.due = now + self._gap_s

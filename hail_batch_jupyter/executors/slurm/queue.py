"""Attempts on their way to Slurm: which are submitted together, how many go into one task, and when the next array may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

from hail_batch_jupyter.core.ports import Attempt
from hail_batch_jupyter.executors.slurm.words import Shape, Site, shape_of

_BURST, _A_SECOND = 20.0, 1.0
"""So many calls of sbatch at once, and so many a second after that: sites limit them."""
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 30.0
_MOST = 1000
"""Tasks in one array, where the site allows more."""
_TASK_S = 60.0
"""As many short jobs are packed into a task as take about so long together."""
_LEAST_S = 2.0
"""A task that takes less costs Slurm more than its jobs cost the node."""
_SPREAD = 64
"""Beyond that a shape's jobs are packed only where there are more than this: so many nodes or cores may be free at once."""
_PROBE, _PROBE_S = 16, 10.0
"""So many jobs of a shape go alone at first; so long the others of a large wave wait to see how long those take."""


class Submission(NamedTuple):
    """An array to be submitted, whose tasks have one attempt or several. `tried`: it may have been, without that having become known."""

    number: int
    shape: Shape
    tasks: tuple[tuple[Attempt, ...], ...]
    tried: bool = False

    @property
    def attempts(self) -> list[Attempt]:
        """All of its tasks."""
        return [attempt for task in self.tasks for attempt in task]


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


class Packing:
    """How many jobs of a shape go into one task: learned from those that have ended, or as the user says."""

    def __init__(self, pack: Optional[int]) -> None:
        self._pack = pack
        self._seconds: dict[Shape, tuple[int, float]] = {}
        self._probed: dict[Shape, float] = {}

    def learn(self, shape: Shape, seconds: float) -> None:
        """A job of that shape took so long; later ones count for more than those long ago."""
        count, mean = self._seconds.get(shape, (0, 0.0))
        count = min(count + 1, _SPREAD)
        self._seconds[shape] = count, mean + (seconds - mean) / count

    def most(self, shape: Shape, n_waiting: int, now: float) -> tuple[int, int]:
        """(attempts that may be submitted now, of which so many go into a task)."""
        if self._pack is not None:
            return n_waiting, self._pack
        known = self._seconds.get(shape)
        if known is not None:
            seconds = max(known[1], 0.01)
            return n_waiting, max(1, min(int(_LEAST_S / seconds), n_waiting), min(int(_TASK_S / seconds), n_waiting // _SPREAD))
        if n_waiting <= _SPREAD:
            return n_waiting, 1
        if shape not in self._probed:
            self._probed[shape] = now
            return _PROBE, 1
        return (n_waiting, 1) if now >= self._probed[shape] + _PROBE_S else (0, 1)


class SubmitQueue:
    """Attempts that wait to be submitted, by shape, in their order."""

    def __init__(self, pack: Optional[int] = None) -> None:
        self._waiting: dict[Shape, list[Attempt]] = {}
        self._size = _MOST
        self._most = _MOST
        self._storage = True
        self._tokens, self._counted = _BURST, 0.0
        self._number = 0
        self.packing = Packing(pack)
        self.room = BackOff()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def shape(self, attempt: Attempt) -> Shape:
        """What Slurm is asked for; storage only where the nodes say how much they have."""
        shape = shape_of(attempt)
        return shape if self._storage else shape._replace(storage_mib=0)

    def add(self, attempt: Attempt) -> None:
        """One more that may be submitted."""
        self._waiting.setdefault(self.shape(attempt), []).append(attempt)

    def limit(self, site: Site) -> None:
        """What the site allows."""
        self._most = self._size = min(_MOST, site.array_size)
        self._storage = site.storage_mib > 0
        waiting, self._waiting = self._waiting, {}
        for attempt in (attempt for attempts in waiting.values() for attempt in attempts):
            self.add(attempt)

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
        if now < self.room.until or self._tokens < 1:
            return None
        for shape, attempts in self._waiting.items():
            number, packed = self.packing.most(shape, len(attempts), now)
            if attempts and number:
                return self._take(shape, min(number, self._size * packed), packed)
        return None

    def _take(self, shape: Shape, number: int, packed: int) -> Submission:
        self._tokens -= 1
        self._number += 1
        attempts = self._waiting[shape]
        taken, self._waiting[shape] = attempts[:number], attempts[number:]
        if not self._waiting[shape]:
            del self._waiting[shape]
        return Submission(self._number, shape, tuple(tuple(taken[first : first + packed]) for first in range(0, len(taken), packed)))

    def taken(self, submission: Submission) -> None:
        """Slurm took it: there may be room for more at once."""
        self.room.worked()
        if len(submission.tasks) == self._size:
            self._size = min(self._most, self._size * 2)

    def full(self, submission: Submission, now: float) -> None:
        """Slurm has no room for so many: fewer next time, and a pause when it has none for a single one."""
        self._put_back(submission.shape, submission.attempts)
        self._size = max(1, len(submission.tasks) // 2)
        if len(submission.tasks) == 1:
            self.room.failed(now)

    def _put_back(self, shape: Shape, attempts: Sequence[Attempt]) -> None:
        self._waiting[shape] = [*attempts, *self._waiting.get(shape, ())]


class Watch:
    """When Slurm is asked about the jobs next: soon after something happened, more and more seldom while nothing does."""

    def __init__(self) -> None:
        self._gap_s = 2.0
        self._most_s = _LAST_PAUSE_S
        self.due: Optional[float] = None

    def limit(self, most_s: float) -> None:
        """Never ask more seldom than this: the controller forgets what has ended."""
        self._most_s = min(_LAST_PAUSE_S, max(1.0, most_s))

    def soon(self, now: float, within_s: float) -> None:
        """Ask within so many seconds."""
        self._gap_s = within_s
        self.due = now + within_s if self.due is None else min(self.due, now + within_s)

    def asked(self, now: float) -> None:
        """It was asked; the next time is later by half as much again."""
        self._gap_s = min(self._gap_s * 1.5, self._most_s)
        self.due = now + self._gap_s

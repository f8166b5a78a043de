"""A batch as it is known now: what the store remembers of it, and the journals of its runs."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from hail_batch_jupyter.core.events import AttemptView, JobView
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe.recover import LOST
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.service.store.rows import ROOT, BatchRow, GroupRow, JobRow
from hail_batch_jupyter.service.worker import attempt_id


class Attempt(NamedTuple):
    """One attempt of a job: where its logs are, and what its run tells of it."""

    attempt_id: str
    run: RunningBatch
    number: int
    view: AttemptView
    reason: str | None


class Known:
    """One batch; `refresh` looks for news, everything else tells what it found.

    News cost as much as there is of them, so that a large batch is told of as quickly as a small one.
    """

    def __init__(self, batch: BatchRow, rows: list[JobRow], runs: Mapping[str, RunningBatch], groups: dict[int, GroupRow]) -> None:
        self.batch = batch
        self.rows = rows
        self.runs = runs
        self.groups = groups
        self.open_rows = [row for row in rows if row.run_id is None and row.state is None]
        self.views = [JobView(row.job_id) for row in rows]
        self._numbers = [row.job_id for row in rows]
        self._chains = {group_id: chain_of(groups, group_id) for group_id in groups}
        self._counts: dict[int, Counter[JobState]] = {group_id: Counter() for group_id in groups}
        self._ended_ms: dict[int, int] = {}
        self._seqs: dict[str, int] = {}
        self._places: dict[str, dict[int, int]] = {}
        for place, row in enumerate(rows):
            if row.run_id is not None and row.number is not None:
                self._places.setdefault(row.run_id, {})[row.number] = place
        for group_id, n_jobs in Counter(row.group_id for row in rows).items():
            for around in self._chains[group_id]:
                self._counts[around][JobState.PENDING] += n_jobs
        self._begin()

    def _begin(self) -> None:
        """Jobs that no run decides."""
        for place, row in enumerate(self.rows):
            if row.state is not None:
                self._put(place, JobView(row.job_id, JobState(row.state), reason=row.state.lower()))
        self._look_at_open()

    def refresh(self) -> None:
        """Read what the runs have written since."""
        news = [self._refresh_run(run_id, run) for run_id, run in self.runs.items()]
        if any(news):
            self._look_at_open()

    def _refresh_run(self, run_id: str, run: RunningBatch) -> bool:
        places = self._places.get(run_id)
        before = self._seqs.get(run_id)
        snapshot = run.snapshot()
        if snapshot.seq == before or not places:
            return False
        changed = places.keys() if before is None else {event.job_id for event in run.events(before)} & places.keys()
        self._seqs[run_id] = snapshot.seq
        for number in changed:
            self._put(places[number], self._told(self.rows[places[number]], snapshot.jobs[number - 1]))
        return True

    @staticmethod
    def _told(row: JobRow, view: JobView) -> JobView:
        """A job whose runner was killed is ready again, as its next run will say."""
        return JobView(row.job_id, JobState.READY, earlier=view.earlier) if is_lost(view) else view._replace(job_id=row.job_id)

    def _look_at_open(self) -> None:
        """Jobs that are in no run yet, in the order of their numbers: parents come first."""
        for row in self.open_rows:
            waits = any(not self.view(parent).state.complete for parent in row.facts.parents)
            place = self.place(row.job_id)
            assert place is not None
            self._put(place, JobView(row.job_id, JobState.PENDING if waits else JobState.READY))

    def _put(self, place: int, view: JobView) -> None:
        before, self.views[place] = self.views[place], view
        for group_id in self._chains[self.rows[place].group_id]:
            if before.state is not view.state:
                counts = self._counts[group_id]
                counts[before.state] -= 1
                counts[view.state] += 1
            if view.ended_ms is not None:
                self._ended_ms[group_id] = max(view.ended_ms, self._ended_ms.get(group_id, 0))

    # what is known

    @property
    def mark(self) -> str:
        """Another text whenever something else would be told of the batch."""
        runs = ".".join(str(self._seqs.get(run_id, 0)) for run_id in self.runs)
        groups = sum(group.cancelled for group in self.groups.values())
        return f"{len(self.rows)}-{len(self.open_rows)}-{len(self.groups)}-{groups}-{runs}"

    def place(self, job_id: int) -> int | None:
        """Where a job is among rows and views, None if there is none."""
        place = self.place_after(job_id) - 1
        return place if place >= 0 and self._numbers[place] == job_id else None

    def place_after(self, job_id: int) -> int:
        """Where the jobs with higher numbers begin."""
        return bisect_right(self._numbers, job_id)

    def view(self, job_id: int) -> JobView:
        """The view of a job that there is."""
        place = self.place(job_id)
        assert place is not None
        return self.views[place]

    def counts(self, group_id: int = ROOT) -> dict[JobState, int]:
        """Jobs of a group and those below it, in each state that occurs."""
        return {state: count for state, count in self._counts[group_id].items() if count}

    def complete(self, group_id: int = ROOT) -> bool:
        """Whether all jobs of a group have ended."""
        return all(state.complete for state in self.counts(group_id))

    def ended_ms(self, group_id: int = ROOT) -> int:
        """When the last job ended; when the group was made, if none ever ran."""
        return self._ended_ms.get(group_id, self.groups[group_id].created_ms)

    def inside(self, group_id: int, around: int) -> bool:
        """Whether a group is `around`, or below it."""
        return around in self._chains[group_id]

    def cancelled(self, group_id: int) -> bool:
        """Whether a group, or one around it, is cancelled."""
        return any(self.groups[around].cancelled for around in self._chains[group_id])

    def attempts(self, row: JobRow) -> list[Attempt]:
        """The attempts of a job in all runs that it was in, in their order."""
        places = [*row.earlier, *([(row.run_id, row.number)] if row.run_id is not None and row.number is not None else [])]
        found: list[Attempt] = []
        for nth, (run_id, number) in enumerate(places):
            run = self.runs.get(run_id)
            if run is None:
                continue
            view = run.snapshot().jobs[number - 1]
            for attempt in view.attempts:
                key = attempt_id(self.batch.batch_id, row.job_id, nth, attempt.number)
                found.append(Attempt(key, run, number, attempt, _reason(view, attempt)))
        return found


def chain_of(groups: Mapping[int, GroupRow], group_id: int) -> tuple[int, ...]:
    """A group and those around it, from the inside out to the root."""
    chain = [group_id]
    while chain[-1] != ROOT:
        chain.append(groups[chain[-1]].parent_id)
    return tuple(chain)


def is_lost(view: JobView) -> bool:
    """Whether a job was given up because its runner was killed."""
    return view.state is JobState.CANCELLED and view.reason == LOST


_REASONS = {JobState.SUCCESS: "completed", JobState.FAILED: "completed", JobState.ERROR: "error"}


def _reason(view: JobView, attempt: AttemptView) -> str | None:
    """Why an attempt ended, in the words of the protocol; None while it goes on."""
    if attempt.ended_ms is None:
        return None
    if attempt in view.earlier:
        return "terminated" if attempt.reason in (LOST, "lost") else "cancelled" if attempt.exit_code is None else "completed"
    return _REASONS.get(view.state, "cancelled")

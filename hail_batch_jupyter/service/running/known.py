"""A batch as it is known now: what the store remembers of it, and the journals of its runs."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hail_batch_jupyter.backends.far.mirror import MirroredRun
from hail_batch_jupyter.core.events import AttemptView, JobView
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.cost.rates import Card
from hail_batch_jupyter.observe.recover import LOST
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.service.pricing import DAY_MS, billed_ms
from hail_batch_jupyter.service.running.worker import attempt_id
from hail_batch_jupyter.service.store.rows import ROOT, BatchRow, GroupRow, JobRow

_NUMBER = re.compile(r"[0-9]{1,18}")
GIVEN_UP = "job has too many prior attempts"
"""Why a job that nobody tries any more ended; the protocol's words."""
_NO_JOB = -1
"""In the places that changed: the batch or a group."""


class Attempt(NamedTuple):
    """One attempt of a job: where its logs are, and what its run tells of it."""

    attempt_id: str
    run: RunningBatch
    number: int
    view: AttemptView
    reason: str | None


class Known:
    """One batch; `refresh` looks for news, everything else tells what it found.

    News cost as much as there is of them, so that a large batch is told of as quickly as a small one. The places of jobs that changed are kept in
    the order of their changes; how many there are is the mark, so that those since a mark can be told.
    """

    def __init__(self, batch: BatchRow, rows: list[JobRow], runs: Mapping[str, RunningBatch], groups: dict[int, GroupRow], card: Card | None = None) -> None:
        self.batch = batch
        self.card = card
        self.rows = rows
        self.runs = runs
        self.groups = groups
        self.open_rows = [row for row in rows if row.run_id is None and row.state is None]
        self.views = [JobView(row.job_id) for row in rows]
        self._numbers = [row.job_id for row in rows]
        self._chains = {group_id: chain_of(groups, group_id) for group_id in groups}
        self._counts: dict[int, Counter[JobState]] = {group_id: Counter() for group_id in groups}
        self._ended_ms: dict[int, int] = {}
        self._billed: dict[int, int] = {}
        self._used: dict[int, Counter[str]] = {group_id: Counter() for group_id in groups}
        self._used_in_run: dict[str, Counter[str]] = {}
        self._running: set[int] = set()
        self._seqs: dict[str, int] = {}
        self._places: dict[str, dict[int, int]] = {}
        self._news: list[int] = []
        self._waits: dict[str, str] = {}
        for place, row in enumerate(rows):
            if row.run_id is not None and row.number is not None:
                self._places.setdefault(row.run_id, {})[row.number] = place
        for group_id, n_jobs in Counter(row.group_id for row in rows).items():
            for around in self._chains[group_id]:
                self._counts[around][JobState.PENDING] += n_jobs
        self._begin()
        self._epoch, self._news = os.urandom(4).hex(), []

    def _begin(self) -> None:
        """Jobs that no run decides, and what earlier runs of jobs are charged for."""
        for place, row in enumerate(self.rows):
            if row.earlier and self.card is not None and row.facts.granted:
                self._charge(place, sum(billed_ms(self.card, attempt.view, 0) for attempt in self._attempts(row, row.earlier)))
        for place, row in enumerate(self.rows):
            if row.state is not None:
                self._put(place, _decided(row.job_id, row.state))
        self._look_at_open()

    def refresh(self, waits: Mapping[str, str] | None = None) -> None:
        """Read what the runs have written since; `waits` is what their jobs wait for now."""
        if waits is not None and self._waits != (now := {run_id: waits[run_id] for run_id in self.runs if run_id in waits}):
            self._waits = now
            self._news.append(_NO_JOB)
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
            state, place = JobState.PENDING if waits else JobState.READY, self.place(row.job_id)
            assert place is not None
            if self.views[place].state is not state:
                self._put(place, JobView(row.job_id, state))

    def _put(self, place: int, view: JobView) -> None:
        before, self.views[place] = self.views[place], view
        self._news.append(place)
        for group_id in self._chains[self.rows[place].group_id]:
            if before.state is not view.state:
                counts = self._counts[group_id]
                counts[before.state] -= 1
                counts[view.state] += 1
            if view.ended_ms is not None:
                self._ended_ms[group_id] = max(view.ended_ms, self._ended_ms.get(group_id, 0))
        if self.card is not None and self.rows[place].facts.granted:
            self._note_use(place, view, self.card)

    def _note_use(self, place: int, view: JobView, card: Card) -> None:
        """Count the attempts that ended; those that go on grow by themselves."""
        ended = sum(billed_ms(card, attempt, 0) for attempt in view.attempts if attempt.ended_ms is not None)
        more = ended - self._billed.get(place, 0)
        if more:
            self._billed[place] = ended
            self._charge(place, more)
            run_id = self.rows[place].run_id
            if run_id is not None:
                self._used_in_run.setdefault(run_id, Counter())[self.rows[place].facts.granted] += more
        (self._running.add if view.state is JobState.RUNNING else self._running.discard)(place)

    def _charge(self, place: int, ms: int) -> None:
        row = self.rows[place]
        for group_id in self._chains[row.group_id]:
            self._used[group_id][row.facts.granted] += ms

    # what the service does

    def took(self, batch: BatchRow, groups: dict[int, GroupRow]) -> None:
        """The batch or a group of it was cancelled or deleted."""
        self.batch, self.groups = batch, groups
        self._news.append(_NO_JOB)

    def began(self, run_id: str, run: RunningBatch, job_ids: Sequence[int]) -> None:
        """These jobs are in a run now, numbered from 1."""
        self._places[run_id] = {}
        for number, job_id in enumerate(job_ids, 1):
            place = self.place(job_id)
            assert place is not None
            self.rows[place] = self.rows[place]._replace(run_id=run_id, number=number)
            self._places[run_id][number] = place
        chosen = set(job_ids)
        self.open_rows = [row for row in self.open_rows if row.job_id not in chosen]
        self.runs = {**self.runs, run_id: run}

    def decided(self, states: Mapping[int, str]) -> None:
        """These jobs have ended without a run."""
        for job_id, state in states.items():
            place = self.place(job_id)
            assert place is not None
            self.rows[place] = self.rows[place]._replace(state=state)
            self._put(place, _decided(job_id, state))
        self.open_rows = [row for row in self.open_rows if row.job_id not in states]

    # what is known

    @property
    def mark(self) -> str:
        """Another text whenever something else would be told of the batch."""
        return f"{self._epoch}-{len(self._news)}"

    def places_since(self, mark: str) -> list[int] | None:
        """Where the jobs are that changed since the batch had that mark; None when that is not known."""
        epoch, _, number = mark.partition("-")
        if epoch != self._epoch or not _NUMBER.fullmatch(number):
            return None
        return sorted(set(self._news[int(number) :]) - {_NO_JOB})

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

    def waits_for(self) -> str:
        """What jobs wait for that have a run and could begin, where that is a quota or others; '' mostly."""
        return "; ".join(dict.fromkeys(self._waits.values())) if self._counts[ROOT][JobState.READY] else ""

    def job_waits_for(self, row: JobRow, view: JobView) -> str:
        """The same of a job, what it waits for in Slurm, or why nothing is heard of its run under an account; '' mostly."""
        run = self.runs.get(row.run_id or "")
        if isinstance(run, MirroredRun) and not view.state.complete and run.paused:
            return run.paused
        if view.state is JobState.CREATING:
            return view.reason
        return self._waits.get(row.run_id or "", "") if view.state is JobState.READY else ""

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

    def used(self, now_ms: int, group_id: int = ROOT) -> Counter[str]:
        """Milliseconds that the jobs of a group are charged for until now, by what they were granted."""
        found = self._used[group_id].copy()
        for place in self._running:
            if self.inside(self.rows[place].group_id, group_id):
                found[self.rows[place].facts.granted] += self._going_ms(place, now_ms)
        return found

    def used_in_run(self, run_id: str, now_ms: int) -> Counter[str]:
        """As `used`, of one run."""
        found = self._used_in_run.get(run_id, Counter()).copy()
        for place in self._running:
            if self.rows[place].run_id == run_id:
                found[self.rows[place].facts.granted] += self._going_ms(place, now_ms)
        return found

    def _going_ms(self, place: int, now_ms: int) -> int:
        view = self.views[place]
        return 0 if self.card is None or not view.attempts else billed_ms(self.card, view.attempts[-1], now_ms)

    def used_by(self, row: JobRow, now_ms: int) -> dict[str, int]:
        """As `used`, of one job."""
        if self.card is None or not row.facts.granted:
            return {}
        return {row.facts.granted: sum(billed_ms(self.card, attempt.view, now_ms) for attempt in self.attempts(row))}

    def bill(self, run_id: str) -> list[tuple[int, str, int]]:
        """(day, grant, ms) of all attempts of a run that has ended."""
        found: Counter[tuple[int, str]] = Counter()
        run = self.runs.get(run_id)
        if self.card is None or run is None:
            return []
        jobs = run.snapshot().jobs
        for number, place in self._places.get(run_id, {}).items():
            grant = self.rows[place].facts.granted
            for attempt in jobs[number - 1].attempts if grant else ():
                if attempt.ended_ms is not None:
                    found[attempt.ended_ms // DAY_MS, grant] += billed_ms(self.card, attempt, attempt.ended_ms)
        return [(day, grant, ms) for (day, grant), ms in found.items() if ms]

    def left(self, row: JobRow) -> JobRow:
        """The job with as many attempts as it has left after all those of the runs that it was in; one of which nothing is left counts as one."""
        if not row.earlier:
            return row
        n_tried = max(len(row.earlier), len(self._attempts(row, row.earlier)))
        return row._replace(facts=row.facts._replace(n_max_attempts=row.facts.n_max_attempts - n_tried))

    def attempts(self, row: JobRow) -> list[Attempt]:
        """The attempts of a job in all runs that it was in, in their order."""
        return self._attempts(row, [*row.earlier, *([(row.run_id, row.number)] if row.run_id is not None and row.number is not None else [])])

    def _attempts(self, row: JobRow, places: Sequence[tuple[str, int]]) -> list[Attempt]:
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


def _decided(job_id: int, state: str) -> JobView:
    """A job that no run decides."""
    return JobView(job_id, JobState(state), reason=GIVEN_UP if state == JobState.ERROR.value else state.lower())


def is_lost(view: JobView) -> bool:
    """Whether a job was given up because its runner was killed."""
    return view.state is JobState.CANCELLED and view.reason == LOST


_REASONS = {JobState.SUCCESS: "completed", JobState.FAILED: "completed", JobState.ERROR: "error"}


def _reason(view: JobView, attempt: AttemptView) -> str | None:
    """Why an attempt ended, in the words of the protocol; None while it goes on."""
    if attempt.ended_ms is None:
        return None
    if attempt in view.earlier:
        if attempt.exit_code is not None:
            return "completed"
        ended_with = attempt.reason != LOST and view.state is JobState.CANCELLED and attempt == view.earlier[-1]
        return "cancelled" if ended_with else "preempted" if "preempted" in attempt.reason else "terminated"
    return _REASONS.get(view.state, "cancelled")

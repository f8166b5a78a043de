"""A batch as it is known now: what the store remembers of it, and the journals of its runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from hail_batch_jupyter.core.events import BatchSnapshot, JobEvent, JobView
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe.recover import LOST
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.service.store.tables import BatchRow, JobRow
from hail_batch_jupyter.service.worker import attempt_id


class AttemptView(NamedTuple):
    """One attempt of a job: where its logs are, and when it ran."""

    attempt_id: str
    run: RunningBatch | None
    number: int
    attempt: int
    started_ms: int | None
    ended_ms: int | None
    reason: str | None


class Known:
    """One batch; `refresh` looks for news, everything else tells what it found."""

    def __init__(self, batch: BatchRow, rows: list[JobRow], runs: Mapping[str, RunningBatch]) -> None:
        self.batch = batch
        self.rows = rows
        self.runs = runs
        self.open_rows = [row for row in rows if row.run_id is None and row.state is None]
        self._places = {row.job_id: place for place, row in enumerate(rows)}
        self._snapshots: dict[str, BatchSnapshot] = {}
        self.views: list[JobView] = []
        self._seen: tuple[int, ...] | None = None

    def refresh(self) -> None:
        """Read what the runs have written since."""
        snapshots = {run_id: run.snapshot() for run_id, run in self.runs.items()}
        seen = tuple(snapshot.seq for snapshot in snapshots.values())
        if seen != self._seen:
            self._snapshots, self._seen = snapshots, seen
            self.views = []
            for row in self.rows:
                self.views.append(self._view(row))

    def _view(self, row: JobRow) -> JobView:
        """A job whose runner was killed is ready again, as its next run will say."""
        if row.state is not None:
            return JobView(row.job_id, JobState(row.state), reason=row.state.lower())
        snapshot = self._snapshots.get(row.run_id or "")
        if snapshot is not None and row.number is not None:
            view = snapshot.jobs[row.number - 1]
            return JobView(row.job_id, JobState.READY) if is_lost(view) else view._replace(job_id=row.job_id)
        waits = any(not self.views[self._places[parent]].state.complete for parent in row.facts.parents)
        return JobView(row.job_id, JobState.PENDING if waits else JobState.READY)

    def place(self, job_id: int) -> int | None:
        """Where a job is among rows and views, None if there is none."""
        return self._places.get(job_id)

    def view(self, job_id: int) -> JobView:
        """The view of a job that there is."""
        return self.views[self._places[job_id]]

    def counts(self) -> dict[JobState, int]:
        """Jobs in each state that occurs."""
        return dict(Counter(view.state for view in self.views))

    def completed_ms(self) -> int:
        """When the last job ended; when the batch was made, if none ever ran."""
        return max((view.ended_ms for view in self.views if view.ended_ms is not None), default=self.batch.created_ms)

    def attempts(self, row: JobRow) -> list[AttemptView]:
        """The attempts of a job in all runs that it was in, in their order."""
        places = [*row.earlier, *([(row.run_id, row.number)] if row.run_id is not None and row.number is not None else [])]
        found: list[AttemptView] = []
        for nth, (run_id, number) in enumerate(places):
            run = self.runs.get(run_id)
            if run is None:
                continue
            events = [event for event in run.events() if event.job_id == number]
            for attempt in sorted({event.attempt for event in events if event.state is JobState.RUNNING}):
                key = attempt_id(self.batch.batch_id, row.job_id, nth, attempt)
                found.append(AttemptView(key, run, number, attempt, *_times(events, attempt)))
        return found


def is_lost(view: JobView) -> bool:
    """Whether a job was given up because its runner was killed."""
    return view.state is JobState.CANCELLED and view.reason == LOST


_REASONS = {JobState.SUCCESS: "completed", JobState.FAILED: "completed", JobState.ERROR: "error"}


def _times(events: list[JobEvent], attempt: int) -> tuple[int | None, int | None, str | None]:
    """Start, end and reason of the end of one attempt."""
    own = [place for place, event in enumerate(events) if event.state is JobState.RUNNING and event.attempt == attempt]
    started_ms = events[own[0]].time_ms
    after = next((event for event in events[own[-1] + 1 :] if event.state is not JobState.RUNNING), None)
    if after is None:
        return started_ms, None, None
    if after.state is JobState.READY:
        return started_ms, after.time_ms, "terminated" if after.reason in (LOST, "lost") else "cancelled"
    return started_ms, after.time_ms, _REASONS.get(after.state or JobState.ERROR, "cancelled")

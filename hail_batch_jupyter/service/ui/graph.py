"""The graph of a batch on a page: the widget of notebooks, fed over HTTP with what the service knows."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextvars import ContextVar

from hail_batch_jupyter.core.events import BatchSnapshot, JobEvent
from hail_batch_jupyter.core.spec import BatchSpec, Edge, GroupSpec, JobSpec
from hail_batch_jupyter.cost.money import dollars
from hail_batch_jupyter.errors import CapabilityError
from hail_batch_jupyter.jupyter.live.graph import Message
from hail_batch_jupyter.jupyter.live.remote import Lines
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.service.running.known import Attempt, Known
from hail_batch_jupyter.service.running.runs import Runs
from hail_batch_jupyter.service.running.worker import Worker
from hail_batch_jupyter.service.store.rows import ROOT, JobRow

asker: ContextVar[str] = ContextVar("asker", default="")
"""Whose request a page's graph is answered for: one graph serves all who look at a batch."""


class Graphs:
    """The conversations with all pages that show a graph."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._lines = Lines()

    def converse(self, batch_id: int, page: str, messages: Sequence[Message]) -> list[Message]:
        """Hand on a page's messages and give what there is to tell it."""
        n_jobs = len(self._runs.known(batch_id).rows)
        return self._lines.converse(f"{batch_id}-{n_jobs}", page, messages, lambda: WholeBatch(batch_id, self._runs))


class WholeBatch(RunningBatch):
    """All runs of a batch as one, as far as pages look at it."""

    def __init__(self, batch_id: int, runs: Runs) -> None:
        known = runs.known(batch_id)
        port = _Port(batch_id, runs)
        super().__init__(batch_id, _spec(known), port, backend=Worker.name, runs_on="the service")
        self._runs = runs
        self._numbers = {row.job_id: number for number, row in enumerate(known.rows, 1)}
        self._told: tuple[str, BatchSnapshot] | None = None
        self._nth = 0
        self._making = threading.Lock()

    def snapshot(self, newer_than: int | None = None, timeout_s: float = 0.0) -> BatchSnapshot:
        """What the service knows now."""
        with self._making:
            known = self._runs.known(self.id)
            if self._told is None or self._told[0] != known.mark:
                self._nth += 1
                self._told = (known.mark, self._made(known))
            return self._told[1]

    def _made(self, known: Known) -> BatchSnapshot:
        views = tuple(view._replace(job_id=number) for number, view in enumerate(known.views[: len(self.spec.jobs)], 1))
        ended_ms = known.ended_ms() if known.complete() else None
        began = [view.started_ms for view in views if view.started_ms is not None]
        return BatchSnapshot(views, self._nth, known.cancelled(ROOT), min(began, default=known.batch.created_ms), ended_ms)

    @property
    def waits_for(self) -> str:
        """What jobs wait for that could begin."""
        return self._runs.known(self.id).waits_for()

    def log_size(self, job_id: int, container: str = "main", attempt: int | None = None) -> int:
        """Bytes of a log as it is now, 0 where there is none."""
        assert isinstance(self._port, _Port)
        return self._port.log_size(job_id, container, attempt)

    def cost_text(self) -> str:
        """What it cost until now."""
        return dollars(float(self._runs.spending.cost(self.id)))


class _Port:
    """The part of a run that pages use: logs, and cancelling."""

    def __init__(self, batch_id: int, runs: Runs) -> None:
        self._batch_id = batch_id
        self._runs = runs

    def events(self, after: int, timeout_s: float) -> Sequence[JobEvent]:
        return []

    def ended(self, timeout_s: float) -> bool:
        return self._runs.known(self._batch_id).complete()

    def log(self, job_id: int, container: str = "main", attempt: int | None = None, start: int = 0, length: int | None = None) -> bytes:
        found = self._attempt(job_id, attempt)
        return b"" if found is None else found.run.log(found.number, container, start, length, attempt=found.view.number)

    def log_size(self, job_id: int, container: str, attempt: int | None) -> int:
        found = self._attempt(job_id, attempt)
        return 0 if found is None else found.run.log_size(found.number, container, found.view.number)

    def _attempt(self, job_id: int, attempt: int | None) -> Attempt | None:
        """The last one, or the last one of that number: each run of a job numbers its attempts from 1."""
        known = self._runs.known(self._batch_id)
        found = [each for each in known.attempts(known.rows[job_id - 1]) if attempt in (None, each.view.number)]
        return found[-1] if found else None

    def cancel(self, jobs: Sequence[int] | None = None, group: int | None = None) -> None:
        if jobs is not None:
            raise CapabilityError("the service cancels batches and groups; cancel the batch, or the job's group")
        group_id = ROOT if group is None else sorted(self._runs.known(self._batch_id).groups)[group]
        self._runs.cancel(self._batch_id, group_id, user=asker.get(), why="asked for in its graph")

    def alive(self) -> bool:
        return not self._runs.known(self._batch_id).complete()

    def delete(self) -> None:
        self._runs.delete(self._batch_id, asker.get())


def _spec(known: Known) -> BatchSpec:
    numbers = {row.job_id: number for number, row in enumerate(known.rows, 1)}
    jobs = tuple(_job(row, numbers) for row in known.rows)
    places = {group_id: place for place, group_id in enumerate(sorted(known.groups), 0)}
    groups = tuple(
        GroupSpec(places[group.group_id], group.attributes.get("name", f"group {group.group_id}"), places[group.parent_id])
        for group in known.groups.values()
        if group.group_id != ROOT
    )
    jobs = tuple(job._replace(group=places[row.group_id]) for job, row in zip(jobs, known.rows, strict=True))
    return BatchSpec(known.batch.attributes.get("name"), jobs, groups=groups)


def _job(row: JobRow, numbers: dict[int, int]) -> JobSpec:
    parents = tuple(Edge(numbers[parent]) for parent in row.facts.parents)
    facts = row.facts
    return JobSpec(
        numbers[row.job_id],
        "",
        facts.name,
        "bash",
        (),
        f"j{row.job_id}",
        parents=parents,
        request=facts.request,
        always_run=facts.always_run,
        attributes=facts.attributes,
    )

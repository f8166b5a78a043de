"""A group of jobs of a run: its counts, its jobs, its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from hail_batch_jupyter.core.events import BatchSnapshot
from hail_batch_jupyter.core.spec import BatchSpec, GroupSpec
from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.observe.status import batch_status, job_status


class _Run(Protocol):
    id: Any
    spec: BatchSpec

    def snapshot(self, newer_than: int | None = None, timeout_s: float = 0.0) -> BatchSnapshot: ...

    def cancel(self, jobs: Sequence[int] | None = None, group: str | int | None = None) -> None: ...


class RunningGroup:
    """A group of jobs of a run, with those of the groups in it; as live as the run itself."""

    def __init__(self, run: _Run, spec: GroupSpec) -> None:
        self._run = run
        self.spec = spec
        self._members = {job.job_id for job in run.spec.jobs if spec.group_id in run.spec.groups_of(job.group)}

    def __repr__(self) -> str:
        return f"<RunningGroup {self.spec.name!r} of {self._run.id}: {self.status()['state']}>"

    @property
    def name(self) -> str:
        """The name of the group."""
        return self.spec.name

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of the group."""
        return {**self.spec.attributes, "name": self.spec.name}

    def status(self) -> dict[str, Any]:
        """The counts and the state of the group, with the keys of the Batch Service."""
        whole = self._run.snapshot()
        views = tuple([view for view in whole.jobs if view.job_id in self._members])
        gone = any(group in whole.cancelled_groups for group in self._run.spec.groups_of(self.spec.group_id))
        part = BatchSnapshot(views, whole.seq, whole.cancelled or gone, whole.started_ms, whole.ended_ms)
        facts = batch_status(self._run.id, self._run.spec, part)
        return {**facts, "batch_id": self._run.id, "job_group_id": self.spec.group_id, "complete": part.complete, "attributes": self.attributes}

    def jobs(self) -> Iterator[dict[str, Any]]:
        """One dict a job."""
        for job, view in zip(self._run.spec.jobs, self._run.snapshot().jobs):
            if job.job_id in self._members:
                yield job_status(self._run.id, job, view)

    def cancel(self) -> None:
        """Ask for the end of the group's jobs, but not of those that always run; returns at once."""
        self._run.cancel(group=self.spec.group_id)


def find_group(spec: BatchSpec, asked: str | int) -> GroupSpec:
    """The group of that name or number.

    Raises BatchException naming those that there are.
    """
    for group in spec.groups:
        if asked in (group.name, group.group_id):
            return group
    names = ", ".join(repr(group.name) for group in spec.groups)
    raise BatchException(f"the run has no group {asked!r}; {f'its groups are {names}' if names else 'it has no groups, which new_group of a batch makes'}")

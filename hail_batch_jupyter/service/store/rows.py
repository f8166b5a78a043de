"""What the tables hold, a value each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hail_batch_jupyter.core.spec import Request

ROOT = 0
"""The number of the group that all jobs of a batch are in."""


class BatchRow(NamedTuple):
    """A batch as it was created, and what was done to it as a whole.

    told_jobs   how many jobs it had when its end was last told to `callback`
    card_id     the rate card that its jobs were granted and are charged by, 0 for none
    """

    batch_id: int
    user: str
    project: str
    token: str
    attributes: Mapping[str, str]
    failure_limit: int | None
    created_ms: int
    cancelled: bool
    deleted: bool
    callback: str | None = None
    told_jobs: int = 0
    card_id: int = 0


class GroupRow(NamedTuple):
    """A job group; the root's parent is itself."""

    group_id: int
    parent_id: int
    attributes: Mapping[str, str]
    callback: str | None
    failure_limit: int | None
    created_ms: int
    cancelled: bool
    told_jobs: int


class UpdateRow(NamedTuple):
    """Jobs and groups that were added to a batch together."""

    update_id: int
    token: str
    start_job_id: int
    n_jobs: int
    committed: bool
    start_group_id: int = 1
    n_groups: int = 0


class JobFacts(NamedTuple):
    """What lists, the order of running and bills need of a job.

    granted                   '' for one that nothing is charged for
    cores_mcpu, memory_bytes  what it asks for; 0 for memory in a word, and for jobs of earlier versions
    """

    name: str | None
    always_run: bool
    n_max_attempts: int
    parents: tuple[int, ...]
    attributes: Mapping[str, str]
    granted: str = ""
    cores_mcpu: int = 0
    memory_bytes: int = 0

    @property
    def request(self) -> Request:
        """What it asks for."""
        return Request(cpu_mcpu=self.cores_mcpu or None, memory_bytes=self.memory_bytes or None)


class JobRow(NamedTuple):
    """A job of a committed update.

    run_id, number  the run that it is in, and its number there; None while it is in none
    state           its final state where no run decides it
    earlier         (run, number) of runs that ended before it did
    """

    job_id: int
    facts: JobFacts
    run_id: str | None
    number: int | None
    state: str | None
    earlier: tuple[tuple[str, int], ...]
    group_id: int = ROOT


class NewJob(NamedTuple):
    """A job that is put in: its number in the batch, what lists need, and the JSON that was posted."""

    job_id: int
    group_id: int
    facts: JobFacts
    posted: str

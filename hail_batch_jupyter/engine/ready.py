"""Jobs that may run, and which of them fit now."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hail_batch_jupyter.core.spec import JobSpec
from hail_batch_jupyter.engine.capacity import Ledger

_LOOK_AHEAD = 32
"""So many ready jobs that do not fit are passed by smaller ones."""
_PASSES = 200
"""A job that was passed so often is waited for."""


class Grant(NamedTuple):
    """What a job was given; must be given back with `ReadyQueue.release`."""

    job: JobSpec
    slot: int
    mcpu: int
    memory: int


class ReadyQueue:
    """Ready jobs, those with the longest way to the end of the graph first, then in the order of their numbers."""

    def __init__(self, jobs: Mapping[int, JobSpec], height: Mapping[int, int], ledger: Ledger) -> None:
        self._jobs = jobs
        self._height = height
        self._ledger = ledger
        self._heap: list[tuple[int, int]] = []
        self._passes: dict[int, int] = {}

    def push(self, job_id: int) -> None:
        """A job may run."""
        heapq.heappush(self._heap, (-self._height[job_id], job_id))

    def clear(self) -> list[int]:
        """Take all out."""
        taken, self._heap = [job_id for _, job_id in sorted(self._heap)], []
        return taken

    def next(self) -> JobSpec | None:
        """The job that is likely to be granted next."""
        return self._jobs[self._heap[0][1]] if self._heap else None

    def costs(self) -> Iterator[tuple[int, int]]:
        """Millicores and bytes that each of them takes, the likely next one first."""
        return (self._ledger.cost(self._jobs[job_id].request) for _, job_id in self._heap)

    def grant(self) -> list[Grant]:
        """Hand out what is free; smaller jobs may pass one that does not fit, but only few, and not for ever."""
        granted: list[Grant] = []
        passed: list[tuple[int, int]] = []
        while self._heap and len(passed) <= _LOOK_AHEAD and self._ledger.free_mcpu > 0:
            entry = heapq.heappop(self._heap)
            job = self._jobs[entry[1]]
            mcpu, memory = self._ledger.cost(job.request)
            if self._ledger.fits(mcpu, memory):
                granted.append(Grant(job, self._ledger.take(mcpu, memory), mcpu, memory))
                continue
            passed.append(entry)
            if self._starves(entry[1]):
                break
        for entry in passed:
            heapq.heappush(self._heap, entry)
        return granted

    def _starves(self, job_id: int) -> bool:
        self._passes[job_id] = self._passes.get(job_id, 0) + 1
        return self._passes[job_id] > _PASSES

    def release(self, grant: Grant) -> None:
        """Give back what was granted."""
        self._ledger.give_back(grant.mcpu, grant.memory, grant.slot)

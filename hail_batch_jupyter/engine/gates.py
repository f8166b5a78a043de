"""Where ready jobs wait before they ask for cores: for their group to have fewer jobs at once, and for GPUs."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional

from hail_batch_jupyter.core.ports import Gpu
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec

_BATCH = 0


class _Way(NamedTuple):
    """What a job needs to get through: a place in each of these groups, and devices."""

    groups: tuple[int, ...]
    gpus: int
    gpu_kind: Optional[str]


class Gates:
    """Lets a job through when all its limited groups have a place and enough GPUs are free; it holds them until it leaves.

    Where `gpus` is None somebody else hands out devices.
    Of those that wait, the ones with the longest way to the end of the graph come first, then the order of their numbers.
    """

    def __init__(self, spec: BatchSpec, height: Mapping[int, int], gpus: Sequence[Gpu] | None) -> None:
        self._height = height
        self._most = {group.group_id: group.at_most for group in spec.groups if group.at_most is not None}
        if spec.at_most is not None:
            self._most[_BATCH] = spec.at_most
        self._limited = {_BATCH: tuple(self._most.keys() & {_BATCH})}
        for group in spec.groups:
            chain = (*spec.groups_of(group.group_id), _BATCH)
            self._limited[group.group_id] = tuple([number for number in chain if number in self._most])
        self._inside: Counter[int] = Counter()
        self._counts_gpus = gpus is not None
        self._free_gpus = list(gpus or ())
        self._held: dict[int, list[Gpu]] = {}
        self._ways: dict[int, _Way] = {}
        self._waiting: dict[_Way, list[tuple[int, int]]] = {}

    @staticmethod
    def needed(spec: BatchSpec) -> bool:
        """Whether anything in the run is limited so."""
        return spec.at_most is not None or any(group.at_most for group in spec.groups) or any(job.request.gpus for job in spec.jobs)

    def enter(self, job: JobSpec) -> bool:
        """Whether the job may go on now; else it waits here."""
        way = _Way(self._limited[job.group], job.request.gpus if self._counts_gpus else 0, job.request.gpu_kind)
        if way.gpus == 0 and not way.groups:
            return True
        self._ways[job.job_id] = way
        if self._open(way):
            self._pass(job.job_id, way)
            return True
        heapq.heappush(self._waiting.setdefault(way, []), (-self._height[job.job_id], job.job_id))
        return False

    def leave(self, job_id: int) -> list[int]:
        """Give back what the job held; gives the jobs that go on because of that."""
        way = self._ways.pop(job_id, None)
        if way is None:
            return []
        self._inside.subtract(way.groups)
        self._free_gpus.extend(self._held.pop(job_id, ()))
        passed: list[int] = []
        while True:
            open_ways = [(heap[0], other) for other, heap in self._waiting.items() if self._open(other)]
            if not open_ways:
                return passed
            (_, next_id), other = min(open_ways)
            self._take(other)
            self._pass(next_id, other)
            passed.append(next_id)

    def _take(self, way: _Way) -> None:
        heapq.heappop(self._waiting[way])
        if not self._waiting[way]:
            del self._waiting[way]

    def _open(self, way: _Way) -> bool:
        room = all(self._inside[group] < self._most[group] for group in way.groups)
        return room and sum(_fits(gpu, way.gpu_kind) for gpu in self._free_gpus) >= way.gpus if way.gpus else room

    def _pass(self, job_id: int, way: _Way) -> None:
        self._inside.update(way.groups)
        if way.gpus:
            chosen = [gpu for gpu in self._free_gpus if _fits(gpu, way.gpu_kind)][: way.gpus]
            self._free_gpus = [gpu for gpu in self._free_gpus if gpu not in chosen]
            self._held[job_id] = chosen

    def gpus_of(self, job_id: int) -> tuple[str, ...]:
        """The devices that a job holds, by their numbers."""
        return tuple([gpu.number for gpu in self._held.get(job_id, ())])

    def clear(self) -> list[int]:
        """Take out all that wait, in the order of their numbers."""
        found = sorted(job_id for heap in self._waiting.values() for _, job_id in heap)
        self._waiting = {}
        for job_id in found:
            del self._ways[job_id]
        return found


def _fits(gpu: Gpu, kind: str | None) -> bool:
    return kind is None or kind.lower() in gpu.kind.lower()

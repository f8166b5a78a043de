"""In which order jobs run, and what the end of one means for the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Callable

from hail_batch_jupyter.core.spec import Edge, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import CycleError


class Verdict(str, Enum):
    """What may be done with a job now."""

    READY = "ready"
    WAIT = "wait"
    CANCEL = "cancel"


def verdict(edges: Iterable[Edge], states: Mapping[int, JobState], always_run: bool, cancelled: bool = False) -> Verdict:
    """Whether a job may run, must wait or is cancelled, from the states of its parents.

    A job waits for all its parents to end, even after one has failed; then an unsuccessful parent, or the cancelled
    batch, cancels it unless it is `always_run`. An edge on='end' asks for the end only.
    Source: the Batch Service's state machine.
    """
    broken = cancelled
    for edge in edges:
        state = states[edge.job_id]
        if not state.complete:
            return Verdict.WAIT
        broken = broken or (edge.on == "success" and state is not JobState.SUCCESS)
    return Verdict.CANCEL if broken and not always_run else Verdict.READY


class Frontier:
    """Which jobs become ready or cancelled as others end; all calls of a run together cost O(jobs + edges).

    Jobs of earlier runs of the same batch are known by `done` only.
    """

    def __init__(self, jobs: Sequence[JobSpec], done: Mapping[int, JobState]) -> None:
        self.states: dict[int, JobState] = dict(done)
        self._jobs = {job.job_id: job for job in jobs}
        self._children: dict[int, list[int]] = {}
        self._waiting: dict[int, int] = {}
        for job in jobs:
            self.states[job.job_id] = JobState.PENDING
        for job in jobs:
            open_parents = [edge.job_id for edge in job.parents if not self.states[edge.job_id].complete]
            self._waiting[job.job_id] = len(open_parents)
            for parent in open_parents:
                self._children.setdefault(parent, []).append(job.job_id)

    def begin(self) -> list[int]:
        """Jobs that wait for nobody, in order of their numbers."""
        return [job_id for job_id, count in self._waiting.items() if not count]

    def end(self, job_id: int, state: JobState) -> list[int]:
        """Note the end of a job; gives those that now wait for nobody."""
        self.states[job_id] = state
        settled = []
        for child in self._children.get(job_id, ()):
            self._waiting[child] -= 1
            if not self._waiting[child]:
                settled.append(child)
        return settled

    def verdict(self, job_id: int, cancelled: bool = False) -> Verdict:
        """The verdict on one job as things stand."""
        job = self._jobs[job_id]
        return verdict(job.parents, self.states, job.always_run, cancelled)


def topological_order(count: int, parents_of: Callable[[int], Iterable[int]], name_of: Callable[[int], str]) -> list[int]:
    """Indexes 0..count-1 so that parents stand before children, depth first in the given order; no recursion.

    Raises CycleError naming the jobs of one cycle.
    """
    done = [0] * count
    order: list[int] = []
    for root in range(count):
        if done[root]:
            continue
        done[root] = 1
        path = [(root, iter(parents_of(root)))]
        while path:
            node, parents = path[-1]
            for parent in parents:
                if done[parent] == 1:
                    raise _cycle([index for index, _ in path], parent, name_of)
                if not done[parent]:
                    done[parent] = 1
                    path.append((parent, iter(parents_of(parent))))
                    break
            else:
                done[node] = 2
                order.append(node)
                path.pop()
    return order


def _cycle(path: Sequence[int], again: int, name_of: Callable[[int], str]) -> CycleError:
    members = list(path[path.index(again) :])
    names = [name_of(index) for index in [*members, again]]
    shown = " -> ".join(names if len(names) <= 12 else [*names[:6], "…", *names[-5:]])
    return CycleError(f"cycle detected in dependency graph: {shown} (each waits for the next); remove one of these dependencies", names)


def heights(jobs: Sequence[JobSpec]) -> dict[int, int]:
    """Length of the longest way from each job to the end of the graph; the engine starts long ways first."""
    height = {job.job_id: 0 for job in jobs}
    for job in reversed(jobs):
        step = height[job.job_id] + 1
        for edge in job.parents:
            if edge.job_id in height and height[edge.job_id] < step:
                height[edge.job_id] = step
    return height


def descendants(jobs: Sequence[JobSpec], roots: Iterable[int]) -> set[int]:
    """The given jobs and everything that follows from them."""
    children: dict[int, list[int]] = {}
    for job in jobs:
        for edge in job.parents:
            children.setdefault(edge.job_id, []).append(job.job_id)
    found = set(roots)
    queue = deque(found)
    while queue:
        for child in children.get(queue.popleft(), ()):
            if child not in found:
                found.add(child)
                queue.append(child)
    return found

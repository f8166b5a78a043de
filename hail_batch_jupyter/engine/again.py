"""Jobs that are tried again by themselves: how often they were, and those that wait for their next attempt."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection
from typing import Callable

from hail_batch_jupyter.core.retry import delay_s, more_memory, tries_again
from hail_batch_jupyter.core.spec import JobSpec


class Again:
    """Counts the attempts of jobs with a retry policy and keeps those that wait; all times are monotonic seconds."""

    def __init__(self) -> None:
        self._tried: Counter[int] = Counter()
        self._losses: Counter[int] = Counter()
        self._waiting: list[tuple[float, int]] = []
        self._held: dict[int, Callable[[], bool]] = {}

    def delay_s(self, job: JobSpec, attempt: int, cause: str, exit_code: int | None) -> float | None:
        """Seconds until the job is tried again after an attempt that ended so; None if it is not."""
        retry = job.retry
        if retry is None:
            return None
        self._tried[job.job_id] += 1
        tried = self._tried[job.job_id]
        if attempt >= job.n_max_attempts or not tries_again(retry, cause, exit_code, tried):
            return None
        return delay_s(retry, tried)

    def delay_after_loss_s(self, job: JobSpec, attempt: int) -> float | None:
        """As `delay_s`, after its worker was lost; at once where the policy does not speak of that."""
        ruled = job.retry is not None and "lost" in job.retry.on
        return self.delay_s(job, attempt, "lost", None) if ruled else 0.0

    def after_loss(self, job: JobSpec, reason: str) -> tuple[JobSpec, str]:
        """The job as it is tried after its worker was lost, and why that was."""
        limit = job.retry.no_spot_after if job.retry is not None else None
        if limit is None or job.request.spot is False:
            return job, reason
        self._losses[job.job_id] += 1
        if self._losses[job.job_id] < limit:
            return job, reason
        return job._replace(request=job.request._replace(spot=False)), f"{reason}; the next attempt is on a machine that stays"

    def wait(self, job_id: int, due: float) -> None:
        """Keep the job until then."""
        heapq.heappush(self._waiting, (due, job_id))

    def hold(self, job_id: int, until: Callable[[], bool]) -> None:
        """Keep the job until the condition, which is looked at by every `due`, holds."""
        self._held[job_id] = until

    def next_due(self) -> float | None:
        """When the first of them is due."""
        return self._waiting[0][0] if self._waiting else None

    def due(self, now: float) -> list[int]:
        """Take out those whose waiting is over."""
        found = [job_id for job_id, until in self._held.items() if until()]
        for job_id in found:
            del self._held[job_id]
        while self._waiting and self._waiting[0][0] <= now:
            found.append(heapq.heappop(self._waiting)[1])
        return found

    def take_out(self, job_ids: Collection[int]) -> None:
        """Forget those of these that wait."""
        self._held = {job_id: until for job_id, until in self._held.items() if job_id not in job_ids}
        self._waiting = [entry for entry in self._waiting if entry[1] not in job_ids]
        heapq.heapify(self._waiting)

    def waiting(self) -> list[int]:
        """All that wait."""
        return [*(job_id for _, job_id in self._waiting), *self._held]


def with_more_memory(job: JobSpec, peak_bytes: int, most_bytes: int) -> JobSpec:
    """The job as it is tried after running out of memory."""
    assert job.retry is not None
    memory = more_memory(job.retry, job.request.memory_bytes, peak_bytes, most_bytes)
    return job._replace(request=job.request._replace(memory_bytes=memory))

"""What of a run was cancelled: all of it, groups, single jobs; and the failures of groups that cancel them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hail_batch_jupyter.core.spec import BatchSpec, JobSpec

CANCELLED = "cancelled"


class Cancels:
    """Says of a job whether it is cancelled, and of failures which groups they cancel."""

    def __init__(self, spec: BatchSpec) -> None:
        self.all = False
        self.any = False
        self._spec = spec
        self._chains = {group.group_id: spec.groups_of(group.group_id) for group in spec.groups}
        self._groups: set[int] = set()
        self._jobs: dict[int, str] = {}
        self._failed: Counter[int] = Counter()

    def whole(self) -> None:
        """Cancel the run."""
        self.all = self.any = True

    def group(self, group_id: int) -> bool:
        """Cancel a group; False if there is no such group, or it is cancelled already."""
        if group_id not in self._chains or group_id in self._groups:
            return False
        self._groups.add(group_id)
        self.any = True
        return True

    def jobs(self, job_ids: Iterable[int], reason: str = "") -> None:
        """Cancel single jobs, those that always run too: somebody named them, or there is a reason."""
        self._jobs.update(dict.fromkeys(job_ids, reason or "cancelled by the user"))
        self.any = True

    def why(self, job: JobSpec) -> str:
        """Why the job is cancelled, '' if it is not."""
        if job.job_id in self._jobs:
            return self._jobs[job.job_id]
        if job.always_run:
            return ""
        if self.all:
            return CANCELLED
        stopped = next((group for group in self._chains.get(job.group, ()) if group in self._groups), 0)
        return f"its group {self._spec.groups[stopped - 1].name!r} was cancelled" if stopped else ""

    def failed(self, job: JobSpec) -> list[tuple[int, str]]:
        """Note the failure of a job; gives the groups that have reached their limit by it, and the words for it."""
        reached = []
        for group_id in self._chains.get(job.group, ()):
            self._failed[group_id] += 1
            limit, group = self._failed[group_id], self._spec.groups[group_id - 1]
            if limit == group.cancel_after_n_failures and group_id not in self._groups:
                reached.append((group_id, f"{limit} jobs of group {group.name!r} failed, which is its limit"))
        return reached

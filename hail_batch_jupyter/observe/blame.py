"""Which job is to blame for one that was cancelled because it needs others."""

from __future__ import annotations

from typing import Optional

from hail_batch_jupyter.core.events import BatchSnapshot, JobView
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.core.state import BROKEN, JobState

NEEDED = "a job that it needs did not succeed"
"""Why a job is cancelled whose parents did not all succeed."""


def blame(spec: BatchSpec, snapshot: BatchSnapshot) -> dict[int, int]:
    """For each job that never ran because of its parents: the job that failed, or was cancelled for another reason.

    Of several the first that failed; parents that were cancelled for the same reason are passed over to theirs. One pass: parents come before their children.
    """
    found: dict[int, int] = {}
    views = {view.job_id: view for view in snapshot.jobs}
    for job in spec.jobs:
        if not _is_doomed(views[job.job_id]):
            continue
        parents = [edge.job_id for edge in job.parents if edge.on == "success" and edge.job_id in views]
        guilty = [found.get(parent, parent) for parent in parents if views[parent].state in (*BROKEN, JobState.CANCELLED)]
        if guilty:
            found[job.job_id] = next((other for other in guilty if views[other].state in BROKEN), guilty[0])
    return found


def blamed(spec: BatchSpec, snapshot: BatchSnapshot, job_id: int) -> Optional[JobView]:
    """The job because of which this one never ran, None for one that ended in any other way."""
    first = spec.jobs[0].job_id
    other = blame(spec, snapshot).get(job_id) if _is_doomed(snapshot.jobs[job_id - first]) else None
    return None if other is None else snapshot.jobs[other - first]


def reasons(spec: BatchSpec, snapshot: BatchSnapshot) -> list[str]:
    """Why each job is in its state, as people read it: for one that was cancelled because of another, the name of that one."""
    if not any(map(_is_doomed, snapshot.jobs)):
        return [view.reason for view in snapshot.jobs]
    found, first = blame(spec, snapshot), spec.jobs[0].job_id
    return [_words(spec, snapshot.jobs[found[view.job_id] - first]) if view.job_id in found else view.reason for view in snapshot.jobs]


def reason_of(spec: BatchSpec, snapshot: BatchSnapshot, view: JobView) -> str:
    """The same of one job."""
    other = blamed(spec, snapshot, view.job_id)
    return view.reason if other is None else _words(spec, other)


def _words(spec: BatchSpec, other: JobView) -> str:
    return f"{spec.job(other.job_id).display_name!r}, which it needs, {'failed' if other.state in BROKEN else 'was cancelled'}"


def _is_doomed(view: JobView) -> bool:
    """Whether a job never ran because of its parents; a batch service gives no reason."""
    return view.state is JobState.CANCELLED and not view.attempt and view.reason in (NEEDED, "")

"""The states of jobs and batches, in the words of the Batch Service, and which may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class JobState(str, Enum):
    """Where a job is; the values are the words of the wire."""

    PENDING = "Pending"
    READY = "Ready"
    CREATING = "Creating"
    RUNNING = "Running"
    SUCCESS = "Success"
    FAILED = "Failed"
    ERROR = "Error"
    CANCELLED = "Cancelled"

    @property
    def complete(self) -> bool:
        """True when nothing follows any more."""
        return self in COMPLETE

    @property
    def unsuccessful(self) -> bool:
        """True for a final state other than Success."""
        return self in UNSUCCESSFUL


class BatchState(str, Enum):
    """What is said of the whole; `failure` may be said while jobs still run."""

    OPEN = "open"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"


UNSUCCESSFUL = frozenset({JobState.FAILED, JobState.ERROR, JobState.CANCELLED})
COMPLETE = UNSUCCESSFUL | {JobState.SUCCESS}
BROKEN = frozenset({JobState.FAILED, JobState.ERROR})

_NEXT: Mapping[JobState, frozenset[JobState]] = {
    JobState.PENDING: frozenset({JobState.READY}),
    JobState.READY: frozenset({JobState.CREATING, JobState.RUNNING, JobState.SUCCESS, JobState.CANCELLED, JobState.ERROR}),
    JobState.CREATING: frozenset({JobState.CREATING, JobState.RUNNING, JobState.READY}),
    JobState.RUNNING: frozenset({JobState.RUNNING, JobState.SUCCESS, JobState.FAILED, JobState.ERROR, JobState.READY}),
}
"""Ready to Success is a job taken over from an earlier run; Running to Running is a new phase of one attempt, Creating to Creating a new reason to wait."""


def may_follow(before: JobState, after: JobState) -> bool:
    """Whether `after` may come directly after `before`."""
    return after in _NEXT.get(before, frozenset())


def roll_up(counts: Mapping[JobState, int], cancelled: bool) -> BatchState:
    """The state of a batch: any failure wins, then any cancellation, then completeness.

    Source: the Batch Service's order of precedence; a batch without jobs is a success.
    """
    if any(counts.get(state, 0) for state in BROKEN):
        return BatchState.FAILURE
    if cancelled or counts.get(JobState.CANCELLED, 0):
        return BatchState.CANCELLED
    if all(state.complete or not count for state, count in counts.items()):
        return BatchState.SUCCESS
    return BatchState.RUNNING

"""The failure of a run as one exception that says what failed and shows where to look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hail_batch_jupyter.core.events import BatchSnapshot, JobView
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.core.state import BROKEN, JobState
from hail_batch_jupyter.errors import JobFailedError

_SHOWN = 5
_LINES = 10


class _Run(Protocol):
    id: object
    spec: BatchSpec

    def log_tail(self, job_id: int, lines: int = 10) -> str: ...


def job_failed_error(run: _Run, snapshot: BatchSnapshot, job_ids: Sequence[int] | None = None) -> JobFailedError | None:
    """The exception for the jobs that failed, None if none did.

    With `job_ids` only these count, and then a cancelled one is a failure too. Without, cancelled jobs count when
    nothing failed and the run has ended: the run was cancelled.
    """
    named = None if job_ids is None else set(job_ids)
    views = [view for view in snapshot.jobs if named is None or view.job_id in named]
    failed = [view for view in views if view.state in BROKEN]
    if not failed and (named is not None or snapshot.ended_ms is not None):
        failed = [view for view in views if view.state is JobState.CANCELLED]
    if not failed:
        return None
    logs = {view.job_id: run.log_tail(view.job_id, _LINES) for view in failed[:_SHOWN]}
    rows = [(view.job_id, run.spec.job(view.job_id).display_name, view.state.value, view.exit_code) for view in failed]
    return JobFailedError(_message(run, failed, logs, len(snapshot.jobs)), rows, logs, _returncode(failed[0]))


def _returncode(view: JobView) -> int:
    if view.exit_code is not None:
        return view.exit_code
    return 124 if view.reason == "timed out" else 1


def _message(run: _Run, failed: Sequence[JobView], logs: dict[int, str], n_jobs: int) -> str:
    cancelled = failed[0].state is JobState.CANCELLED
    verb = "was cancelled" if cancelled else "failed"
    lines = [f"{len(failed)} of {n_jobs} jobs {'were cancelled' if cancelled else 'failed'} in run {run.id}"]
    if len(failed) == 1:
        lines = [f"job {run.spec.job(failed[0].job_id).display_name!r} {verb} in run {run.id}"]
    for view in failed[:_SHOWN]:
        lines.append(f"  {run.spec.job(view.job_id).display_name}: {describe_end(view)}")
        lines.extend(f"    | {line}" for line in logs[view.job_id].splitlines())
    if len(failed) > _SHOWN:
        lines.append(f"  … and {len(failed) - _SHOWN} more")
    return "\n".join(lines)


def describe_end(view: JobView) -> str:
    """'Failed with exit code 3', 'Error (timed out)', 'Failed (out of memory), exit code 137'."""
    if view.reason and view.exit_code is not None:
        return f"{view.state.value} ({view.reason}), exit code {view.exit_code}"
    if view.reason:
        return f"{view.state.value} ({view.reason})"
    return f"{view.state.value} with exit code {view.exit_code}" if view.exit_code is not None else view.state.value

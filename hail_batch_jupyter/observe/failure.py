"""The failure of a run as one exception that says what failed and shows where to look."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from typing import Protocol

from hail_batch_jupyter.core.events import BatchSnapshot, JobView
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.core.state import BROKEN, JobState
from hail_batch_jupyter.errors import JobFailedError
from hail_batch_jupyter.observe.blame import blamed, reason_of

_SHOWN = 5
_LINES = 10
_WORD = re.compile(r"[\w.-]+")


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
    told = [view._replace(reason=reason_of(run.spec, snapshot, view)) for view in failed[:_SHOWN]]
    failed = [*told, *failed[_SHOWN:]]
    if snapshot.lost and failed[0].state is JobState.CANCELLED:
        return JobFailedError(_lost_message(run, snapshot, len(failed)), _rows(run, failed), {}, _returncode(failed[0]))
    logs = {view.job_id: run.log_tail(view.job_id, _LINES) for view in failed[:_SHOWN]}
    return JobFailedError(_message(run, snapshot, failed, logs), _rows(run, failed), logs, _returncode(failed[0]))


def _rows(run: _Run, failed: Sequence[JobView]) -> list[tuple[int, str, str, int | None]]:
    return [(view.job_id, run.spec.job(view.job_id).display_name, view.state.value, view.exit_code) for view in failed]


def _lost_message(run: _Run, snapshot: BatchSnapshot, n_missing: int) -> str:
    """Nobody cancelled these jobs."""
    return (
        f"run {run.id} stopped before its end ({snapshot.note}); {n_missing} of {len(snapshot.jobs)} jobs had not finished: run the batch again to do the rest"
    )


def _returncode(view: JobView) -> int:
    if view.exit_code is not None:
        return view.exit_code
    return 124 if view.reason == "timed out" else 1


def _message(run: _Run, snapshot: BatchSnapshot, failed: Sequence[JobView], logs: dict[int, str]) -> str:
    names = {view.job_id: run.spec.job(view.job_id).display_name for view in failed[:_SHOWN]}
    first = failed[0]
    told = blamed(run.spec, snapshot, first.job_id) or first  # a job that never ran has printed nothing
    where = _where(run.spec.job(told.job_id).display_name, told.job_id)
    if len(failed) == 1:
        log = run.log_tail(told.job_id, _LINES) if told is not first else logs[first.job_id]
        return "\n".join([f"job {names[first.job_id]!r} {_ended(first)} in run {run.id}; {where}", *_indented(log)])
    verb = "were cancelled" if first.state is JobState.CANCELLED else "failed"
    lines = [f"{len(failed)} of {len(snapshot.jobs)} jobs {verb} in run {run.id}; {where}"]
    for job_id, view in zip(names, failed):
        lines.append(f"  {names[job_id]}: {describe_end(view)}")
        lines.extend(_indented(logs[job_id]))
    if len(failed) > _SHOWN:
        lines.append(f"  … and {len(failed) - _SHOWN} more")
    return "\n".join(lines)


def _ended(view: JobView) -> str:
    return f"was {describe_end(view)}" if view.state is JobState.CANCELLED else describe_end(view)


def _where(name: str, job_id: int) -> str:
    """The way to all that a job printed, in a notebook and in a script."""
    return f"%batch_log {name if _WORD.fullmatch(name) else job_id}, or get_job_log({job_id}), gives all that it printed"


def _indented(log: str) -> list[str]:
    return [f"    | {line}" for line in log.splitlines()]


def describe_end(view: JobView) -> str:
    """'failed with exit code 3', 'failed with exit code 137 (SIGKILL)', 'failed (out of memory), exit code 137', 'cancelled (by the user)'."""
    word = "cancelled" if view.state is JobState.CANCELLED else "failed"
    if view.reason and view.exit_code is not None:
        return f"{word} ({view.reason}), exit code {view.exit_code}"
    if view.reason:
        return word if view.reason == word else f"{word} ({view.reason})"
    return f"{word} with exit code {view.exit_code}{_signal_words(view.exit_code)}" if view.exit_code is not None else word


def _signal_words(exit_code: int) -> str:
    """' (SIGKILL)' for 137: a shell adds 128 to the number of the signal that ended its command."""
    try:
        return f" ({signal.Signals(exit_code - 128).name})"
    except ValueError:
        return ""

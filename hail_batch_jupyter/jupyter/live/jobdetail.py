"""What the sheet of one job shows beside its log; never a value of its environment."""

from __future__ import annotations

from collections.abc import Sequence

from hail_batch_jupyter.core.events import AttemptView, JobView
from hail_batch_jupyter.core.spec import SCRATCH, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.jupyter.live import joblog
from hail_batch_jupyter.jupyter.live.graph import Message
from hail_batch_jupyter.jupyter.words import waits_text
from hail_batch_jupyter.observe.blame import blamed, reason_of
from hail_batch_jupyter.observe.earlier import Origin, origin_of
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.observe.usage import Figures, figures, hint, last_figures

_MAX_COMMAND = 20_000
_MAX_PATHS = 50
_MAX_ATTEMPTS = 50


def job_detail(running: RunningBatch, number: int) -> Message:
    """All of it as JSON; `number` counts from 0.

    Raises ValueError when there is no such job.
    """
    if not isinstance(number, int) or not 0 <= number < len(running.spec.jobs):
        raise ValueError(f"this run has no job {number!r}")
    snapshot = running.snapshot()
    job, view = running.spec.jobs[number], snapshot.jobs[number]
    origin = origin_of(running, job.job_id)
    shown, shown_id = (running, job.job_id) if origin is None or origin.running is None else (origin.running, origin.job_id)
    logs = joblog.names(shown, shown_id)
    path = shown.log_path(shown_id)
    other = blamed(running.spec, snapshot, job.job_id)
    return {
        "job_id": job.job_id,
        "name": job.display_name,
        "groups": [running.spec.groups[group - 1].name for group in reversed(running.spec.groups_of(job.group))],
        "state": view.state.value,
        "exit_code": view.exit_code,
        "reason": reason_of(running.spec, snapshot, view) or waits_text(running, view),
        "blamed": None if other is None else {"job": other.job_id - running.spec.jobs[0].job_id, "name": running.spec.job(other.job_id).display_name},
        "command": (job.user_code or " ".join(job.command))[:_MAX_COMMAND],
        "image": job.image or "",
        "inputs": _short([*[transfer.source for transfer in job.inputs], *job.needs]),
        "outputs": _short([*[transfer.dest for transfer in job.outputs], *job.promises]),
        "env": sorted(job.env),
        "always_run": job.always_run,
        "ready_ms": view.ready_ms,
        "started_ms": view.started_ms,
        "ended_ms": view.ended_ms,
        "use": _use(job, view),
        "hint": hint(job.request, view),
        "attempts": [_attempt(job, view, attempt, logs) for attempt in view.attempts[-_MAX_ATTEMPTS:]],
        "logs": [[attempt, names] for attempt, names in logs.items()],
        "log_path": "" if path is None else str(path),
        "log_of": None if origin is None else _log_of(origin),
        "deeds": _deeds(running, view),
    }


def _log_of(origin: Origin) -> Message:
    """The run in which the job ran, and what is said above its log."""
    if origin.running is None:
        return {"run": "", "text": f"The result was taken over from run {origin.run_id}, which is no longer here, nor is its log."}
    return {"run": origin.run_id, "text": f"The result was taken over from run {origin.run_id}; this is the log of the job there."}


def _use(job: JobSpec, view: JobView) -> Message:
    facts = last_figures(job.request, view)
    return {
        "cores": [facts.cores_asked, facts.cores_granted, facts.cores_used],
        "memory_bytes": [facts.asked_bytes, facts.granted_bytes, _signed(facts)],
        "gpus": list(facts.gpus),
    }


def _signed(facts: Figures) -> int | None:
    """The memory at its peak, below zero where it is at most so much."""
    return -facts.peak_bytes if facts.peak_bytes and facts.at_most else facts.peak_bytes


def _attempt(job: JobSpec, view: JobView, attempt: AttemptView, logs: dict[int, list[str]]) -> Message:
    facts = figures(job.request, attempt)
    return {
        "number": attempt.number,
        "state": _state(view, attempt),
        "exit_code": attempt.exit_code,
        "reason": attempt.reason,
        "started_ms": attempt.started_ms,
        "ended_ms": attempt.ended_ms,
        "cores_used": facts.cores_used,
        "peak_bytes": _signed(facts),
        "logs": logs.get(attempt.number, []),
    }


def _state(view: JobView, attempt: AttemptView) -> str:
    """An attempt before another one did not succeed."""
    if attempt.number == view.attempt and (view.state.complete or attempt.ended_ms is None):
        return view.state.value
    return JobState.FAILED.value


def _deeds(running: RunningBatch, view: JobView) -> Message:
    """Which of the deeds there are: '' for those that may be done now, else why not; None where they make no sense now."""
    ended = running.snapshot().ended_ms is not None
    can_cancel = not view.state.complete and not ended
    can_retry = view.state.complete and view.state is not JobState.SUCCESS
    part = "" if running.directory is not None else f"{running.runs_on} ends whole batches only: Cancel above ends the run"
    again = "" if running.can_retry else f"{running.runs_on} does not do a part of a batch again: run the batch again"
    return {"cancel": part if can_cancel else None, "retry": (again or ("" if ended else "The run goes on; retry when it has ended")) if can_retry else None}


def _short(paths: Sequence[str]) -> list[str]:
    shown = [path.removeprefix(f"{SCRATCH}/") for path in dict.fromkeys(paths)]
    return shown if len(shown) <= _MAX_PATHS else [*shown[:_MAX_PATHS], f"… and {len(shown) - _MAX_PATHS} more"]

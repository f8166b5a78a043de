"""The Batch Service's JSON of what is read, as events: what two looks at a job say happened in between.

Source: the Batch Service's protocol, chapters 7, 9 and 10. What is posted is in `core.wire`.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from hail_batch_jupyter.core.events import Granted, JobEvent, JobView, Usage
from hail_batch_jupyter.core.state import JobState

_CONTAINERS = ("input", "main", "output")
_AFTER_ATTEMPTS = (JobState.READY, JobState.CREATING, JobState.CANCELLED)
"""The last attempt of a job in one of these has ended."""
_RUNS = (JobState.SUCCESS, JobState.FAILED)


class Counters(NamedTuple):
    """How far a batch is; two equal ones mean that no job ended in between."""

    n_jobs: int
    n_completed: int
    state: str
    complete: bool


def counters(status: Mapping[str, Any]) -> Counters:
    """The counters in the status of a batch."""
    return Counters(status["n_jobs"], status["n_completed"], status["state"], status["complete"])


def job_events(view: JobView, entry: Mapping[str, Any], now_ms: int, reason: str = "") -> list[JobEvent]:
    """Events, all numbered 0, that take a job from what is known to what an entry of the list of jobs says.

    Steps that nobody saw are put in; times that the entry does not tell are `now_ms`. A service of ours tells of each attempt, too.
    """
    state = JobState(entry["state"])
    if entry.get("attempts"):
        return _by_attempts(view, entry, now_ms, reason)
    ended_ms = milliseconds(entry.get("end_time")) or now_ms
    duration_ms = entry.get("duration")
    started_ms = ended_ms - int(duration_ms) if state.complete and duration_ms is not None else now_ms
    found = []
    for step in _steps(view.state, state, duration_ms is not None):
        if step.complete:
            cost_usd = max(0.0, float(entry.get("cost") or 0.0) - view.cost_usd)
            found.append(JobEvent(0, ended_ms, view.job_id, step, max(view.attempt, 1), exit_code=entry.get("exit_code"), reason=reason, cost_usd=cost_usd))
        elif step is JobState.READY:
            found.append(JobEvent(0, min(started_ms, now_ms), view.job_id, step))
        else:
            attempt = view.attempt + (view.state is not JobState.CREATING)
            found.append(JobEvent(0, started_ms, view.job_id, step, attempt, "main" if step is JobState.RUNNING else ""))
    return found


def has_news(view: JobView, entry: Mapping[str, Any]) -> bool:
    """Whether an entry says something that is not known of the job."""
    told = entry.get("attempts")
    return bool(view.state.value != entry["state"] or (told and told[-1]["number"] > view.attempt))


def _by_attempts(view: JobView, entry: Mapping[str, Any], now_ms: int, reason: str) -> list[JobEvent]:
    """As `job_events`, of an entry that tells of attempts: each that is not known begins, and ends, at its own time."""
    told, state, at = entry["attempts"], JobState(entry["state"]), view.state
    found: list[JobEvent] = []
    if at.complete:
        return found
    for attempt in told:
        known = attempt["number"] == view.attempt and at is JobState.RUNNING
        if attempt["number"] < view.attempt or (attempt["number"] == view.attempt and at is JobState.READY):
            continue
        found += [] if known else _beginning(attempt, view.job_id, at, now_ms)
        at = JobState.RUNNING
        if attempt is not told[-1] or state in _AFTER_ATTEMPTS:
            found.append(_ending(attempt, view.job_id, JobState.READY, now_ms))
            at = JobState.READY
    if state is JobState.CREATING and at is JobState.READY:
        found.append(JobEvent(0, now_ms, view.job_id, state, told[-1]["number"] + 1))
    if state.complete:
        final = JobEvent(0, milliseconds(entry.get("end_time")) or now_ms, view.job_id, state)
        if at is JobState.RUNNING:
            final = _ending(told[-1], view.job_id, state, now_ms)
        cost_usd = max(0.0, float(entry.get("cost") or 0.0) - view.cost_usd)
        found.append(final._replace(exit_code=entry.get("exit_code"), reason=reason or final.reason, cost_usd=cost_usd))
    return found


def _beginning(attempt: Mapping[str, Any], job_id: int, at: JobState, now_ms: int) -> list[JobEvent]:
    started_ms = attempt["start_time_ms"] or now_ms
    ready = [] if at in (JobState.READY, JobState.CREATING) else [JobEvent(0, started_ms, job_id, JobState.READY)]
    mcpu = attempt["cores_mcpu"]
    granted = None if mcpu is None else Granted(mcpu, attempt["memory_bytes"] or 0)
    return [*ready, JobEvent(0, started_ms, job_id, JobState.RUNNING, attempt["number"], "main", granted=granted)]


def _ending(attempt: Mapping[str, Any], job_id: int, state: JobState, now_ms: int) -> JobEvent:
    peak_bytes, ended_ms = attempt["max_rss_bytes"], attempt["end_time_ms"] or now_ms
    usage = None if peak_bytes is None else Usage(peak_bytes, attempt["cpu_s"], attempt.get("max_rss_at_most", False))
    return JobEvent(0, ended_ms, job_id, state, attempt["number"], exit_code=attempt["exit_code"], reason=attempt["reason"], usage=usage)


def _steps(before: JobState, after: JobState, ran: bool) -> Sequence[JobState]:
    """The states on the way, the last one included; none where nothing can follow or nothing happened."""
    ready, running = JobState.READY, JobState.RUNNING
    if before is after or before.complete or after is JobState.PENDING:
        return ()
    if after is ready:
        return (ready,)
    begin = () if before is ready else (ready,)
    if after is JobState.CANCELLED:
        return (*begin, after)
    if after in (JobState.CREATING, running):
        return (after,) if before is JobState.CREATING else (*begin, after)
    if before is running:
        return (after,)
    begin = () if before in (ready, JobState.CREATING) else (ready,)
    if after in _RUNS or ran or before is JobState.CREATING:
        return (*begin, running, after)
    return (*begin, after)


def reason_of(job: Mapping[str, Any]) -> str:
    """Why a job ended badly, from its whole answer: 'timed out', 'out of memory', 'image not found', or the last line of an error."""
    status = job.get("status") or {}
    containers = status.get("container_statuses") or {}
    shorts = [(containers.get(name) or {}).get("short_error") for name in _CONTAINERS]
    errors = [status.get("error"), *((containers.get(name) or {}).get("error") for name in _CONTAINERS)]
    for text in (*shorts, *errors):
        if text:
            return str(text).strip().splitlines()[-1]
    return ""


def exit_code_of(job: Mapping[str, Any]) -> Optional[int]:
    """The first exit code above zero among the containers of a job's whole answer, 0 if all are; None while unknown, and after an error."""
    status = job.get("status") or {}
    containers = status.get("container_statuses")
    if not containers or status.get("error"):
        return None
    code = 0
    for name in _CONTAINERS:
        if name in containers:
            found = containers[name] or {}
            ended = (found.get("container_status") or {}).get("exit_code")
            if found.get("error") or ended is None:
                return None
            code = code or int(ended)
    return code


def milliseconds(text: Optional[str]) -> Optional[int]:
    """Milliseconds since the epoch of '2026-03-04T05:06:07.089Z'."""
    if text is None:
        return None
    whole, _, rest = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 1000 + int((rest + "000")[:3])

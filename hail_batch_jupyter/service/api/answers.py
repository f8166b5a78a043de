"""Batches, jobs and attempts as the service tells of them.

Source: the Batch Service's protocol, chapters 7 and 9.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from hail_batch_jupyter.core.events import AttemptView, JobView
from hail_batch_jupyter.core.state import BROKEN, JobState, roll_up
from hail_batch_jupyter.service.api.queries import COLLECTION, Tried
from hail_batch_jupyter.service.api.resources import REGION
from hail_batch_jupyter.service.pricing import Pricing, granted_of
from hail_batch_jupyter.service.running.known import GIVEN_UP, Attempt, Known
from hail_batch_jupyter.service.store.rows import ROOT, JobRow

CONTAINERS = ("input", "main", "output")
_SHORT_ERRORS = ("timed out", "out of memory", "image not found", "image cannot be pulled")
_TOLD_ATTEMPTS = 20
_USAGE_COLUMNS = (
    "time_msecs",
    "memory_in_bytes",
    "cpu_usage",
    "non_io_storage_in_bytes",
    "io_storage_in_bytes",
    "network_bandwidth_upload_in_bytes_per_second",
    "network_bandwidth_download_in_bytes_per_second",
)
_UNITS = ((604_800_000, "week"), (86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"))


def batch_answer(known: Known, pricing: Pricing) -> dict[str, Any]:
    """A batch; its mark is another text whenever something else would be told of it."""
    batch = known.batch
    head = {"id": batch.batch_id, "user": batch.user, "billing_project": batch.project, "token": batch.token}
    created = time_text(batch.created_ms)
    whole = _whole(known, ROOT)
    duration_ms = whole.pop("duration_ms")
    times = {"time_created": created, "time_closed": None, "time_completed": whole.pop("time_completed"), "duration_ms": duration_ms}
    duration = None if duration_ms is None else duration_text(duration_ms)
    return {
        **head,
        **whole,
        "closed": True,
        **times,
        "duration": duration,
        "msec_mcpu": 0,
        "mark": known.mark,
        **_waits(known.waits_for()),
        **_group_cost(known, ROOT, pricing),
        **_attributes(batch.attributes),
    }


def group_answer(known: Known, group_id: int, pricing: Pricing) -> dict[str, Any]:
    """A job group, with what is below it."""
    group = known.groups[group_id]
    whole = _whole(known, group_id)
    duration_ms, completed = whole.pop("duration_ms"), whole.pop("time_completed")
    times = {"time_created": time_text(group.created_ms), "time_completed": completed, "duration": duration_ms}
    money = _group_cost(known, group_id, pricing)
    return {"batch_id": known.batch.batch_id, "job_group_id": group_id, **whole, **times, **money, **_attributes(group.attributes)}


def _whole(known: Known, group_id: int) -> dict[str, Any]:
    """State, counters and end of a group; no time is less than none, though a clock was set back."""
    counts = known.counts(group_id)
    n_jobs = sum(counts.values())
    n_completed = sum(count for state, count in counts.items() if state.complete)
    completed_ms = known.ended_ms(group_id) if n_completed == n_jobs else None
    return {
        "state": roll_up(counts, known.cancelled(group_id)).value,
        "complete": n_completed == n_jobs,
        "n_jobs": n_jobs,
        "n_completed": n_completed,
        "n_succeeded": counts.get(JobState.SUCCESS, 0),
        "n_failed": sum(counts.get(state, 0) for state in BROKEN),
        "n_cancelled": counts.get(JobState.CANCELLED, 0),
        "time_completed": None if completed_ms is None else time_text(completed_ms),
        "duration_ms": None if completed_ms is None else max(0, completed_ms - known.groups[group_id].created_ms),
    }


def job_entry(known: Known, row: JobRow, view: JobView, pricing: Pricing) -> dict[str, Any]:
    """A job as the list of jobs has it; `parent_ids`, its parents' numbers, and `waits_for` are this service's own."""
    batch = known.batch
    ended = view.state.complete and view.ended_ms is not None
    ran = ended and view.started_ms is not None
    return {
        "batch_id": batch.batch_id,
        "job_id": row.job_id,
        "name": row.facts.name,
        "user": batch.user,
        "billing_project": batch.project,
        "state": view.state.value,
        "exit_code": view.exit_code,
        "end_time": time_text(view.ended_ms) if ended and view.ended_ms is not None else None,
        "duration": max(0, view.ended_ms - view.started_ms) if ran and view.ended_ms is not None and view.started_ms is not None else None,
        **_cost(pricing.by_resource(batch.card_id, known.used_by(row, _now_ms()))),
        "msec_mcpu": 0,
        "always_run": row.facts.always_run,
        "display_state": None,
        "parent_ids": list(row.facts.parents),
        **_waits(known.job_waits_for(row, view)),
    }


def job_answer(known: Known, row: JobRow, spec: Mapping[str, Any], pricing: Pricing) -> dict[str, Any]:
    """All that is known of a job."""
    view = known.view(row.job_id)
    entry = {**job_entry(known, row, view, pricing), "attempts": attempts_told(known, row)}
    return {
        **entry,
        "status": _status(known, row, view, spec),
        "spec": dict(spec),
        "inst_coll": COLLECTION,
        **_attributes(row.facts.attributes),
    }


def _waits(what: str) -> dict[str, str]:
    """What is waited for beside other jobs; Hail's service has no such word."""
    return {"waits_for": what} if what else {}


def _status(known: Known, row: JobRow, view: JobView, spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the worker says of a job that was tried, None for others."""
    attempts = known.attempts(row)
    if not attempts or view.state in (JobState.PENDING, JobState.READY):
        return None
    last = attempts[-1]
    if view.reason == GIVEN_UP:
        return _without_worker(known, row, last, spec)
    words = {JobState.SUCCESS: "succeeded", JobState.RUNNING: "running"}
    state = words.get(view.state, view.state.value.lower())
    ended = {"end_time": last.view.ended_ms} if last.view.ended_ms is not None else {}
    return {
        "version": 5,
        "format_version": 7,
        "worker": last.view.node or socket.gethostname(),
        "batch_id": known.batch.batch_id,
        "job_id": row.job_id,
        "job_group_id": row.group_id,
        "attempt_id": last.attempt_id,
        "user": known.batch.user,
        "region": REGION,
        "state": state,
        "resources": [],
        "start_time": last.view.started_ms,
        **ended,
        "container_statuses": _containers(known, row, view, spec, last.view),
        "timing": {},
    }


def _without_worker(known: Known, row: JobRow, last: Attempt, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a job that was given up, which is not the doing of its last attempt."""
    return {
        "version": 5,
        "format_version": 7,
        "worker": None,
        "batch_id": known.batch.batch_id,
        "job_id": row.job_id,
        "job_group_id": row.group_id,
        "attempt_id": last.attempt_id,
        "user": known.batch.user,
        "state": "error",
        "error": GIVEN_UP,
        "container_statuses": dict.fromkeys(containers_of(spec)),
    }


def containers_of(spec: Mapping[str, Any]) -> list[str]:
    """The parts of a job, in their order."""
    return [name for name in CONTAINERS if name == "main" or spec.get(f"{name}_files")]


def _containers(known: Known, row: JobRow, view: JobView, spec: Mapping[str, Any], last: AttemptView) -> dict[str, Any]:
    """How far each part of a job came; the one that failed is known by the reason."""
    names = containers_of(spec)
    broken = next((name for name in ("input", "output") if view.reason.startswith(f"{name} copy failed")), "main")
    at = (view.phase or "main") if view.state is JobState.RUNNING else broken
    place = names.index(at) if at in names else names.index("main")
    found = {}
    for number, name in enumerate(names):
        facts: dict[str, Any] = {"name": f"batch-{known.batch.batch_id}-job-{row.job_id}-{name}", "state": "pending", "timing": {}, "container_status": None}
        if number < place or view.state is JobState.SUCCESS:
            facts.update(_finished("succeeded", 0, last))
        elif number == place:
            facts.update(_last_part(view, last))
        found[name] = facts
    return found


def _last_part(view: JobView, last: AttemptView) -> dict[str, Any]:
    """The part that a job is in, or that it ended in."""
    if view.state is JobState.RUNNING:
        status = {"state": "running", "started_at": last.started_ms}
        return {"state": "running", "timing": {"running": {"start_time": last.started_ms, "finish_time": None, "duration": None}}, "container_status": status}
    if view.state is JobState.FAILED:
        short = {"short_error": view.reason} if view.reason == "out of memory" else {}
        return {**_finished("failed", view.exit_code, last), **short}
    if view.state is JobState.ERROR:
        known = next((words for words in _SHORT_ERRORS if view.reason.startswith(words)), None)
        kind = "ContainerTimeoutError: " if view.reason == "timed out" else ""
        return {**_finished("error", None, last), "error": f"{kind}{view.reason}", **({"short_error": known} if known else {})}
    return {"state": "cancelled"}


def _finished(state: str, exit_code: int | None, last: AttemptView) -> dict[str, Any]:
    duration = None if last.ended_ms is None or last.started_ms is None else max(0, last.ended_ms - last.started_ms)
    status = {"state": "finished", "started_at": last.started_ms, "finished_at": last.ended_ms, "exit_code": exit_code, "out_of_memory": False}
    timing = {"running": {"start_time": last.started_ms, "finish_time": last.ended_ms, "duration": duration}}
    return {"state": state, "timing": timing, "container_status": status}


def tried(known: Known, row: JobRow) -> list[Tried]:
    """The attempts of a job as queries test them."""
    here, now_ms = socket.gethostname(), _now_ms()
    views = [attempt.view for attempt in known.attempts(row)]
    return [Tried(view.node or here, view.started_ms, now_ms if view.ended_ms is None else view.ended_ms) for view in views]


def attempts_answer(known: Known, row: JobRow) -> list[dict[str, Any]] | None:
    """The attempts of a job, None if there are none."""
    found = [_attempt(known, row, attempt) for attempt in known.attempts(row)]
    return found or None


def attempts_told(known: Known, row: JobRow) -> list[dict[str, Any]]:
    """The last attempts of a job in few words, for clients that follow jobs by their list: when, how it ended, what it was given and used."""
    views = [attempt.view for attempt in known.attempts(row)] if row.earlier else known.view(row.job_id).attempts
    return [_told(number, row, view) for number, view in enumerate(views, 1)][-_TOLD_ATTEMPTS:]


def _told(number: int, row: JobRow, view: AttemptView) -> dict[str, Any]:
    times = {"start_time_ms": view.started_ms, "end_time_ms": view.ended_ms}
    return {"number": number, **times, "exit_code": view.exit_code, "reason": view.reason, **_grant_of(row, view), **_use_of(view)}


def _grant_of(row: JobRow, view: AttemptView) -> dict[str, Any]:
    """Thousandths of a core and bytes of memory that an attempt was given; None for memory that neither the engine nor the rate card counts."""
    given, asked = view.granted, row.facts.request
    charged = granted_of(row.facts.granted) if row.facts.granted else None
    mcpu = given.cpu_mcpu if given else charged.cpu_mcpu if charged else asked.cpu_mcpu
    memory_bytes = (given and given.memory_bytes) or (charged and charged.memory_bytes) or asked.memory_bytes
    return {"cores_mcpu": mcpu, "memory_bytes": memory_bytes}


def _use_of(view: AttemptView) -> dict[str, Any]:
    """Memory of the largest process at its peak, and processor time of all; None where that was not measured, and before the end."""
    used = view.usage
    peak = {"max_rss_bytes": used.max_rss_bytes if used else None, "max_rss_at_most": used is not None and used.at_most}
    return {**peak, "cpu_s": used.cpu_s if used else None}


def usage_tables(attempt: Attempt) -> dict[str, Any]:
    """What an attempt used, in the shape of the protocol's samples: one row, at its end, with its peak of memory and its mean of cores.

    Nothing is sampled while it runs, so what the columns of storage and network would say is not known. Source: the protocol, section 9.7.
    """
    view = attempt.view
    if view.usage is None or view.started_ms is None or view.ended_ms is None:
        return {}
    seconds = max(view.ended_ms - view.started_ms, 1) / 1000
    row = [view.ended_ms, view.usage.max_rss_bytes, round(view.usage.cpu_s / seconds, 3), *[None] * (len(_USAGE_COLUMNS) - 3)]
    return {"main": {"index": [0], "columns": list(_USAGE_COLUMNS), "data": [row]}}


def _attempt(known: Known, row: JobRow, attempt: Attempt) -> dict[str, Any]:
    node = attempt.view.node or socket.gethostname()
    answer: dict[str, Any] = {"batch_id": known.batch.batch_id, "job_id": row.job_id, "attempt_id": attempt.attempt_id, "instance_name": node}
    started_ms, ended_ms = attempt.view.started_ms, attempt.view.ended_ms
    until_ms = ended_ms if ended_ms is not None else _now_ms()
    if started_ms is not None:
        duration_ms = max(0, until_ms - started_ms)
        answer.update(start_time=time_text(started_ms), start_time_ms=started_ms, duration=duration_text(duration_ms), duration_ms=duration_ms)
    if ended_ms is not None:
        answer.update(end_time=time_text(ended_ms), end_time_ms=ended_ms)
    return {
        **answer,
        "rollup_time": until_ms,
        "reason": attempt.reason,
        "exit_code": attempt.view.exit_code,
        **_grant_of(row, attempt.view),
        **_use_of(attempt.view),
    }


def _group_cost(known: Known, group_id: int, pricing: Pricing) -> dict[str, Any]:
    return _cost(pricing.by_resource(known.batch.card_id, known.used(_now_ms(), group_id)))


def _cost(by_resource: Mapping[str, Fraction]) -> dict[str, Any]:
    """Dollars as numbers, which are not exact any more; no breakdown of nothing."""
    parts = [{"resource": resource, "cost": float(usd)} for resource, usd in sorted(by_resource.items())]
    return {"cost": float(sum(by_resource.values(), Fraction(0))), "cost_breakdown": parts or None}


def _now_ms() -> int:
    return int(time.time() * 1000)


def _attributes(found: Mapping[str, str]) -> dict[str, Any]:
    return {"attributes": dict(found)} if found else {}


def time_text(time_ms: int) -> str:
    """'2026-03-04T05:06:07.089Z'."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"


def duration_text(duration_ms: int) -> str:
    """At most two units: '1 hour 12 minutes', '1 minute 3s', '45s', '310ms', '0μs'."""
    if duration_ms == 0:
        return "0μs"
    parts = []
    for size, name in _UNITS:
        count, duration_ms = divmod(duration_ms, size)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
    for size, name in ((1000, "s"), (1, "ms")):
        count, duration_ms = divmod(duration_ms, size)
        if count:
            parts.append(f"{count}{name}")
    return " ".join(parts[:2])

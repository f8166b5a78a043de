"""Views of a run in the words of the Batch Service's REST answers."""

from __future__ import annotations

import time
from typing import Any

from hail_batch_jupyter.core.events import BatchSnapshot, JobView
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.core.state import BROKEN, JobState
from hail_batch_jupyter.core.units import format_duration


def batch_status(run_id: Any, spec: BatchSpec, snapshot: BatchSnapshot) -> dict[str, Any]:
    """What GET of a batch answers: id, state, complete, counts, times, cost, attributes.

    Source: the Batch Service's protocol, reading batches.
    """
    counts = snapshot.counts()
    failed = sum(counts.get(state, 0) for state in BROKEN)
    succeeded, cancelled = counts.get(JobState.SUCCESS, 0), counts.get(JobState.CANCELLED, 0)
    ended = snapshot.ended_ms
    duration_ms = ended - snapshot.started_ms if ended is not None and snapshot.started_ms is not None else None
    attributes = {**spec.attributes, **({"name": spec.name} if spec.name else {})}
    return {
        "id": run_id,
        "state": snapshot.state.value,
        "complete": ended is not None and snapshot.complete,
        "closed": True,
        "n_jobs": len(snapshot.jobs),
        "n_completed": succeeded + failed + cancelled,
        "n_succeeded": succeeded,
        "n_failed": failed,
        "n_cancelled": cancelled,
        "time_created": utc(snapshot.started_ms),
        "time_closed": None,
        "time_completed": utc(ended),
        "duration_ms": duration_ms,
        "duration": format_duration(duration_ms / 1000) if duration_ms is not None else None,
        "msec_mcpu": 0,
        "cost": snapshot.cost_usd,
        "cost_breakdown": None,
        "attributes": attributes,
    }


def job_status(run_id: Any, job: JobSpec, view: JobView) -> dict[str, Any]:
    """What the list of jobs answers for one: ids, name, state, exit code, duration in milliseconds, cost."""
    duration_s = view.duration_s
    return {
        "batch_id": run_id,
        "job_id": view.job_id,
        "job_group_id": job.group,
        "name": job.name,
        "user": None,
        "state": view.state.value,
        "exit_code": view.exit_code,
        "duration": round(duration_s * 1000) if duration_s is not None else None,
        "cost": view.cost_usd,
        "cost_breakdown": None,
        "attributes": {**job.attributes, **({"name": job.name} if job.name else {})},
        "always_run": job.always_run,
        "attempt": view.attempt,
        "reason": view.reason,
        "reused": view.reused,
    }


def utc(time_ms: int | None) -> str | None:
    """'2026-03-04T05:06:07.089Z' of milliseconds since the epoch."""
    if time_ms is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ms / 1000)) + f".{time_ms % 1000:03d}Z"

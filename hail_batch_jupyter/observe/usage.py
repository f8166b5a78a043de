"""What attempts asked for, were given and used, and a hint where a job asked for far more than it used."""

from __future__ import annotations

from typing import NamedTuple, Optional

from hail_batch_jupyter.core.events import AttemptView, JobView
from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.core.units import format_bytes

TIMES = 4
"""A job that asked for so many times what it used gets a hint."""
_LEAST_S = 10.0
_LEAST_CORES = 2.0
_LEAST_BYTES = 1 << 30
_ROUND_BYTES = 256 << 20


class Figures(NamedTuple):
    """Of one attempt; None where nothing was said, counted or seen.

    cores_used  on average: processor time of its processes by the seconds that it ran
    peak_bytes  resident memory of its largest process; where `at_most`, it may have been less
    """

    cores_asked: Optional[float]
    cores_granted: float
    cores_used: Optional[float]
    asked_bytes: Optional[int]
    granted_bytes: Optional[int]
    peak_bytes: Optional[int]
    gpus: tuple[str, ...] = ()
    at_most: bool = False


def figures(request: Request, attempt: AttemptView) -> Figures:
    """What one attempt of a job asked for, was given and used."""
    granted, usage = attempt.granted, attempt.usage
    asked_mcpu = request.cpu_mcpu
    seconds = (attempt.ended_ms - attempt.started_ms) / 1000 if attempt.ended_ms is not None and attempt.started_ms is not None else 0.0
    return Figures(
        None if asked_mcpu is None else asked_mcpu / 1000,
        (granted.cpu_mcpu if granted else asked_mcpu or 1000) / 1000,
        round(usage.cpu_s / seconds, 3) if usage and seconds else None,
        request.memory_bytes,
        (granted.memory_bytes or None) if granted else request.memory_bytes,
        usage.max_rss_bytes if usage else None,
        granted.gpus if granted else (),
        usage is not None and usage.at_most,
    )


def peak_text(peak_bytes: int, at_most: bool) -> str:
    """'1.5 GiB', or 'under 13.0 MiB' where it may have been less."""
    return f"under {format_bytes(peak_bytes)}" if at_most else format_bytes(peak_bytes)


def last_figures(request: Request, view: JobView) -> Figures:
    """Of the last attempt; of one that is still to come where there was none."""
    attempts = view.attempts
    return figures(request, attempts[-1] if attempts else AttemptView(1))


def hint(request: Request, view: JobView) -> str:
    """One sentence where the job asked for four times what it used, '' else.

    Jobs that ran for less than 10 s, and requests below 2 cores or 1 GiB, say nothing.
    """
    if (request.cpu_mcpu or 0) < _LEAST_CORES * 1000 and (request.memory_bytes or 0) < _LEAST_BYTES:
        return ""
    attempts = view.attempts
    if not attempts or (view.duration_s or 0.0) < _LEAST_S or not view.state.complete:
        return ""
    facts = figures(request, attempts[-1])
    parts = []
    if facts.cores_asked and facts.cores_used is not None and facts.cores_asked >= _LEAST_CORES and facts.cores_asked >= TIMES * facts.cores_used:
        parts.append(f"asked for {facts.cores_asked:g} cores and used {facts.cores_used:.1f}")
    if facts.asked_bytes and facts.peak_bytes and facts.asked_bytes >= _LEAST_BYTES and facts.asked_bytes >= TIMES * facts.peak_bytes:
        enough = -(-facts.peak_bytes * 3 // 2 // _ROUND_BYTES) * (_ROUND_BYTES >> 20)
        parts.append(
            f"asked for {format_bytes(facts.asked_bytes)} of memory and used {peak_text(facts.peak_bytes, facts.at_most)}; memory('{enough}Mi') would do"
        )
    return " and ".join(parts)

"""A run in a line of text: counts and progress."""

from __future__ import annotations

import time

from hail_batch_jupyter.core.events import BatchSnapshot
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.core.units import format_duration
from hail_batch_jupyter.observe.running import RunningBatch

GLYPHS = {
    JobState.PENDING: "○",
    JobState.READY: "◔",
    JobState.CREATING: "◑",
    JobState.RUNNING: "▶",
    JobState.SUCCESS: "✓",
    JobState.FAILED: "✗",
    JobState.ERROR: "!",
    JobState.CANCELLED: "⊘",
}
"""Every state is a shape and a word, not a colour alone."""
COLORS = {
    JobState.PENDING: "#6e7781",
    JobState.READY: "#6e7781",
    JobState.CREATING: "#9a6700",
    JobState.RUNNING: "#0969da",
    JobState.SUCCESS: "#1a7f37",
    JobState.FAILED: "#cf222e",
    JobState.ERROR: "#a40e26",
    JobState.CANCELLED: "#8250df",
}
"""Readable on white and on black."""


def plural(count: int, noun: str) -> str:
    """'1 job', '3 jobs'."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def counts_text(snapshot: BatchSnapshot) -> str:
    """'12 succeeded (3 reused), 1 failed, 2 running, 4 waiting'; states that do not occur are left out."""
    counts = snapshot.counts()
    reused = sum(view.reused for view in snapshot.jobs)
    waiting = counts.get(JobState.PENDING, 0) + counts.get(JobState.READY, 0) + counts.get(JobState.CREATING, 0)
    failed = counts.get(JobState.FAILED, 0) + counts.get(JobState.ERROR, 0)
    parts = [
        (counts.get(JobState.SUCCESS, 0), f"succeeded ({reused} reused)" if reused else "succeeded"),
        (failed, "failed"),
        (counts.get(JobState.CANCELLED, 0), "cancelled"),
        (counts.get(JobState.RUNNING, 0), "running"),
        (waiting, "waiting"),
    ]
    return ", ".join([f"{count} {word}" for count, word in parts if count]) or "no jobs"


def done_count(snapshot: BatchSnapshot) -> int:
    """Jobs that have ended, however."""
    return sum(view.state.complete for view in snapshot.jobs)


def elapsed_s(snapshot: BatchSnapshot, now_ms: int) -> float:
    """Seconds from the start to the end, or to now."""
    if snapshot.started_ms is None:
        return 0.0
    return max(0.0, ((snapshot.ended_ms or now_ms) - snapshot.started_ms) / 1000)


def progress_text(running: RunningBatch, snapshot: BatchSnapshot) -> str:
    """'quickstart: 12 of 26 jobs done in 31 s; 12 succeeded, 2 running, 12 waiting'."""
    took = format_duration(elapsed_s(snapshot, int(time.time() * 1000)))
    return f"{running.name}: {done_count(snapshot)} of {plural(len(snapshot.jobs), 'job')} done in {took}; {counts_text(snapshot)}"


def clock_text(time_ms: int) -> str:
    """Local time of day, with the date when it is not today's: '10:31', '3 Mar 10:31'."""
    then, today = time.localtime(time_ms / 1000), time.localtime()
    text = time.strftime("%H:%M", then)
    return text if then[:3] == today[:3] else f"{then.tm_mday} {time.strftime('%b', then)} {text}"

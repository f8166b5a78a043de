"""Closing a run whose runner was killed: what had finished is finished, the rest is cancelled."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hail_batch_jupyter.core.events import BatchSnapshot, JobEvent, JobView
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe import owner
from hail_batch_jupyter.observe.journal import JournalWriter, read_events

LOST = "the runner was killed"


def close_dead_run(directory: Path, spec: BatchSpec, scratch: Path) -> bool:
    """Write the end of a run that nobody works on into its journal.

    True if this call closed it; False if it lives, has ended, or another process is closing it.
    Its processes must be gone before: see `executors.sweep`.
    """
    if (directory / "ended").exists() or owner.owner_alive(directory) or not owner.take_over(directory):
        return False
    path = directory / "events.jsonl"
    snapshot = BatchSnapshot.empty([job.job_id for job in spec.jobs]).after(read_events(path))
    journal = JournalWriter(path)
    now_ms = int(time.time() * 1000)
    succeeded = finished(directory)
    journal.write(JobEvent(0, now_ms, 0, phase="cancel", reason=LOST))
    for job, view in zip(spec.jobs, snapshot.jobs):
        if not view.state.complete:
            for event in _ending(f"{job.job_id}.{view.attempt}" in succeeded, scratch, job, view, now_ms):
                journal.write(event)
    journal.write(JobEvent(0, now_ms, 0, phase="end"))
    journal.close()
    (directory / "ended").touch(mode=0o600)
    return True


def _ending(succeeded: bool, scratch: Path, job: JobSpec, view: JobView, now_ms: int) -> list[JobEvent]:
    if view.state is JobState.RUNNING and succeeded:
        files = promised_files(scratch, job)
        if files is not None:
            return [JobEvent(0, now_ms, job.job_id, JobState.SUCCESS, view.attempt, exit_code=0, files=files)]
    events = []
    if view.state is not JobState.READY:
        events.append(JobEvent(0, now_ms, job.job_id, JobState.READY, reason=LOST))
    events.append(JobEvent(0, now_ms, job.job_id, JobState.CANCELLED, view.attempt, reason=LOST))
    return events


def finished(directory: Path) -> set[str]:
    """Attempts, such as '12.1', that said themselves that their command succeeded."""
    try:
        return set((directory / "done").read_text().split())
    except FileNotFoundError:
        return set()


def open_attempts(directory: Path) -> dict[int, str]:
    """Session leader -> attempt, such as '12.1', of every attempt that was started and whose end is not written down."""
    found: dict[int, tuple[int, str]] = {}
    for event in read_events(directory / "events.jsonl"):
        if event.state is JobState.RUNNING and event.pid:
            found[event.job_id] = (event.pid, f"{event.job_id}.{event.attempt}")
        elif event.state is not None and event.state.complete:
            found.pop(event.job_id, None)
    return dict(found.values())


def promised_files(scratch: Path, job: JobSpec) -> tuple[tuple[str, int, int], ...] | None:
    """(path below scratch, size, mtime_ns) of everything a job promised; None when something is missing."""
    found = []
    for relative in (*job.promises, *job.results):
        try:
            facts = os.stat(f"{scratch}/{relative}")
        except OSError:
            return None
        found.append((relative, facts.st_size, facts.st_mtime_ns))
    return tuple(found)

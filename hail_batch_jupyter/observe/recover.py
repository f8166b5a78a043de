"""Closing a run whose runner was killed: what had finished is finished, the rest is cancelled."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Sequence
from functools import reduce
from pathlib import Path
from typing import Callable, NamedTuple

from hail_batch_jupyter.core.events import BatchSnapshot, JobEvent, JobView
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.observe import owner, rundir, slurm_jobs
from hail_batch_jupyter.observe.journal import JournalWriter, read_events
from hail_batch_jupyter.observe.totals import Tally

LOST = "the runner was killed"
"""Why a job of such a run is cancelled; what is known of the runner's end is a note of the run."""
BEGINNING = "beginning"
"""File of a run that names the attempt whose process was started last, written before it is started."""


Deliver = Callable[[Sequence[JobSpec]], Collection[int]]
"""Copies the outputs of jobs, which their runner may not have come to; gives the numbers of those for which that failed."""


def close_dead_run(directory: Path, spec: BatchSpec, scratch: Path, deliver: Deliver = lambda _: ()) -> bool:
    """Write the end of a run that nobody works on into its journal; a job whose outputs `deliver` could not copy was not finished.

    True if this call closed it; False if it lives, has ended, or another process is closing it.
    Its processes must be gone before: see `observe.sweep`. Raises RunLostError, and leaves the run to be closed later, when the journal cannot be written.
    """
    if (directory / "ended").exists() or owner.owner_alive(directory):
        return False
    note = owner.take_over(directory)
    if note is None:
        return False
    try:
        write_end(directory, spec, scratch, deliver)
    except BaseException as error:
        os.replace(note, directory / "owner")
        if not isinstance(error, OSError):
            raise
        words = f"the journal of run {directory.name} cannot be written ({error.strerror}); free space, then attach to the run again"
        raise RunLostError(words) from error
    return True


def write_end(directory: Path, spec: BatchSpec, scratch: Path, deliver: Deliver = lambda _: ()) -> None:
    """Write the end of a run on which nobody works any more, as `close_dead_run` does."""
    path = directory / "events.jsonl"
    events = read_events(path)
    snapshot = BatchSnapshot.empty([job.job_id for job in spec.jobs]).after(events)
    priced = _pricing(spec, events)
    now_ms = int(time.time() * 1000)
    succeeded = _last_attempts(finished(directory))
    begun = _unheard(directory, now_ms)
    left = []
    for job, view in zip(spec.jobs, snapshot.jobs):
        if not view.state.complete:
            missing = _begun(begun.get(job.job_id), view, now_ms)
            left.append((job, missing, reduce(JobView.after, missing, view)))
    ended_well = [job for job, _, known in left if _files(succeeded.get(job.job_id, 0), scratch, job, known) is not None]
    for job_id in deliver(ended_well) if ended_well else ():  # before anybody reads that they succeeded
        del succeeded[job_id]
    journal = JournalWriter(path)
    try:
        journal.write(JobEvent(0, now_ms, 0, phase="lost", reason=why_lost(directory)))
        for job, missing, known in left:
            for event in (*missing, *_ending(succeeded.get(job.job_id, 0), scratch, job, known, now_ms)):
                journal.write(priced(event))
        journal.write(JobEvent(0, now_ms, 0, phase="end"))
    finally:
        journal.close()
    rundir.mark_ended(directory, "lost", Tally(directory, len(spec.jobs)).read())


def _pricing(spec: BatchSpec, events: Iterable[JobEvent]) -> Callable[[JobEvent], JobEvent]:
    """What puts the price of an attempt into the event of its end."""
    if spec.card is None:
        return lambda event: event
    from hail_batch_jupyter.cost.meter import Meter

    meter = Meter(spec)
    for event in events:
        meter.priced(event)
    return meter.priced


def why_lost(directory: Path) -> str:
    """How a runner ended before its run, from what it said itself."""
    log = directory / "runner.log"
    try:
        said = log.read_text(errors="replace").strip().splitlines()[1:]
    except OSError:
        said = []
    if not said:
        return LOST
    last = said[-1].strip()[:300]
    return last if last.startswith(LOST) else f"the runner ended: {last} (all it said is in {log})"


def _last_attempts(attempts: set[str]) -> dict[int, int]:
    last: dict[int, int] = {}
    for attempt in attempts:
        job_id, _, number = attempt.partition(".")
        last[int(job_id)] = max(last.get(int(job_id), 0), int(number))
    return last


class _Begun(NamedTuple):
    """An attempt that has begun, as the runner or the job itself noted."""

    attempt: int
    time_ms: int
    node: str = ""


def _unheard(directory: Path, now_ms: int) -> dict[int, _Begun]:
    """The newest attempt of each job of which there is a note beside the journal, whether or not that has its start."""
    unwritten = started(directory).unwritten
    notes = [(unwritten, min(int((directory / BEGINNING).stat().st_mtime * 1000), now_ms), "")] if unwritten else []
    notes += [(attempt_id, min(word.time_ms, now_ms), word.node) for attempt_id, word in slurm_jobs.began(directory)]
    found: dict[int, _Begun] = {}
    for attempt_id, time_ms, node in notes:
        job_id, _, number = attempt_id.partition(".")
        if number and (int(job_id) not in found or found[int(job_id)].attempt < int(number)):
            found[int(job_id)] = _Begun(int(number), time_ms, node)
    return found


def _begun(begun: _Begun | None, view: JobView, now_ms: int) -> list[JobEvent]:
    """What is missing to the start of an attempt of this job: it counts, so that no job is tried too often, and none that succeeded again."""
    known = view.attempt - 1 if view.state is JobState.CREATING else view.attempt
    if begun is None or begun.attempt <= known:
        return []
    ready = [JobEvent(0, now_ms, view.job_id, JobState.READY)] if view.state is JobState.PENDING else []
    return [*ready, JobEvent(0, max(begun.time_ms, view.ready_ms or 0), view.job_id, JobState.RUNNING, begun.attempt, phase="main", node=begun.node)]


def _ending(succeeded: int, scratch: Path, job: JobSpec, view: JobView, now_ms: int) -> list[JobEvent]:
    """What is missing to the end of a job; `succeeded` is the attempt that noted its success, 0 if none did."""
    files = _files(succeeded, scratch, job, view)
    events = []
    if files is not None:
        if view.state is JobState.PENDING:
            events.append(JobEvent(0, now_ms, job.job_id, JobState.READY))
        if view.state is not JobState.RUNNING:
            events.append(JobEvent(0, now_ms, job.job_id, JobState.RUNNING, succeeded, phase="main"))
        return [*events, JobEvent(0, now_ms, job.job_id, JobState.SUCCESS, succeeded, exit_code=0, files=files)]
    if view.state is not JobState.READY:
        events.append(JobEvent(0, now_ms, job.job_id, JobState.READY, reason=LOST))
    return [*events, JobEvent(0, now_ms, job.job_id, JobState.CANCELLED, view.attempt, reason=LOST)]


def _files(succeeded: int, scratch: Path, job: JobSpec, view: JobView) -> tuple[tuple[str, int, int], ...] | None:
    """The promised files of a job that succeeded, None for one that did not."""
    open_since = view.attempt if view.state is JobState.RUNNING else view.attempt + 1  # what was closed and is to be tried again does not count
    return promised_files(scratch, job) if succeeded >= max(1, open_since) else None


def finished(directory: Path) -> set[str]:
    """Attempts, such as '12.1', that said themselves that their command succeeded."""
    try:
        return set((directory / "done").read_text().rpartition("\n")[0].split())
    except FileNotFoundError:
        return set()


class Started(NamedTuple):
    """Attempts, such as '12.1', as far as they are written down.

    open      Session leader -> attempt, of each that was started and whose end is not written down.
    leaders   Leaders of all that were started, ended ones included.
    unwritten Attempt that was begun last if its start is not written down, else ''.
    """

    open: dict[int, str]
    leaders: frozenset[int]
    unwritten: str


def started(directory: Path) -> Started:
    """What a run had started when it was killed."""
    unwritten = _beginning(directory)
    found: dict[int, tuple[int, str]] = {}
    leaders = set()
    for event in read_events(directory / "events.jsonl"):
        if event.state is JobState.RUNNING:
            attempt = f"{event.job_id}.{event.attempt}"
            unwritten = "" if attempt == unwritten else unwritten
            if event.pid:
                found[event.job_id] = (event.pid, attempt)
                leaders.add(event.pid)
        elif event.state is JobState.READY or (event.state is not None and event.state.complete):
            found.pop(event.job_id, None)
    return Started(dict(found.values()), frozenset(leaders), unwritten)


def _beginning(directory: Path) -> str:
    try:
        return (directory / BEGINNING).read_text().strip()
    except OSError:
        return ""


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

"""Taking results of earlier runs over into a new one."""

from __future__ import annotations

import time
from pathlib import Path

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.engine.fingerprint import Earlier, Prints, earlier_results, kept_files
from hail_batch_jupyter.engine.localize import Localizer, copy, link_tree
from hail_batch_jupyter.engine.reasons import Before
from hail_batch_jupyter.observe.recover import promised_files

_NAMED = 5
"""So many of the jobs that run are named in the line for people."""


def take_over(spec: BatchSpec, prints: Prints, localizer: Localizer) -> tuple[dict[int, JobEvent], str]:
    """The events of jobs that need not run, with their files put into scratch, and one line for people: what was taken over, what runs and why.

    A job is taken over when the same fingerprint succeeded before, its files are unchanged, and all its parents are taken over or left out.
    """
    earlier = earlier_results(spec.previous_run)
    taken: dict[int, JobEvent] = {}
    spoilt: set[int] = set()
    newest: Earlier | None = None
    left_out = frozenset(spec.left_out)
    for job in spec.jobs:
        found = earlier.get(prints.jobs.get(job.job_id, ""))
        if found is None or any(edge.job_id not in taken and edge.job_id not in left_out and edge.job_id in prints.jobs for edge in job.parents):
            continue
        event = _take(job, found, localizer)
        if event is None:
            spoilt.add(job.job_id)
            continue
        taken[job.job_id] = event
        newest = found if newest is None or found.created_ms > newest.created_ms else newest
    return taken, _note(spec, taken, newest, _reasons(spec, prints, taken, spoilt))


def _take(job: JobSpec, earlier: Earlier, localizer: Localizer) -> JobEvent | None:
    places = kept_files(earlier, job)
    if places is None:
        return None
    try:
        for relative, place in places.items():
            (link_tree if earlier.kept else copy)(place, f"{localizer.scratch}/{relative}")
        localizer.copy_out(localizer.written_out(job.outputs))
        files = promised_files(Path(localizer.scratch), job)
    except OSError:
        return None
    if files is None:
        return None
    return JobEvent(0, 0, job.job_id, JobState.SUCCESS, exit_code=0, reused=True, reason=f"taken over from run {earlier.run_id}", files=files)


def _reasons(spec: BatchSpec, prints: Prints, taken: dict[int, JobEvent], spoilt: set[int]) -> list[str]:
    """Why jobs run, of as many as are named."""
    left_out = frozenset(spec.left_out)
    run = [job for job in spec.jobs if job.job_id not in taken and job.job_id not in left_out]
    if not run or spec.previous_run is None:
        return []
    before = Before(spec.previous_run, prints)
    names = {job.job_id: job.display_name for job in run}
    said = []
    for job in run[:_NAMED]:
        parents = [names[edge.job_id] for edge in job.parents if edge.job_id in names]
        said.append(f"{job.display_name} ({before.why(job, parents, spoilt=job.job_id in spoilt)})")
    return said


def _note(spec: BatchSpec, taken: dict[int, JobEvent], newest: Earlier | None, reasons: list[str]) -> str:
    left_out = frozenset(spec.left_out)
    runs = sum(job.job_id not in taken and job.job_id not in left_out for job in spec.jobs)
    more = f" and {runs - len(reasons)} more" if runs > len(reasons) else ""
    rest = f"; {runs} to run: {', '.join(reasons)}{more}" if runs else ""
    if newest is None:
        return f"none of {len(spec.jobs)} jobs taken over{rest}" if reasons else ""
    then = time.localtime(newest.created_ms / 1000)
    same_day = then[:3] == time.localtime()[:3]
    when = time.strftime("%H:%M", then) if same_day else f"{then.tm_mday} {time.strftime('%b %H:%M', then)}"
    return f"{len(taken)} of {len(spec.jobs)} jobs taken over from the run of {when}{rest}"

"""Taking results of earlier runs over into a new one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.engine.fingerprint import Earlier, Prints, earlier_results, kept_files
from hail_batch_jupyter.engine.finish import not_copied
from hail_batch_jupyter.engine.localize import Localizer, copy, link_tree
from hail_batch_jupyter.engine.reasons import Before
from hail_batch_jupyter.observe.recover import promised_files

_NAMED = 5
"""So many of the jobs that run are named in the line for people."""


class TakenOver(NamedTuple):
    """The success of jobs that need not run, why outputs of others that need not run cannot be written, and one line for people."""

    reused: dict[int, JobEvent]
    unwritten: dict[int, str]
    note: str


def take_over(spec: BatchSpec, prints: Prints, localizer: Localizer) -> TakenOver:
    """What need not run, with its files put into scratch; the note says what was taken over, what runs and why.

    A job is taken over when the same fingerprint succeeded before, its files are unchanged, and all its parents are taken over or left out.
    If only its outputs cannot be written, running it again would not help: it fails at once.
    """
    earlier = earlier_results(spec.previous_run)
    taken: dict[int, JobEvent] = {}
    unwritten: dict[int, str] = {}
    spoilt: set[int] = set()
    newest: Earlier | None = None
    left_out = frozenset(spec.left_out)
    for job in spec.jobs:
        found = earlier.get(prints.jobs.get(job.job_id, ""))
        if found is None or any(edge.job_id not in taken and edge.job_id not in left_out and edge.job_id in prints.jobs for edge in job.parents):
            continue
        files = _take(job, found, localizer)
        if files is None:
            spoilt.add(job.job_id)
            continue
        try:
            localizer.copy_out(localizer.written_out(job.outputs))
        except OSError as error:
            unwritten[job.job_id] = not_copied(error)
            continue
        taken[job.job_id] = JobEvent(0, 0, job.job_id, JobState.SUCCESS, exit_code=0, reused=True, reason=f"taken over from run {found.run_id}", files=files)
        newest = found if newest is None or found.created_ms > newest.created_ms else newest
    to_run = [job for job in spec.jobs if job.job_id not in taken and job.job_id not in unwritten and job.job_id not in left_out]
    return TakenOver(taken, unwritten, _note(spec, len(taken), newest, _reasons(spec, prints, to_run, spoilt), len(to_run)))


def _take(job: JobSpec, earlier: Earlier, localizer: Localizer) -> tuple[tuple[str, int, int], ...] | None:
    """The promised files of a job, put into scratch; None, and nothing in scratch, if one of them is not there as it was."""
    places = kept_files(earlier, job)
    if places is None:
        return None
    try:
        for relative, place in places.items():
            (link_tree if earlier.kept else copy)(place, f"{localizer.scratch}/{relative}")
        files = promised_files(Path(localizer.scratch), job)
    except OSError:
        files = None
    if files is None:
        localizer.remove_directory(job)
    return files


def _reasons(spec: BatchSpec, prints: Prints, run: list[JobSpec], spoilt: set[int]) -> list[str]:
    """Why jobs run, of as many as are named."""
    if not run or spec.previous_run is None:
        return []
    before = Before(spec.previous_run, prints)
    names = {job.job_id: job.display_name for job in run}
    said = []
    for job in run[:_NAMED]:
        parents = [names[edge.job_id] for edge in job.parents if edge.job_id in names]
        said.append(f"{job.display_name} ({before.why(job, parents, spoilt=job.job_id in spoilt)})")
    return said


def _note(spec: BatchSpec, taken: int, newest: Earlier | None, reasons: list[str], runs: int) -> str:
    more = f" and {runs - len(reasons)} more" if runs > len(reasons) else ""
    rest = f"; {runs} to run: {', '.join(reasons)}{more}" if runs else ""
    if newest is None:
        return f"none of {len(spec.jobs)} jobs taken over{rest}" if reasons else ""
    then = time.localtime(newest.created_ms / 1000)
    same_day = then[:3] == time.localtime()[:3]
    when = time.strftime("%H:%M", then) if same_day else f"{then.tm_mday} {time.strftime('%b %H:%M', then)}"
    return f"{taken} of {len(spec.jobs)} jobs taken over from the run of {when}{rest}"

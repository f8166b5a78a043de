"""Taking results of earlier runs over into a new one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.engine.fingerprint import Earlier, earlier_results, still_there
from hail_batch_jupyter.engine.localize import Localizer, link_tree
from hail_batch_jupyter.observe.recover import promised_files


def take_over(spec: BatchSpec, prints: Mapping[int, str], localizer: Localizer) -> tuple[dict[int, JobEvent], str]:
    """The events of jobs that need not run, with their files linked into scratch, and one line for people.

    A job is taken over when the same fingerprint succeeded before, its files are unchanged, and all its parents are taken over.
    """
    earlier = earlier_results(spec.previous_run)
    taken: dict[int, JobEvent] = {}
    newest: Earlier | None = None
    for job in spec.jobs:
        found = earlier.get(prints.get(job.job_id, ""))
        if found is None or any(edge.job_id not in taken and edge.job_id in prints for edge in job.parents):
            continue
        event = _take(job, found, localizer)
        if event is not None:
            taken[job.job_id] = event
            newest = found if newest is None or found.created_ms > newest.created_ms else newest
    return taken, _note(len(taken), len(spec.jobs), newest)


def _take(job: JobSpec, earlier: Earlier, localizer: Localizer) -> JobEvent | None:
    if not still_there(earlier, job):
        return None
    old_directory = earlier.files[0][0].split("/", 1)[0] if earlier.files else job.directory
    try:
        for relative in (*job.promises, *job.results):
            inside = relative.split("/", 1)[1]
            link_tree(f"{earlier.scratch}/{old_directory}/{inside}", f"{localizer.scratch}/{job.directory}/{inside}")
        localizer.copy_out(localizer.written_out(job.outputs))
        files = promised_files(Path(localizer.scratch), job)
    except OSError:
        return None
    if files is None:
        return None
    return JobEvent(0, 0, job.job_id, JobState.SUCCESS, exit_code=0, reused=True, reason=f"taken over from run {earlier.run_id}", files=files)


def _note(taken: int, total: int, newest: Earlier | None) -> str:
    if newest is None:
        return ""
    when = time.strftime("%H:%M", time.localtime(newest.created_ms / 1000))
    return f"{taken} of {total} jobs taken over from the run of {when}"

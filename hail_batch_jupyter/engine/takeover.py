"""Taking results of earlier runs over into a new one."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import Callable, NamedTuple

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec, Transfer
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.engine.fingerprint import Earlier, Prints, earlier_results, kept_files
from hail_batch_jupyter.engine.finish import not_copied
from hail_batch_jupyter.engine.localize import Localizer, copy, link_tree
from hail_batch_jupyter.engine.reasons import Before
from hail_batch_jupyter.engine.stores import is_remote
from hail_batch_jupyter.engine.written import Noted, noted_before
from hail_batch_jupyter.observe.recover import promised_files

_NAMED = 5
"""So many of the jobs that run are named in the line for people."""
_COPIERS = 12
_SAY_EACH = 100

Say = Callable[[str], None]
Files = tuple[tuple[str, int, int], ...]
Taken = tuple[Earlier, Files]


class TakenOver(NamedTuple):
    """The success of jobs that need not run, why outputs of others that need not run cannot be written, and one line for people."""

    reused: dict[int, JobEvent]
    unwritten: dict[int, str]
    note: str


def take_over(spec: BatchSpec, prints: Prints, localizer: Localizer, say: Say = lambda _: None) -> TakenOver:
    """What need not run, with its files put into scratch; the note says what was taken over, what runs and why.

    A job is taken over when the same fingerprint succeeded before, its files are unchanged, and all its parents are taken over or left out.
    If only its outputs cannot be written, running it again would not help: it fails at once. `say` hears now and then how far this is.
    """
    earlier = earlier_results(spec.previous_run)
    left_out = frozenset(spec.left_out)
    taken, spoilt = _take_all(spec, prints, earlier, localizer, say)
    unwritten = _write_out([job for job in spec.jobs if job.job_id in taken], spec, localizer, say)
    for job in [job for job in spec.jobs if job.job_id in taken] if unwritten else ():
        if job.job_id in unwritten:
            del taken[job.job_id]
        elif not _parents_taken(job, left_out, prints, taken):
            del taken[job.job_id]
            localizer.remove_directory(job)
    reused = {job_id: _success(job_id, found, files) for job_id, (found, files) in taken.items()}
    newest = max((found for found, _ in taken.values()), key=lambda found: found.created_ms, default=None)
    to_run = [job for job in spec.jobs if job.job_id not in taken and job.job_id not in unwritten and job.job_id not in left_out]
    return TakenOver(reused, unwritten, _note(spec, len(taken), newest, _reasons(spec, prints, to_run, spoilt), len(to_run)))


def _take_all(spec: BatchSpec, prints: Prints, earlier: dict[str, Earlier], localizer: Localizer, say: Say) -> tuple[dict[int, Taken], set[int]]:
    """The jobs that are taken over if their outputs can be written, and those whose files are not there as they were."""
    taken: dict[int, Taken] = {}
    spoilt: set[int] = set()
    left_out = frozenset(spec.left_out)
    for number, job in enumerate(spec.jobs, 1):
        found = earlier.get(prints.jobs.get(job.job_id, ""))
        if found is None or not _parents_taken(job, left_out, prints, taken):
            continue
        files = _take(job, found, localizer)
        if files is None:
            spoilt.add(job.job_id)
        else:
            taken[job.job_id] = (found, files)
        if number % _SAY_EACH == 0:
            say(f"taking over results: {len(taken):,} of {len(spec.jobs):,}")
    return taken, spoilt


def _parents_taken(job: JobSpec, left_out: Collection[int], prints: Prints, taken: Collection[int]) -> bool:
    return all(edge.job_id in taken or edge.job_id in left_out or edge.job_id not in prints.jobs for edge in job.parents)


def _write_out(jobs: list[JobSpec], spec: BatchSpec, localizer: Localizer, say: Say) -> dict[int, str]:
    """Write the outputs of jobs, but those that are there already; gives why that was not possible, by job."""
    outputs = [transfer for job in jobs for transfer in job.outputs]
    if not outputs:
        return {}
    there: dict[str, Noted] = {}
    if any(is_remote(transfer.dest) for transfer in outputs):
        say("looking which outputs are still where they were written")
        there = localizer.still_there(outputs, noted_before(spec.previous_run))
        for dest, noted in there.items():
            localizer.note(dest, noted)
    missing = {job.job_id: [each for each in localizer.written_out(job.outputs) if each.dest not in there] for job in jobs}
    return _copied_out({job_id: transfers for job_id, transfers in missing.items() if transfers}, localizer, say)


def _copied_out(missing: dict[int, list[Transfer]], localizer: Localizer, say: Say) -> dict[int, str]:
    if not missing:
        return {}
    from concurrent.futures import ThreadPoolExecutor, as_completed  # brings logging, which most runs never need

    failed: dict[int, str] = {}
    with ThreadPoolExecutor(_COPIERS) as pool:
        going = {pool.submit(localizer.copy_out, transfers): job_id for job_id, transfers in missing.items()}
        for number, future in enumerate(as_completed(going), 1):
            error = future.exception()
            if isinstance(error, OSError):
                failed[going[future]] = not_copied(error)
            elif error is not None:
                raise error
            say(f"writing outputs of results that were taken over: {number:,} of {len(going):,}")
    return failed


def _success(job_id: int, found: Earlier, files: Files) -> JobEvent:
    return JobEvent(0, 0, job_id, JobState.SUCCESS, exit_code=0, reused=True, reason=f"taken over from run {found.run_id}", files=files)


def _take(job: JobSpec, earlier: Earlier, localizer: Localizer) -> Files | None:
    """The promised files of a job, put into scratch; None, and nothing in scratch, if one of them is not there as it was."""
    places = kept_files(earlier, job)
    if places is None:
        return None
    try:
        same = [_put(place, f"{localizer.scratch}/{relative}", kept=earlier.kept) for relative, (place, _, _) in places.items()]
        if all(same):
            return tuple((relative, size_bytes, mtime_ns) for relative, (_, size_bytes, mtime_ns) in places.items())
        files = promised_files(Path(localizer.scratch), job)
    except OSError:
        files = None
    if files is None:
        localizer.remove_directory(job)
    return files


def _put(place: str, dest: str, *, kept: bool) -> bool:
    """Whether it is there as the very same file."""
    if kept:
        return link_tree(place, dest)
    copy(place, dest)
    return False


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
        return f"none of {len(spec.jobs)} jobs taken over{rest}" if reasons or not runs else ""
    then = time.localtime(newest.created_ms / 1000)
    same_day = then[:3] == time.localtime()[:3]
    when = time.strftime("%H:%M", then) if same_day else f"{then.tm_mday} {time.strftime('%b %H:%M', then)}"
    return f"{taken} of {len(spec.jobs)} jobs taken over from the run of {when}{rest}"

"""What the magics do with runs that are there: wait for them, show them, end them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.jupyter import run
from hail_batch_jupyter.jupyter.cells.namespace import cell_names, indexed, part_of, unknown_job
from hail_batch_jupyter.jupyter.cells.since import older_line
from hail_batch_jupyter.jupyter.desk import Desk, place_of
from hail_batch_jupyter.jupyter.words import STATE_WORDS

_RUN_ID = re.compile(r"\d{8}-\d{6}-")

if TYPE_CHECKING:
    import pandas as pd

    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.core.spec import BatchSpec
    from hail_batch_jupyter.observe.rundir import RunInfo
    from hail_batch_jupyter.observe.running import RunningBatch


def wait_for(desk: Desk, jobs: Sequence[object]) -> None:
    """What `%batch_wait` does."""
    running = desk.last_run()
    run.wait(running, [job_id for job in jobs for job_id in job_ids_of(running, job, desk.current())] or None)


def show_log(desk: Desk, job: object, tail: int | None, follow: bool) -> None:
    """What `%batch_log` does."""
    from hail_batch_jupyter.jupyter.logs import print_log

    if tail is not None and tail < 1:
        raise UsageError(f"--tail {tail}: it is a number of lines, 1 or more; write --tail 20")
    running = desk.last_run()
    print_log(running, _one_of(running, job, desk.current()), tail, follow)


def _one_of(running: RunningBatch, asked: object, batch: Batch | None) -> int:
    """The job whose log is meant; of a stage the first that failed.

    Raises UsageError naming a job for a stage in which none has failed.
    """
    found = job_ids_of(running, asked, batch)
    if len(found) == 1:
        return found[0]
    views = {view.job_id: view for view in running.snapshot().jobs}
    failed = [job_id for job_id in found if views[job_id].state in (JobState.FAILED, JobState.ERROR)]
    name = getattr(asked, "name", None) or str(asked)
    if not failed:
        first = running.spec.job(found[0]).display_name
        raise UsageError(f"{name!r} is a stage of {len(found)} jobs; name one of them, such as {first} or {name}[0] (%batch_jobs {name} lists them)")
    print(f"{len(failed)} of {len(found)} jobs of {name!r} failed; this is {running.spec.job(failed[0]).display_name}:")
    return failed[0]


def cancel(desk: Desk, names: Sequence[object]) -> str:
    """Ask for the end of the last run, or of the jobs and stages named; a run's id may stand before them. Gives a sentence about it."""
    from hail_batch_jupyter.jupyter.live.deeds import cancel as cancel_parts

    running, job_ids = _run_and_jobs(desk, names)
    if running.snapshot().ended_ms is not None:
        return f"run {running.id} has ended already"
    if job_ids is not None:
        return cancel_parts(running, job_ids)
    running.cancel()
    return f"run {running.id} is being cancelled"


def _run_and_jobs(desk: Desk, names: Sequence[object]) -> tuple[RunningBatch, list[int] | None]:
    """The run that is meant and the numbers of its jobs, None for all of it."""
    from hail_batch_jupyter.observe.attach import attach

    run_id = next((str(name) for name in names[:1] if _RUN_ID.match(str(name))), None)
    running, jobs = (desk.last_run(), names) if run_id is None else (attach(run_id), names[1:])
    batch = desk.current() if run_id is None else None
    return running, [job_id for job in jobs for job_id in job_ids_of(running, job, batch)] if jobs else None


def job_ids_of(running: RunningBatch, asked: object, batch: Batch | None = None) -> list[int]:
    """The number of a job of the run by its name, its number or the variable that holds it; the numbers of all jobs of a stage.

    Raises UsageError naming close ones, and for a job of `batch` that the run does not have.
    """
    name = getattr(asked, "name", None) or str(asked)
    found = [job.job_id for job in running.spec.jobs if job.name == name]
    if found:
        return found[-1:]
    if name.isdigit() and any(job.job_id == int(name) for job in running.spec.jobs):
        return [int(name)]
    stage, index = indexed(name)
    inside = sorted([(job.name or "", job.job_id) for job in running.spec.jobs if job.attributes.get("stage") == stage])
    numbers = [job_id for _, job_id in inside]
    if not numbers and batch is not None and stage in cell_names(batch):
        raise UsageError(f"{stage!r} is not part of run {running.id}: its cell is newer than the run, or it was left out; %batch_run runs it")
    if not numbers:
        stages = [job.attributes.get("stage") for job in running.spec.jobs]
        names = [own or job.name or "" for own, job in zip(stages, running.spec.jobs, strict=True)]
        raise UsageError(unknown_job(name, list(dict.fromkeys(filter(None, names))), f"run {running.id}"))
    return numbers if index is None else [part_of(stage, numbers, index)]


def retry(desk: Desk, names: Sequence[object]) -> None:
    """Run again what did not succeed in the last run, or the jobs named; a run's id may stand before them. Shows the new run."""
    from hail_batch_jupyter.jupyter import display

    running, job_ids = _run_and_jobs(desk, names)
    again = running.retry(job_ids)
    mine = [batch for batch in desk.batches.values() if batch.lineage and batch.lineage == again.spec.lineage]
    run.keep(desk, mine[0] if mine else None, again)
    display.show_run(again)


def jobs_table(desk: Desk, q: str | None, *, attempts: bool = False) -> pd.DataFrame:
    """The jobs of the last run, or of the batch where nothing has run yet; with `attempts` one row each of these.

    Raises UsageError naming close words when no job can ever be found by `q`.
    """
    from hail_batch_jupyter.core.events import BatchSnapshot
    from hail_batch_jupyter.jupyter.tables.tables import attempts_frame, frame_of, jobs_frame

    try:
        running, batch = desk.last_run(), desk.current()
        line = older_line(batch) if batch is not None and batch.last_run is running else ""
        if line:
            print(line)
    except UsageError:
        if attempts or not desk.has_batch():
            raise
    else:
        _check_filter(q, running.spec, f"run {running.id}")
        return attempts_frame(running, q) if attempts else jobs_frame(running, q)
    spec = desk.batch().compile(only_new=False)
    _check_filter(q, spec, f"batch {desk.current_name()!r}")
    return frame_of(spec, BatchSnapshot.empty([job.job_id for job in spec.jobs]), q)


def _check_filter(q: str | None, spec: BatchSpec, where: str) -> None:
    """Raise UsageError for a filter that is neither a state nor in any name; none in a state that there is, is an answer."""
    from hail_batch_jupyter.jupyter.tables.tables import known_words

    words, names = known_words(), [job.name or "" for job in spec.jobs]
    asked = (q or "").lower()
    if not names or asked in words or any(asked in name.lower() for name in names):
        return
    stages = dict.fromkeys([job.attributes.get("stage") or job.name or "" for job in spec.jobs])
    close = difflib.get_close_matches(asked, [*stages, *sorted(words)], 3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"states are {', '.join(dict.fromkeys(STATE_WORDS.values()))}"
    raise UsageError(f"{q!r} is no state and in no name of the jobs of {where}; {hint}")


def runs_table(desk: Desk, *, everywhere: bool) -> pd.DataFrame:
    """The runs of this notebook, or of every notebook on this machine."""
    from hail_batch_jupyter.jupyter.tables.tables import runs_frame
    from hail_batch_jupyter.observe import rundir

    return runs_frame([one for one in rundir.list_runs() if everywhere or _is_of(desk, one)])


def clean_runs(desk: Desk, *, everywhere: bool, asked: bool, older_days: float | None) -> str:
    """Remove old runs of this notebook, or of every one; gives a sentence about it.

    Raises UsageError for an age without `--clean` or below 0.
    """
    from hail_batch_jupyter.core.units import format_bytes
    from hail_batch_jupyter.jupyter.words import plural
    from hail_batch_jupyter.observe import retention

    if older_days is not None and (not asked or not older_days >= 0):
        raise UsageError(f"--older {older_days:g}: it is a number of days, 0 or more, for --clean; write %batch_runs --clean --older 7")
    limits = retention.configured_limits() if older_days is None else retention.Limits(older_days * retention.DAY_S, float("inf"))
    kept = [] if desk.run is None else [str(desk.run.id)]
    removed = retention.clean(limits, lambda one: everywhere or _is_of(desk, one), kept)
    return f"{plural(len(removed.run_ids), 'run')} removed" + (f", {format_bytes(removed.size_bytes)} freed" if removed.run_ids else "")


def _is_of(desk: Desk, run: RunInfo) -> bool:
    return run.lineage.startswith(f"{place_of(desk.shell)}::")

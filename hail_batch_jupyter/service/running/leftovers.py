"""Run directories after something was killed: what never began, what may still go on, and what was not finished."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path

from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.engine.localize import Localizer
from hail_batch_jupyter.observe import owner, rundir
from hail_batch_jupyter.observe.attach import read_spec
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.observe.sweep import sweep
from hail_batch_jupyter.service.running.closing import silence_slurm
from hail_batch_jupyter.service.running.known import is_lost

_log = logging.getLogger(__name__)


def never_began(directory: Path) -> bool:
    """Whether no runner has the run: who gives the orders writes down to whom, before."""
    return not (directory / "owner").exists() and not any(directory.glob("owner.dead.*")) and not (directory / "ended").exists()


def remove_unknown(known: Collection[str], backend: str) -> set[str]:
    """Remove runs that were written down and got no orders, noted or not: nothing of them has started, and nobody will start it.

    What cannot be read is the rest of a run that was not yet written or already being removed; one that is `known` is left to be looked at, as lost.
    Gives the lineages of the runs that go on.
    """
    runs = [run for run in rundir.list_runs() if run.backend == backend]
    for run in runs:
        if run.run_id not in known or never_began(run.directory):
            rundir.remove(run.directory)
    for run_id in set(rundir.run_ids()) - {run.run_id for run in runs}:
        directory = rundir.runs_folder() / run_id
        if run_id in known:
            _log.warning("run %s cannot be read and is taken for lost; what is left of it is in %s", run_id, directory)
        elif not owner.owner_alive(directory):
            rundir.remove_rest(directory)
    return {run.lineage for run in runs if run.run_id in known and run.state != "ended"}


def silenced(directory: Path) -> bool:
    """Whether nothing of a run that cannot be read runs any more, so that its jobs may begin again; what a dead runner left is ended.

    Raises RunLostError while Slurm does not say so.
    """
    if owner.owner_alive(directory) or owner.guard_alive(directory):
        return False
    silence_slurm(directory)
    sweep(directory)
    return True


def unfinished(run: RunningBatch, copier: Callable[[BatchSpec, str], AbstractContextManager[Localizer]]) -> set[int]:
    """Numbers of the jobs that a killed runner did not finish.

    One that had ended well counts as finished when its outputs can be copied now, which the runner may not have come to; `copier`
    gives what copies files of a run that has this scratch folder.
    """
    snapshot = run.snapshot()
    found = {view.job_id for view in snapshot.jobs if is_lost(view)}
    events = run.events()
    closed = max((event.seq for event in events if event.phase == "lost" and not event.job_id), default=None)
    if closed is not None:
        late = [event for event in events if event.seq > closed and event.state is JobState.SUCCESS]
        if late and run.directory is not None:
            spec = read_spec(run.directory)
            with copier(spec, str(run.scratch)) as localizer:
                found.update(event.job_id for event in late if not _copied(localizer, spec.job(event.job_id)))
    return found


def _copied(localizer: Localizer, job: JobSpec) -> bool:
    """Whether the outputs of a job are where they belong, after copying what is missing."""
    try:
        localizer.copy_out(localizer.written_out(job.outputs))
    except OSError:
        return False
    return True

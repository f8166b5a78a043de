"""Run directories after something was killed: what never began, what may still go on, and what was not finished."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from threading import Thread

from hail_batch_jupyter.backends.far.mirror import MirroredRun
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.engine.localize import Localizer
from hail_batch_jupyter.observe import owner, rundir
from hail_batch_jupyter.observe.attach import read_spec
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.observe.sweep import sweep
from hail_batch_jupyter.service.running.known import is_lost
from hail_batch_jupyter.service.running.silence import silence_slurm

_COPIERS = 8
_log = logging.getLogger(__name__)

Copier = Callable[[BatchSpec, str], AbstractContextManager[Localizer]]
"""Gives what copies files of a run that has this scratch folder."""


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


def unfinished(run: RunningBatch) -> set[int]:
    """Numbers of the jobs that a killed runner did not finish.

    Of a run that lived elsewhere also those that were told to have ended well only afterwards, and write outputs: these may not have been copied.
    """
    found = {view.job_id for view in run.snapshot().jobs if is_lost(view)}
    return found | _undelivered(run, run.directory) if isinstance(run, MirroredRun) and run.directory is not None else found


def _undelivered(run: RunningBatch, directory: Path) -> set[int]:
    events = run.events()
    closed = max((event.seq for event in events if event.phase == "lost" and not event.job_id), default=None)
    late = [] if closed is None else [event.job_id for event in events if event.seq > closed and event.state is JobState.SUCCESS]
    spec = read_spec(directory) if late else None
    return {job_id for job_id in late if spec is not None and spec.job(job_id).outputs}


def delivered(spec: BatchSpec, jobs: Sequence[JobSpec], scratch: str, copier: Copier) -> set[int]:
    """Copy the outputs of jobs that had ended well when their runner was killed, and which it may not have come to; gives those where that fails."""
    waiting = deque(spec.job(job.job_id) for job in jobs)
    left = {job.job_id for job in waiting}

    def work() -> None:
        with suppress(IndexError):  # none is left
            while True:
                job = waiting.popleft()
                if _copied(localizer, job):
                    left.discard(job.job_id)

    with copier(spec, scratch) as localizer:
        threads = [Thread(target=work, name="deliver", daemon=True) for _ in range(min(_COPIERS, len(left)))]  # a service that ends waits for none
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return left


def _copied(localizer: Localizer, job: JobSpec) -> bool:
    """Whether the outputs of a job are where they belong, after copying what is missing."""
    try:
        localizer.copy_out(localizer.written_out(job.outputs))
    except OSError:
        return False
    return True

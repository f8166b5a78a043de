"""What people do to a run that is there: cancel it, some of its jobs or a group; retry it, or some of its jobs. Each gives a sentence for them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from hail_batch_jupyter.backends.origin import CELL_VARIABLE
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.jupyter.words import plural
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.running import RunningBatch

_APART_S = 60.0
"""Longer than a retry takes to begin, on Slurm too."""
_APART = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from hail_batch_jupyter.cli import main; sys.exit(main())"


class Retried(NamedTuple):
    """The new run, and a sentence about it."""

    run_id: str
    text: str


def cancel(running: RunningBatch, job_ids: Sequence[int] | None = None, group: str | int | None = None) -> str:
    """Ask for the end of the run, of the jobs of these numbers, or of a group.

    Raises BatchException for what has ended already and for what the run does not have, CapabilityError for a part of a batch on a service.
    """
    snapshot = running.snapshot()
    if snapshot.ended_ms is not None:
        raise BatchException(f"run {running.id} has ended already")
    ended = {view.job_id for view in snapshot.jobs if view.state.complete}
    if job_ids and ended.issuperset(job_ids):
        raise BatchException(f"{_named(running, job_ids)} of run {running.id} {'has' if len(job_ids) == 1 else 'have'} ended already")
    running.cancel(job_ids, group)
    if job_ids is not None:
        return _sentence(f"{_named(running, job_ids)} {'is' if len(job_ids) == 1 else 'are'} being cancelled")
    return "The run is being cancelled" if group is None else f"Group {running.group(group).spec.name!r} is being cancelled"


def _named(running: RunningBatch, job_ids: Sequence[int]) -> str:
    return f"job {running.spec.job(job_ids[0]).display_name!r}" if len(job_ids) == 1 else plural(len(job_ids), "job")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def retry(running: RunningBatch, job_ids: Sequence[int] | None = None) -> Retried:
    """Run again what failed or was cancelled, or only these jobs, what they need and what depends on them.

    Raises as `RunningBatch.retry`.
    """
    again = running.retry(job_ids)
    return _retried(running, str(again.id), job_ids)


def retry_apart(running: RunningBatch, job_ids: Sequence[int] | None = None) -> Retried:
    """As `retry`, from a process that is not the one that made the run, such as the Jupyter server: the Python that made the run does it.

    Raises BatchException also when that Python is gone, or when the run needs values that only the process had that made it.
    """
    if running.directory is None:
        raise BatchException(f"run {running.id} is not one of this machine; retry it where it was made")
    maker = rundir.settings_of(running.directory)["maker"]
    if not maker or not os.access(maker["python"], os.X_OK):
        raise BatchException(f"the Python that made run {running.id} is not there any more; retry it in its notebook")
    words = [word for job_id in job_ids or () for word in ("--job", str(job_id))]
    command = [maker["python"], "-c", _APART, json.dumps(maker["sys_path"]), "retry", str(running.id), *words]
    made = rundir.info(running.directory)
    env = {**os.environ, "JPY_SESSION_NAME": made.notebook, CELL_VARIABLE: made.cell}
    try:
        done = subprocess.run(command, env=env, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_APART_S, check=False)
    except subprocess.TimeoutExpired:
        raise BatchException(f"the retry of run {running.id} did not begin within {_APART_S:g} s; retry it in its notebook") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it could not be retried"])[-1]
        raise BatchException(said.removeprefix("hail-batch-jupyter: "))
    return _retried(running, done.stdout.split()[-1], job_ids)


def _retried(running: RunningBatch, run_id: str, job_ids: Sequence[int] | None) -> Retried:
    again = [view.job_id for view in running.snapshot().jobs if view.state is not JobState.SUCCESS] if job_ids is None else job_ids
    return Retried(run_id, f"Retrying {_named(running, again)} in run {run_id}")

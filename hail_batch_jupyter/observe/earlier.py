"""The run in which a job really ran whose result was taken over: its logs are there."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import NamedTuple, Optional

from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import open_run, read_spec
from hail_batch_jupyter.observe.running import RunningBatch

_TAKEN = re.compile(r"taken over from run (\S+)")
_HOPS = 100
"""A result may have been taken over from a run that had taken it over itself."""


class Origin(NamedTuple):
    """Where a result is from: the run and the number of the job there; `running` is None when that run is no longer here, or does not tell of the job."""

    run_id: str
    running: Optional[RunningBatch] = None
    job_id: int = 0


def origin_of(running: RunningBatch, job_id: int) -> Optional[Origin]:
    """Where the result of a job is from, None for one that ran in this run or has not ended."""
    first = running.spec.jobs[0].job_id
    origin: Optional[Origin] = None
    for _ in range(_HOPS):
        view, job = running.snapshot().jobs[job_id - first], running.spec.job(job_id)
        taken = _TAKEN.fullmatch(view.reason) if view.reused else None
        if taken is None:
            return origin and Origin(origin.run_id, running, job_id)
        origin = Origin(taken[1])
        try:
            directory = rundir.find(taken[1])
            running = _opened(str(directory), (directory / "ended").stat().st_mtime_ns)
        except (BatchException, OSError):
            return origin
        found = next((other for other in running.spec.jobs if (other.key, other.name) == (job.key, job.name)), None)
        found = found or next((other for other in running.spec.jobs if other.key == job.key), None)
        if found is None:
            return origin
        first, job_id = running.spec.jobs[0].job_id, found.job_id
    return origin


@functools.lru_cache(maxsize=4)
def _opened(directory: str, ended_ns: int) -> RunningBatch:  # noqa: ARG001 - a run that was closed anew is read again
    """An ended run; its description and journal are read once, however many parts of logs are asked for."""
    return open_run(Path(directory), read_spec(Path(directory)))

"""What a run does again when it is retried: its own spec, with what was kept of it put in place."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Protocol

from hail_batch_jupyter.core.events import BatchSnapshot
from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec, JobSpec, Upload, from_json
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import BatchException, RunLiveError, RunLostError
from hail_batch_jupyter.observe import rundir

_UPLOADED = ("code", "functions", "args")
_INSTEAD = "run the batch again with run(resume=True)"


class _Run(Protocol):
    id: Any
    spec: BatchSpec
    scratch: Optional[Path]
    attached: bool
    foreign_env: Sequence[str]

    def snapshot(self) -> BatchSnapshot: ...


def spec_to_retry(run: _Run, job_ids: Sequence[int] | None = None) -> BatchSpec:
    """The spec of a run that does again what did not succeed in this one; with `job_ids` only these jobs, what they need and what depends on them.

    Raises RunLiveError while this one goes on, BatchException when there is nothing to do again or when a value that was never written down would be
    missing, and RunLostError when its scripts and functions were removed.
    """
    snapshot = run.snapshot()
    if snapshot.ended_ms is None:
        raise RunLiveError(f"run {run.id} is still going on; wait() for its end or cancel() it, then retry()")
    states = {view.job_id: view.state for view in snapshot.jobs}
    if all(state is JobState.SUCCESS for state in states.values()):
        raise BatchException(f"run {run.id} has nothing to retry: all of its {len(snapshot.jobs)} jobs succeeded")
    left_out = () if job_ids is None else _others(run, states, job_ids)
    again = run.spec._replace(previous_run=str(run.id), left_out=left_out)
    if not run.attached:
        return again
    _check_known(run, left_out)
    return again._replace(uploads=tuple(_kept_uploads(run)))


def check_not_retried(run: _Run, again: BatchSpec) -> None:
    """Raises RunLiveError while another run that follows this one does any of the same jobs."""
    left_out = frozenset(again.left_out)
    undone = {view.job_id for view in run.snapshot().jobs if view.state is not JobState.SUCCESS} - left_out
    keys = {job.key for job in again.jobs if job.job_id in undone}
    for other in rundir.list_runs():
        if other.state == "live" and other.previous == str(run.id) and keys & _keys(other.directory):
            words = f"run {other.run_id} does the same jobs again already, and is still going on"
            raise RunLiveError(f"{words}; attach({other.run_id!r}) comes back to it, wait for its end, or cancel it, then retry()")


def _keys(directory: Path) -> set[str]:
    """What the jobs of a run do."""
    spec = from_json(json.loads((directory / "spec.json").read_text()))
    left_out = frozenset(spec.left_out)
    return {job.key for job in spec.jobs if job.job_id not in left_out}


def _others(run: _Run, states: dict[int, JobState], job_ids: Sequence[int]) -> tuple[int, ...]:
    """The jobs that stay as they are: neither asked for, nor undone and needed by these, nor dependent on all that, nor done and needed for it."""
    done = next((run.spec.job(job_id) for job_id in job_ids if states[job_id] is JobState.SUCCESS), None)
    if done is not None:
        raise BatchException(f"job {done.display_name!r} of run {run.id} succeeded, so there is nothing to retry of it; name one that failed or was cancelled")
    jobs = run.spec.jobs
    chosen = {job_id for job_id in _above(jobs, set(job_ids)) if states.get(job_id, JobState.SUCCESS) is not JobState.SUCCESS}
    below = _below(jobs, chosen)
    wanted = below | {job_id for job_id in _above(jobs, below) if states.get(job_id) is JobState.SUCCESS}
    return tuple([job.job_id for job in jobs if job.job_id not in wanted])


def _below(jobs: Sequence[JobSpec], chosen: set[int]) -> set[int]:
    """These and all that depend on them."""
    found = set(chosen)
    for job in jobs:
        if any(edge.job_id in found for edge in job.parents):
            found.add(job.job_id)
    return found


def _above(jobs: Sequence[JobSpec], chosen: set[int]) -> set[int]:
    """These and all that they need."""
    found = set(chosen)
    for job in reversed(jobs):
        if job.job_id in found:
            found.update(edge.job_id for edge in job.parents)
    return found


def _check_known(run: _Run, left_out: Sequence[int]) -> None:
    """Raises BatchException when the jobs would miss values that only the process had that made the run."""
    stays = frozenset(left_out)
    secret = next((job for job in run.spec.jobs if job.env and job.job_id not in stays), None)
    if secret is not None:
        raise BatchException(f"job {secret.display_name!r} needs values of {', '.join(secret.env)}, which are never written down; {_INSTEAD}")
    if run.foreign_env:
        names = ", ".join(run.foreign_env)
        raise BatchException(
            f"run {run.id} was made with {names} set in its notebook or script, which is not set here; set it as there and retry, or {_INSTEAD}"
        )


def _kept_uploads(run: _Run) -> list[Upload]:
    needed = any(job.calls or f"{SCRATCH}/code/" in " ".join(job.command) or '"${BATCH_TMPDIR}"/code/' in " ".join(job.command) for job in run.spec.jobs)
    if run.scratch is None or not run.scratch.is_dir():
        if needed:
            raise RunLostError(f"the scripts and functions of run {run.id} were removed when it ended; {_INSTEAD}")
        return []
    found = []
    for folder in _UPLOADED:
        for place, _, names in os.walk(run.scratch / folder):
            paths = [Path(place) / name for name in names]
            found.extend([Upload(f"{SCRATCH}/{path.relative_to(run.scratch)}", path.read_bytes()) for path in paths])
    return found

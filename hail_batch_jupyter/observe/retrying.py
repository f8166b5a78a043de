"""What a run does again when it is retried: its own spec, with what was kept of it put in place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional, Protocol

from hail_batch_jupyter.core.events import BatchSnapshot
from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec, Upload
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import BatchException, RunLiveError, RunLostError

_UPLOADED = ("code", "functions", "args")
_INSTEAD = "run the batch again with run(resume=True)"


class _Run(Protocol):
    id: Any
    spec: BatchSpec
    scratch: Optional[Path]
    attached: bool

    def snapshot(self) -> BatchSnapshot: ...


def spec_to_retry(run: _Run) -> BatchSpec:
    """The spec of a run that does again what did not succeed in this one.

    Raises RunLiveError while this one goes on, BatchException when all succeeded or when a value of `env` would be missing, and
    RunLostError when its scripts and functions were removed.
    """
    snapshot = run.snapshot()
    if snapshot.ended_ms is None:
        raise RunLiveError(f"run {run.id} is still going on; wait() for its end or cancel() it, then retry()")
    if all(view.state is JobState.SUCCESS for view in snapshot.jobs):
        raise BatchException(f"run {run.id} has nothing to retry: all of its {len(snapshot.jobs)} jobs succeeded")
    again = run.spec._replace(previous_run=str(run.id))
    if not run.attached:
        return again
    secret = next((job for job in run.spec.jobs if job.env), None)
    if secret is not None:
        raise BatchException(f"job {secret.display_name!r} needs values of {', '.join(secret.env)}, which are never written down; {_INSTEAD}")
    return again._replace(uploads=tuple(_kept_uploads(run)))


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

"""What a job's result depends on, as one text; and which results of earlier runs may be taken over."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from hail_batch_jupyter.core.events import BatchSnapshot
from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.journal import read_events

_LOOK_BACK = 10
"""Runs that are searched for a result, newest first."""


def fingerprints(spec: BatchSpec) -> dict[int, str]:
    """Job id -> fingerprint: what it does, size and time of change of its input files, and the fingerprints of its parents."""
    found: dict[int, str] = {}
    stats: dict[str, str] = {}
    for job in spec.jobs:
        parts = [job.key, *(_stat(transfer.source, stats) for transfer in job.inputs)]
        parts.extend(found.get(edge.job_id, str(edge.job_id)) for edge in job.parents)
        found[job.job_id] = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return found


def _stat(source: str, known: dict[str, str]) -> str:
    if source not in known:
        known[source] = _facts(source[len("file://") :] if source.startswith("file://") else source)
    return known[source]


def _facts(path: str) -> str:
    if path.startswith(SCRATCH):
        return path
    try:
        facts = os.stat(path)
    except OSError:
        return f"{path}:missing"
    if not os.path.isdir(path):
        return f"{path}:{facts.st_size}:{facts.st_mtime_ns}"
    inside = [_facts(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in sorted(names)]
    return f"{path}:{hashlib.sha256(repr(sorted(inside)).encode()).hexdigest()}"


class Earlier(NamedTuple):
    """A finished job of an earlier run."""

    run_id: str
    created_ms: int
    scratch: str
    files: tuple[tuple[str, int, int], ...]


def save(directory: Path, prints: Mapping[int, str]) -> None:
    """Keep the fingerprints with the run."""
    rundir.write_private(directory / "fingerprints.json", json.dumps(prints))


def load(directory: Path) -> dict[int, str]:
    """The fingerprints of a run, {} if it kept none."""
    try:
        return {int(job_id): text for job_id, text in json.loads((directory / "fingerprints.json").read_text()).items()}
    except (OSError, ValueError):
        return {}


def earlier_results(previous: str | None) -> dict[str, Earlier]:
    """Fingerprint -> newest successful job with kept files, over the run `previous` and those before it."""
    found: dict[str, Earlier] = {}
    for _ in range(_LOOK_BACK):
        if previous is None:
            break
        try:
            run = rundir.info(rundir.find(previous))
        except RunLostError:
            break
        if run.kept:
            for text, earlier in _successes(run).items():
                found.setdefault(text, earlier)
        previous = run.previous
    return found


def _successes(run: rundir.RunInfo) -> dict[str, Earlier]:
    prints = load(run.directory)
    snapshot = BatchSnapshot.empty(sorted(prints)).after(read_events(run.directory / "events.jsonl"))
    succeeded = (view for view in snapshot.jobs if view.state is JobState.SUCCESS)
    return {prints[view.job_id]: Earlier(run.run_id, run.created_ms, run.scratch, view.files) for view in succeeded}


def still_there(earlier: Earlier, job: JobSpec) -> bool:
    """Whether every file that the job promises now is among the earlier ones and unchanged since."""
    kept = {os.path.basename(path) if "/" not in path else path.split("/", 1)[1]: (path, size, mtime) for path, size, mtime in earlier.files}
    for relative in (*job.promises, *job.results):
        if relative.split("/", 1)[1] not in kept:
            return False
        path, size, mtime_ns = kept[relative.split("/", 1)[1]]
        try:
            facts = os.stat(f"{earlier.scratch}/{path}")
        except OSError:
            return False
        if (facts.st_size, facts.st_mtime_ns) != (size, mtime_ns):
            return False
    return True

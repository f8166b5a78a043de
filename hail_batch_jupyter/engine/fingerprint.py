"""What a job's result depends on, as one text; and which results of earlier runs may be taken over."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from hail_batch_jupyter.core.events import BatchSnapshot
from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.journal import read_events

_LOOK_BACK = 10
"""Runs that are searched for a result, newest first."""


def fingerprints(spec: BatchSpec, stats: dict[str, str] | None = None) -> dict[int, str]:
    """Job id -> fingerprint: what it does, size and time of change of its input files, and the fingerprints of its parents.

    `stats` is filled with what was seen of each input file.
    """
    found: dict[int, str] = {}
    stats = {} if stats is None else stats
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
    """A finished job of an earlier run; without `kept` its intermediate files were removed."""

    run_id: str
    created_ms: int
    scratch: str
    kept: bool
    files: tuple[tuple[str, int, int], ...]


class Prints(NamedTuple):
    """Fingerprints of a run by job id, and what was seen of its input files by path."""

    jobs: dict[int, str]
    inputs: dict[str, str]


def save(directory: Path, spec: BatchSpec, remote: Mapping[str, str] = MappingProxyType({})) -> None:
    """Keep the fingerprints with the run; `remote` says what is known of inputs in object stores."""
    inputs = dict(remote)
    prints = fingerprints(spec, inputs)
    rundir.write_private(directory / "fingerprints.json", json.dumps({"jobs": prints, "inputs": inputs}))


def load(directory: Path) -> Prints:
    """The fingerprints of a run, none if it kept none."""
    try:
        found = json.loads((directory / "fingerprints.json").read_text())
        return Prints({int(job_id): text for job_id, text in found["jobs"].items()}, found["inputs"])
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return Prints({}, {})


def earlier_results(previous: str | None) -> dict[str, Earlier]:
    """Fingerprint -> newest successful job, one whose files were kept before others, over the run `previous` and those before it."""
    found: dict[str, Earlier] = {}
    for run in runs_before(previous):
        for text, earlier in _successes(run).items():
            if text not in found or (earlier.kept and not found[text].kept):
                found[text] = earlier
    return found


def runs_before(previous: str | None) -> Iterator[rundir.RunInfo]:
    """The run `previous` and those before it, newest first, as far as they are there and as many as are searched."""
    for _ in range(_LOOK_BACK):
        if previous is None:
            return
        try:
            run = rundir.info(rundir.find(previous))
        except RunLostError:
            return
        yield run
        previous = run.previous


def _successes(run: rundir.RunInfo) -> dict[str, Earlier]:
    prints = load(run.directory).jobs
    snapshot = BatchSnapshot.empty(sorted(prints)).after(read_events(run.directory / "events.jsonl"))
    succeeded = (view for view in snapshot.jobs if view.state is JobState.SUCCESS)
    return {prints[view.job_id]: Earlier(run.run_id, run.created_ms, run.scratch, run.kept, view.files) for view in succeeded}


def kept_files(earlier: Earlier, job: JobSpec) -> dict[str, tuple[str, int, int]] | None:
    """Each file that the job promises now -> where it lies unchanged, its size and time of change in ns; None when one is not there.

    Of a run whose intermediate files were removed those that were written out may still be found at their destination.
    """
    known = {os.path.basename(path) if "/" not in path else path.split("/", 1)[1]: (path, size, mtime) for path, size, mtime in earlier.files}
    written = {} if earlier.kept else {out.source[len(SCRATCH) + 1 :]: out.dest for out in job.outputs}
    found: dict[str, tuple[str, int, int]] = {}
    for relative in (*job.promises, *job.results):
        if relative.split("/", 1)[1] not in known:
            return None
        path, size, mtime_ns = known[relative.split("/", 1)[1]]
        place = f"{earlier.scratch}/{path}" if earlier.kept else written.get(relative, "")
        try:
            facts = os.stat(place)
        except OSError:
            return None
        if (facts.st_size, facts.st_mtime_ns) != (size, mtime_ns):
            return None
        found[relative] = (place, size, mtime_ns)
    return found

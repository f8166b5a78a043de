"""Beginning a run whose runner lives on this machine, wherever its jobs run: the run directory, and the orders for the runner."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from hail_batch_jupyter.backends.launch import Launch
from hail_batch_jupyter.backends.origin import origin
from hail_batch_jupyter.core.ports import Capacity, SubmitOptions
from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec, Transfer, to_json
from hail_batch_jupyter.engine import fingerprint
from hail_batch_jupyter.engine.localize import write_uploads
from hail_batch_jupyter.engine.stores import is_remote
from hail_batch_jupyter.errors import CapabilityError, SubmitError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import open_run
from hail_batch_jupyter.observe.environment import own_names
from hail_batch_jupyter.observe.running import RunningBatch

RUN_OPTIONS = frozenset({"wait", "resume", "open", "disable_progress_bar", "callback", "token", "max_cost_usd"})
"""Keywords of `Batch.run` for what is run by a runner of ours."""


class Seen(NamedTuple):
    """What the containers of a run see beside its scratch folder and their inputs; these are under the same path there.

    own      folder in which each job gets one, by its number, of which its container has that one only
    folders  of which every container has all
    """

    own: str | None = None
    folders: tuple[str, ...] = ()


class Place(Protocol):
    """Where jobs run whose runner lives here, such as `Machine` and `Nodes`."""

    def capacity(self) -> Capacity:
        """What one run may hand out."""

    def runs(self) -> Path | None:
        """The folder in which run directories are made, None for that of all runs."""

    def scratch_parent(self, *, kept: bool) -> Path | None:
        """The folder in which that of intermediate files is made, None for the run directory."""

    def orders(self, spec: BatchSpec, seen: Seen) -> dict[str, Any]:
        """What the runner has to know of the place; raises CapabilityError or SubmitError for a run that cannot be there."""


class Made(NamedTuple):
    """By whom a run is made: a backend's name, and the arguments that make such a backend again."""

    backend: str
    settings: Mapping[str, Any]


class Facts(NamedTuple):
    """What is told of a run beside its spec.

    env        variables of jobs by their number
    versions   of inputs in object stores, see `remote_inputs`
    seen       what its containers see
    confined   folder in which all outputs must lie, None for anywhere
    key_file   of whose account object stores are asked, None for that of this process
    """

    env: Mapping[int, Mapping[str, str]]
    versions: Mapping[str, str]
    seen: Seen = Seen()
    confined: str | None = None
    key_file: str | None = None


def begin(spec: BatchSpec, options: SubmitOptions, place: Place, made: Made, told: Facts) -> RunningBatch:
    """Write the run directory and start the runner; returns as soon as that lives.

    Raises SubmitError for a folder that cannot be written, CapabilityError for what needs another place; then nothing was started.
    """
    orders = {**orders_of(spec, place, told), "sys_path": [os.path.abspath(entry) for entry in sys.path]}
    directory = make_run(spec, options, made, place.runs(), place.scratch_parent(kept=options.keep_files))
    scratch = rundir.info(directory).scratch
    try:
        Path(scratch).mkdir(mode=0o700, parents=True)
        write_uploads(scratch, spec.uploads)
        rundir.write_private(directory / "spec.json", json.dumps(to_json(spec), separators=(",", ":")))
        fingerprint.save(directory, spec, dict(told.versions))
    except OSError as error:
        rundir.remove(directory)
        raise SubmitError(f"the scratch folder {scratch!r} cannot be written ({error.strerror}); free space or choose another tmp_dir") from error
    with options.begun or Launch() as launch:
        try:
            launch.give(directory, orders, tied=not options.detach)
        except SubmitError:
            rundir.remove(directory)
            raise
    return open_run(directory, spec)


def orders_of(spec: BatchSpec, place: Place, told: Facts) -> dict[str, Any]:
    """The orders for a runner, without what is said of this process."""
    own = {"confined": told.confined, "key_file": told.key_file, "own": told.seen.own}
    return {"env": {job_id: dict(values) for job_id, values in told.env.items()}, **own, **place.orders(spec, told.seen)}


def make_run(spec: BatchSpec, options: SubmitOptions, made: Made, runs: Path | None = None, scratch_parent: Path | None = None) -> Path:
    """A new run directory with its description."""
    description: dict[str, Any] = {
        "name": spec.name or "",
        "lineage": spec.lineage,
        "n_jobs": len(spec.jobs),
        "kept": options.keep_files,
        "previous": spec.previous_run,
        **origin(),
        "backend": made.backend,
        "settings": dict(made.settings),
        "maker": {"python": sys.executable, "sys_path": [os.path.abspath(entry) for entry in sys.path], "env": own_names()},
    }
    directory = rundir.create(spec.name, description, runs)
    scratch = directory / "scratch" if scratch_parent is None else scratch_parent / secrets.token_hex(3)
    rundir.describe(directory, {**json.loads((directory / "run.json").read_text()), "scratch": str(scratch)})
    return directory


def env_of(spec: BatchSpec) -> dict[int, dict[str, str]]:
    """What jobs add to the environment; where the scratch folder is, is not theirs to say."""
    return {job.job_id: {name: value for name, value in job.env.items() if name != "BATCH_TMPDIR"} for job in spec.jobs if job.env}


def check_files(spec: BatchSpec) -> None:
    """Raise SubmitError for an input that does not exist, CapabilityError for a place that is not reached from here."""
    _check_transfers(spec.external, spec.external, "the batch")
    for job in spec.jobs:
        if job.inputs or job.outputs:
            _check_transfers(job.inputs, job.outputs, f"job {job.display_name!r}")


def _check_transfers(read: Sequence[Transfer], written: Sequence[Transfer], who: str) -> None:
    for transfer in read:
        _check_input(transfer.source, who)
    for transfer in written:
        _check_output(transfer.dest, who)


def _check_output(dest: str, who: str) -> None:
    if dest.startswith("s3://"):
        raise CapabilityError(f"{who} writes {dest!r}, and S3 is not reached from here; name a place at gs://, in Azure's blob storage, or a path")


def _check_input(source: str, who: str) -> None:
    if source.startswith("s3://"):
        raise CapabilityError(f"{who} reads {source!r}, and S3 is not reached from here; download the file and read the copy")
    if source.startswith(SCRATCH) or is_remote(source):
        return
    path = source[len("file://") :] if source.startswith("file://") else source
    if not os.path.exists(path):
        raise SubmitError(f"{who} reads {path!r}, which does not exist; make the file or mend the path, nothing was started")

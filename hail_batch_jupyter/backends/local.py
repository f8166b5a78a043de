"""LocalBackend: runs a batch on this machine, in parallel, in a process of its own."""

from __future__ import annotations

import json
import os
import secrets
import sys
import warnings
from pathlib import Path
from typing import Any

from hail_batch_jupyter.backends.launch import Launch
from hail_batch_jupyter.backends.origin import origin
from hail_batch_jupyter.backends.pricing import with_card
from hail_batch_jupyter.backends.remote_inputs import versions_of
from hail_batch_jupyter.batch.backend import Backend
from hail_batch_jupyter.core.ports import Capacity, Gpu, Pool, PoolRequest, SubmitOptions
from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec, JobSpec, to_json
from hail_batch_jupyter.core.units import Quantity, parse_bytes, parse_cpu
from hail_batch_jupyter.engine import fingerprint
from hail_batch_jupyter.engine.capacity import machine, too_large
from hail_batch_jupyter.engine.gpus import machine_gpus, too_many_gpus
from hail_batch_jupyter.engine.localize import write_uploads
from hail_batch_jupyter.engine.stores import is_remote
from hail_batch_jupyter.errors import CapabilityError, SubmitError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import open_run
from hail_batch_jupyter.observe.environment import own_names
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.observe.scratch import own_folder


class LocalBackend(Backend[RunningBatch]):
    """Runs batches on this machine.

    Independent jobs run in parallel: cores and memory are counted against what the machine, or its control group, has.
    A job has an empty working directory of its own below the scratch folder, which is $BATCH_TMPDIR.

    tmp_dir           folder below which scratch folders are made when files are not kept
    cores, memory     what the jobs of one run may take together; default: all of the machine
    parallelism       no more jobs than this at once; with 1 and `shared_directory=True` jobs run one by one in one folder, as hailtop's do
    shared_directory  the working directory of every job is the scratch folder itself
    strict            refuse a job that asks for more than there is, instead of running it alone with a warning

    A job with an image runs in a container of docker or podman, see the guide on containers; for these are

    gsa_key_file            key of a service account, at /gsa-key/key.json; default: $HAIL_BATCH_GSA_KEY_FILE
    extra_docker_run_flags  put behind ours, as one string; default: $HAIL_BATCH_EXTRA_DOCKER_RUN_FLAGS

    Raises UnitError for a malformed size or number of cores.
    """

    name = "local"
    capabilities = frozenset(
        {"timeout", "always_copy_output", "n_max_attempts", "cancel_after_n_failures", "spot", "image", "gpu", "retry", "groups", "strict"}
    )
    run_options = frozenset({"wait", "resume", "open", "disable_progress_bar", "callback", "token", "max_cost_usd"})

    def __init__(
        self,
        tmp_dir: str = "/tmp/",
        gsa_key_file: str | None = None,
        extra_docker_run_flags: str | None = None,
        *,
        cores: Quantity | None = None,
        memory: Quantity | None = None,
        parallelism: int | None = None,
        shared_directory: bool = False,
        strict: bool = False,
    ) -> None:
        if sys.platform == "win32":
            raise CapabilityError("LocalBackend needs the processes and signals of Unix; on Windows run Jupyter inside WSL (`wsl --install`)")
        if parallelism is not None and parallelism < 1:
            raise ValueError(f"parallelism {parallelism} is not a number of jobs; use 1 or more, or None for as many as fit")
        self.tmp_dir = tmp_dir.rstrip("/") or "/"
        self.gsa_key_file = os.environ.get("HAIL_BATCH_GSA_KEY_FILE") if gsa_key_file is None else gsa_key_file
        flags = os.environ.get("HAIL_BATCH_EXTRA_DOCKER_RUN_FLAGS") if extra_docker_run_flags is None else extra_docker_run_flags
        self.extra_docker_run_flags = flags
        self.shared_directory = shared_directory
        given = {
            "tmp_dir": tmp_dir,
            "gsa_key_file": gsa_key_file,
            "extra_docker_run_flags": extra_docker_run_flags,
            "cores": cores and str(cores),
            "memory": memory and str(memory),
            "parallelism": parallelism,
            "shared_directory": shared_directory,
            "strict": strict,
        }
        self._settings = {name: value for name, value in given.items() if value not in (None, False)}  # "" overrides a variable
        self.strict = strict
        self._cores = None if cores is None else parse_cpu(cores)
        self._memory = None if memory is None else parse_bytes(memory)
        self._parallelism = parallelism

    def made_with(self) -> dict[str, Any]:
        """The arguments that were given."""
        return {name: value for name, value in self._settings.items() if (name, value) != ("tmp_dir", "/tmp/")}

    def capacity(self) -> Capacity:
        """What one run may hand out."""
        has = machine()
        return Capacity(self._cores or has.cpu_mcpu, self._memory or has.memory_bytes, self._parallelism or has.attempts)

    def begin(self) -> Launch:
        """Start the runner, so that it is ready when the batch is compiled."""
        return Launch()

    def open_pool(self, request: PoolRequest) -> Pool | None:
        """Warm processes for calls of functions, as many as fit; see `BatchPoolExecutor`."""
        from hail_batch_jupyter.backends.local_pool import open_pool

        return open_pool(request, self.capacity(), self.tmp_dir, self.strict)

    def submit(self, spec: BatchSpec, options: SubmitOptions) -> RunningBatch:
        """Write the run directory and start the runner; returns as soon as that lives.

        Raises SubmitError for a missing input or a folder that cannot be written, CapabilityError for what needs another backend.
        """
        spec = with_card(spec, self.name)
        capacity = self.capacity()
        self._check(spec, capacity)
        remote = self._versions(spec)
        containers = self._containers(spec)
        scratch_parent = self._scratch_parent(options)
        directory = self._make_run(spec, options, scratch_parent)
        facts = rundir.info(directory)
        try:
            Path(facts.scratch).mkdir(mode=0o700, parents=True)
            write_uploads(facts.scratch, spec.uploads)
            rundir.write_private(directory / "spec.json", json.dumps(to_json(spec), separators=(",", ":")))
            fingerprint.save(directory, spec, remote)
        except OSError as error:
            rundir.remove(directory)
            raise SubmitError(f"the scratch folder {facts.scratch!r} cannot be written ({error.strerror}); free space or choose another tmp_dir") from error
        with options.begun or Launch() as launch:
            try:
                launch.give(directory, {**self._orders(spec, capacity), "containers": containers}, tied=not options.detach)
            except SubmitError:
                rundir.remove(directory)
                raise
        return open_run(directory, spec)

    def _make_run(self, spec: BatchSpec, options: SubmitOptions, scratch_parent: Path | None) -> Path:
        description: dict[str, Any] = {
            "name": spec.name or "",
            "lineage": spec.lineage,
            "n_jobs": len(spec.jobs),
            "kept": options.keep_files,
            "previous": spec.previous_run,
            **origin(),
            "backend": self.name,
            "settings": self._settings,
            "maker": {"python": sys.executable, "sys_path": [os.path.abspath(entry) for entry in sys.path], "env": own_names()},
        }
        directory = rundir.create(spec.name, description, self._place())
        scratch = directory / "scratch" if scratch_parent is None else scratch_parent / secrets.token_hex(3)
        rundir.describe(directory, {**json.loads((directory / "run.json").read_text()), "scratch": str(scratch)})
        return directory

    def _scratch_parent(self, options: SubmitOptions) -> Path | None:
        """Where the folder of intermediate files is made, None for the run directory."""
        return None if options.keep_files else own_folder(self.tmp_dir)

    def _place(self) -> Path | None:
        """Where run directories are made, None for the usual folder."""
        return None

    def _orders(self, spec: BatchSpec, capacity: Capacity) -> dict[str, Any]:
        return {
            "env": {job.job_id: self._env(job) for job in spec.jobs if job.env},
            "sys_path": [os.path.abspath(entry) for entry in sys.path],
            "shared_directory": self.shared_directory,
            "capacity": list(capacity),
            "gpus": self._gpus(spec),
        }

    def _env(self, job: JobSpec) -> dict[str, str]:
        """What the job adds to the environment; where the scratch folder is, is not its to say."""
        return {name: value for name, value in job.env.items() if name != "BATCH_TMPDIR"}

    def _containers(self, spec: BatchSpec) -> dict[str, Any] | None:
        """How the containers of this run are started, None for a run without."""
        job = next((job for job in spec.jobs if job.image is not None), None)
        if job is None:
            return None
        from hail_batch_jupyter.backends.containers import local_containers

        return local_containers(job, self.extra_docker_run_flags, self.gsa_key_file)

    def _versions(self, spec: BatchSpec) -> dict[str, str]:
        """What tells whether inputs in object stores have changed; raises SubmitError for one that is not there."""
        return versions_of(spec)

    def _gpus(self, spec: BatchSpec) -> list[Gpu]:
        """The devices of this machine, which are asked for only if a job wants some."""
        return machine_gpus(os.environ) if any(job.request.gpus for job in spec.jobs) else []

    def _check(self, spec: BatchSpec, capacity: Capacity) -> None:
        beyond = []
        gpus = self._gpus(spec)
        self._check_files(spec)
        for job in spec.jobs:
            missing = too_many_gpus(job.request, gpus) if job.request.gpus else None
            if missing is not None:
                raise CapabilityError(f"job {job.display_name!r} asks for {missing} on this machine; ask for less, or run it where there are more")
            words = too_large(job.request, capacity)
            if words is not None:
                beyond.append(f"job {job.display_name!r} asks for {words}")
        if beyond and self.strict:
            raise SubmitError(f"{beyond[0]}; ask for less, or use LocalBackend(strict=False) to run it alone")
        if beyond:
            more = f" (and {len(beyond) - 1} more jobs)" if len(beyond) > 1 else ""
            warnings.warn(f"{beyond[0]}{more}: it runs alone on this machine", UserWarning, stacklevel=4)

    def _check_files(self, spec: BatchSpec) -> None:
        for transfer in spec.external:
            _check_input(transfer.source, "the batch")
            _check_output(transfer.dest, "the batch")
        for job in spec.jobs:
            for transfer in job.inputs:
                _check_input(transfer.source, f"job {job.display_name!r}")
            for transfer in job.outputs:
                _check_output(transfer.dest, f"job {job.display_name!r}")


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

"""LocalBackend: runs a batch on this machine, in parallel, in a process of its own."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from hail_batch_jupyter.backends.begin import RUN_OPTIONS, Facts, Made, begin, check_files, env_of
from hail_batch_jupyter.backends.launch import Launch
from hail_batch_jupyter.backends.machine import Machine, container_options
from hail_batch_jupyter.backends.pricing import with_card
from hail_batch_jupyter.backends.remote_inputs import versions_of
from hail_batch_jupyter.batch.backend import Backend
from hail_batch_jupyter.core.ports import Capacity, Pool, PoolRequest, SubmitOptions
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.core.units import Quantity, parse_bytes, parse_cpu
from hail_batch_jupyter.errors import CapabilityError, SubmitError
from hail_batch_jupyter.observe.running import RunningBatch


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
    run_options = RUN_OPTIONS

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
        self.extra_docker_run_flags, self.gsa_key_file = container_options(extra_docker_run_flags, gsa_key_file)
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
        most = (None if cores is None else parse_cpu(cores), None if memory is None else parse_bytes(memory), parallelism)
        self._machine = Machine(self.tmp_dir, *most, shared_directory, self.extra_docker_run_flags, self.gsa_key_file)

    def made_with(self) -> dict[str, Any]:
        """The arguments that were given."""
        return {name: value for name, value in self._settings.items() if (name, value) != ("tmp_dir", "/tmp/")}

    def capacity(self) -> Capacity:
        """What one run may hand out."""
        return self._machine.capacity()

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
        self._machine.check_gpus(spec)
        check_files(spec)
        self._check_size(spec)
        return begin(spec, options, self._machine, Made(self.name, self._settings), Facts(env_of(spec), versions_of(spec)))

    def _check_size(self, spec: BatchSpec) -> None:
        beyond = self._machine.too_large(spec)
        if beyond and self.strict:
            raise SubmitError(f"{beyond[0]}; ask for less, or use LocalBackend(strict=False) to run it alone")
        if beyond:
            more = f" (and {len(beyond) - 1} more jobs)" if len(beyond) > 1 else ""
            warnings.warn(f"{beyond[0]}{more}: it runs alone on this machine", UserWarning, stacklevel=4)

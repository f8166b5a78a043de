"""This machine as a place where jobs run: as processes, or in containers of docker or podman."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from hail_batch_jupyter.backends.begin import Seen
from hail_batch_jupyter.core.ports import Capacity, Gpu
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.engine.capacity import machine, too_large
from hail_batch_jupyter.engine.gpus import machine_gpus, too_many_gpus
from hail_batch_jupyter.errors import CapabilityError
from hail_batch_jupyter.observe.scratch import own_folder


class Machine(NamedTuple):
    """This machine, or a part of it.

    tmp_dir           folder below which scratch folders are made when files are not kept
    cpu_mcpu, memory_bytes, attempts   what one run may hand out; None for all that there is
    shared_directory  the working directory of every job is the scratch folder itself
    docker_flags      put behind ours, as one string          key_file  of a service account, for containers
    """

    tmp_dir: str = "/tmp/"
    cpu_mcpu: int | None = None
    memory_bytes: int | None = None
    attempts: int | None = None
    shared_directory: bool = False
    docker_flags: str | None = None
    key_file: str | None = None

    def capacity(self) -> Capacity:
        """What one run may hand out."""
        has = machine()
        return Capacity(self.cpu_mcpu or has.cpu_mcpu, self.memory_bytes or has.memory_bytes, self.attempts or has.attempts)

    def runs(self) -> Path | None:
        """The folder of all runs."""
        return None

    def scratch_parent(self, *, kept: bool) -> Path | None:
        """A folder of the user's own; files that are kept lie in the run directory."""
        return None if kept else own_folder(self.tmp_dir)

    def orders(self, spec: BatchSpec, seen: Seen) -> dict[str, Any]:
        """Cores, memory and devices, and how containers are started; raises CapabilityError when no engine answers."""
        where = {"shared_directory": self.shared_directory, "capacity": list(self.capacity()), "gpus": _gpus(spec)}
        return {**where, "containers": self._containers(spec, seen)}

    def _containers(self, spec: BatchSpec, seen: Seen) -> dict[str, Any] | None:
        """How the containers of this run are started, None for a run without."""
        job = next((job for job in spec.jobs if job.image is not None), None)
        if job is None:
            return None
        from hail_batch_jupyter.backends.containers import local_containers

        return {**local_containers(job, self.docker_flags, self.key_file), **seen._asdict()}

    def check_gpus(self, spec: BatchSpec) -> None:
        """Raise CapabilityError for a job that asks for more devices than there are."""
        gpus = _gpus(spec)
        for job in spec.jobs:
            missing = too_many_gpus(job.request, gpus) if job.request.gpus else None
            if missing is not None:
                raise CapabilityError(f"job {job.display_name!r} asks for {missing} on this machine; ask for less, or run it where there are more")

    def too_large(self, spec: BatchSpec) -> list[str]:
        """A sentence without its end for each job that asks for more cores or memory than there are."""
        capacity = self.capacity()
        found = ((job, too_large(job.request, capacity)) for job in spec.jobs)
        return [f"job {job.display_name!r} asks for {words}" for job, words in found if words is not None]


def container_options(flags: str | None = None, key_file: str | None = None) -> tuple[str | None, str | None]:
    """Flags for docker and the key of a service account, those of the environment where nothing is given."""
    return (
        os.environ.get("HAIL_BATCH_EXTRA_DOCKER_RUN_FLAGS") if flags is None else flags,
        os.environ.get("HAIL_BATCH_GSA_KEY_FILE") if key_file is None else key_file,
    )


def _gpus(spec: BatchSpec) -> list[Gpu]:
    """The devices of this machine, which are asked for only if a job wants some."""
    return machine_gpus(os.environ) if any(job.request.gpus for job in spec.jobs) else []

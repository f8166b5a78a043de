"""SlurmBackend: runs a batch on a cluster, from a machine where Slurm's commands are."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.config import configured
from hail_batch_jupyter.core.ports import Capacity, Gpu, Pool, PoolRequest, SubmitOptions
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.errors import CapabilityError, SubmitError
from hail_batch_jupyter.executors.slurm_container import ENGINES
from hail_batch_jupyter.executors.slurm_words import SlurmSettings

_ALL = 1 << 60
"""Of cores and memory there is as much as Slurm gives."""
_JOBS = 10_000
_POOL_WORKERS = 8
_COMMANDS = ("sbatch", "squeue", "scancel", "scontrol")


class SlurmBackend(LocalBackend):
    """Runs batches on a Slurm cluster; the runner lives here, where `sbatch` is, and each job is a task of an array.

    work_directory          folder that every node sees under the same path, for logs and intermediate files; default: the folder of all runs
    partition, account, qos as of `sbatch`; default: those of the site
    options                 more options of `sbatch` for every job, such as ("--constraint=avx2",); they win over what jobs ask for
    max_jobs                no more jobs than this are queued or running at once; limits of the site hold besides
    python                  interpreter of Python jobs on the nodes; default: the `python3` of this one's environment
    setup                   lines of shell before the command of each job, such as ("module load samtools",)
    pack                    at most so many jobs one after the other in a task of an array; default: several where jobs turn out to be short; 1: never
    pool_workers            a BatchPoolExecutor has at most so many Slurm jobs (8), which take its calls as long as it is open
    pool_by_files           its calls go through files in work_directory, for sites whose nodes cannot connect to this machine; else they find out, after 5 s

    container_engine        apptainer, singularity or podman, for jobs with an image; default: the setting batch/container_engine, else the first that is here

    What is not given comes from the settings slurm/work_directory, slurm/partition and so on. Raises ValueError for an option that is none.
    """

    name = "slurm"
    capabilities = frozenset({"timeout", "always_copy_output", "n_max_attempts", "cancel_after_n_failures", "spot", "gpu", "retry", "groups", "image"})

    def __init__(
        self,
        work_directory: str | os.PathLike[str] | None = None,
        *,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        options: Sequence[str] | None = None,
        max_jobs: int | None = None,
        python: str | None = None,
        setup: Sequence[str] | None = None,
        pack: int | None = None,
        pool_workers: int | None = None,
        pool_by_files: bool = False,
        container_engine: str | None = None,
    ) -> None:
        if work_directory is None:
            work_directory = configured("slurm", "work_directory")
        partition, account, qos = (configured("slurm", name, value) for name, value in (("partition", partition), ("account", account), ("qos", qos)))
        python, setup = configured("slurm", "python", python), configured("slurm", "setup", fallback="") if setup is None else setup
        options = shlex.split(configured("slurm", "options", fallback="")) if options is None else options
        max_jobs = max_jobs or _whole(configured("slurm", "max_jobs"))
        pool_workers = pool_workers or _whole(configured("slurm", "pool_workers")) or _POOL_WORKERS
        super().__init__(parallelism=max_jobs)
        self.work_directory = None if work_directory is None else Path(work_directory).expanduser().absolute()
        if pack is not None and pack < 1:
            raise ValueError(f"pack {pack} is not a number of jobs; use 1 for a task each, or None for as many as their time allows")
        self.settings = SlurmSettings(partition, account, qos, _words(options), python, _words(setup), pack)
        given: dict[str, Any] = {
            "work_directory": self.work_directory and str(self.work_directory),
            "partition": partition,
            "account": account,
            "qos": qos,
            "options": self.settings.options,
            "max_jobs": max_jobs,
            "python": python,
            "setup": self.settings.setup,
            "pack": pack,
            "pool_workers": pool_workers,
            "pool_by_files": pool_by_files,
            "container_engine": container_engine,
        }
        if container_engine is not None and container_engine not in ENGINES:
            raise ValueError(f"container_engine {container_engine!r} is none that nodes run; use one of {', '.join(ENGINES)}")
        self.container_engine = container_engine
        self.pool_workers = pool_workers
        self.pool_by_files = pool_by_files
        self._settings = {name: value for name, value in given.items() if value}
        place = None if self.work_directory is None else str(self.work_directory)
        for word in (*self.settings.options, *filter(None, (partition, account, qos, python, place))):
            _check_word(word)
        for option in self.settings.options:
            if not option.startswith("-"):
                raise ValueError(f"options has {option!r}, which is no option of sbatch; write it as one word, such as '--constraint=avx2'")

    def capacity(self) -> Capacity:
        """As much as Slurm gives, and `max_jobs`."""
        return Capacity(_ALL, _ALL, self._parallelism or _JOBS)

    def open_pool(self, request: PoolRequest) -> Pool | None:
        """Warm processes that are Slurm jobs, up to `pool_workers` of them; see `BatchPoolExecutor`."""
        from hail_batch_jupyter.backends.slurm_pool import open_pool

        _check_commands()
        return open_pool(request, self.settings, self.work_directory, self.pool_workers, self.pool_by_files)

    def _place(self) -> Path | None:
        return self.work_directory

    def _scratch_parent(self, options: SubmitOptions) -> Path | None:
        return None

    def _orders(self, spec: BatchSpec, capacity: Capacity) -> dict[str, Any]:
        return {**super()._orders(spec, capacity), "gpus": None, "slurm": self.settings._replace(engine=self._engine(spec))._asdict()}

    def _gpus(self, spec: BatchSpec) -> list[Gpu]:
        return []

    def _containers(self, spec: BatchSpec) -> dict[str, Any] | None:
        """None: the nodes have an engine of their own."""
        return None

    def _engine(self, spec: BatchSpec) -> str | None:
        """What runs the images of a batch on the nodes, None for a batch without."""
        job = next((job for job in spec.jobs if job.image is not None), None)
        if job is None:
            return None
        general = configured("batch", "container_engine")
        chosen = self.container_engine or (general if general in ENGINES else None)
        found = chosen or next((name for name in ENGINES if shutil.which(name)), None)
        if found is None:
            words = f"job {job.display_name!r} has the image {job.image!r}, and this machine has none of {', '.join(ENGINES)}"
            raise CapabilityError(f"{words}; where the nodes have one, name it with SlurmBackend(container_engine=…), else remove the image")
        return found

    def _check(self, spec: BatchSpec, capacity: Capacity) -> None:
        _check_commands()
        self._engine(spec)
        self._check_files(spec)


def _check_commands() -> None:
    missing = [command for command in _COMMANDS if shutil.which(command) is None]
    if missing:
        words = f"SlurmBackend needs Slurm's commands, and {missing[0]!r} is not on PATH"
        raise SubmitError(f"{words}; start the notebook on a login node of the cluster, or use LocalBackend()")


def _words(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(filter(None, [given]) if isinstance(given, str) else given)


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _check_word(word: str) -> None:
    if not word or not word.isprintable():
        raise ValueError(f"{word!r} cannot be given to sbatch; use printable characters only")

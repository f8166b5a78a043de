"""SlurmBackend: runs a batch on a cluster, from a machine where Slurm's commands are, or from anywhere by ssh."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.config import configured
from hail_batch_jupyter.core.ports import Capacity, Gpu, Pool, PoolRequest, SubmitOptions
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.errors import CapabilityError, SubmitError
from hail_batch_jupyter.executors.slurm_container import ENGINES
from hail_batch_jupyter.executors.slurm_words import SlurmSettings
from hail_batch_jupyter.observe.running import RunningBatch

if TYPE_CHECKING:
    from hail_batch_jupyter.backends.elsewhere import Protocol
    from hail_batch_jupyter.backends.site import Site
    from hail_batch_jupyter.cluster.parameter import ConnectionParameters

_ALL = 1 << 60
"""Of cores and memory there is as much as Slurm gives."""
_JOBS = 10_000
_POOL_WORKERS = 8
RUNNERS = ("here", "login", "job")
_COMMANDS = ("sbatch", "squeue", "scancel", "scontrol")


class SlurmBackend(LocalBackend):
    """Runs batches on a Slurm cluster; each job is a task of an array. The runner lives where `sbatch` is: here, or where the protocol leads to.

    protocol                how the cluster is reached: SshProtocol, ParamikoProtocol, or ConnectionParameters; None where this machine has Slurm's commands
    runner                  'here'; 'login': on the machine that the protocol leads to, which is the default of one by ssh; 'job': as a Slurm job of its own.
                            With the last two this machine may be switched off
    runner_options          more options of `sbatch` for that job, such as ("--time=2-0",)
    login_setup             lines of shell before the runner is started by a login shell there; jobs get the environment that they make
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
        protocol: Protocol | ConnectionParameters | None = None,
        work_directory: str | os.PathLike[str] | None = None,
        *,
        runner: str | None = None,
        runner_options: Sequence[str] = (),
        login_setup: str | None = None,
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
        if pack is not None and pack < 1:
            raise ValueError(f"pack {pack} is not a number of jobs; use 1 for a task each, or None for as many as their time allows")
        self._choose_runner(protocol, configured("slurm", "runner", runner), runner_options, configured("slurm", "login_setup", login_setup, fallback=""))
        self.work_directory = None if work_directory is None else Path(work_directory)
        if self.work_directory is not None and self.runner == "here":
            self.work_directory = self.work_directory.expanduser().absolute()
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
            "runner": self.runner,
            "runner_options": self.runner_options,
            "login_setup": self.login_setup,
        }
        self.container_engine = container_engine
        self.pool_workers = pool_workers
        self.pool_by_files = pool_by_files
        self._settings = {name: value for name, value in given.items() if value}
        place = None if self.work_directory is None else str(self.work_directory)
        self._check_words([*self.settings.options, *filter(None, (partition, account, qos, python, place))])

    def _check_words(self, words: Sequence[str]) -> None:
        """Raise ValueError for what sbatch or a node would misunderstand."""
        if self.container_engine is not None and self.container_engine not in ENGINES:
            raise ValueError(f"container_engine {self.container_engine!r} is none that nodes run; use one of {', '.join(ENGINES)}")
        for word in words:
            _check_word(word)
        for option in (*self.settings.options, *self.runner_options):
            if not option.startswith("-"):
                raise ValueError(f"options has {option!r}, which is no option of sbatch; write it as one word, such as '--constraint=avx2'")

    def _choose_runner(self, protocol: Protocol | ConnectionParameters | None, runner: str | None, options: Sequence[str], login_setup: str) -> None:
        from hail_batch_jupyter.backends.elsewhere import protocol_of
        from hail_batch_jupyter.cluster.parameter import ConnectionParameters
        from hail_batch_jupyter.cluster.protocols.local import LocalProtocol
        from hail_batch_jupyter.cluster.protocols.ssh import SshProtocol

        host = configured("slurm", "host") if protocol is None and runner != "here" else None
        self.protocol = protocol_of(protocol) if host is None else SshProtocol(ConnectionParameters(host))
        near = self.protocol is None or isinstance(self.protocol, LocalProtocol)
        self.runner = runner or ("here" if near else "login")
        self.runner_options = (options,) if isinstance(options, str) else tuple(options)
        self.login_setup = login_setup
        if self.runner not in RUNNERS:
            raise ValueError(f"runner {runner!r} is no place for it; use one of {', '.join(map(repr, RUNNERS))}")
        if self.runner == "here" and not near:
            raise CapabilityError("runner='here' needs Slurm's commands and the shared file system on this machine; by ssh use runner='login' or 'job'")

    def begin(self) -> Any:
        """Start the runner, if it lives here."""
        return super().begin() if self.runner == "here" else nullcontext()

    def submit(self, spec: BatchSpec, options: SubmitOptions) -> RunningBatch:
        """Begin a run, here or on the cluster; returns as soon as its runner lives.

        Raises SubmitError with nothing started, or naming the run where the connection was lost while it began.
        """
        if self.runner == "here":
            return super().submit(spec, options)
        from hail_batch_jupyter.backends.elsewhere import Orders, begin, fitting_python

        containers = self._containers(spec)
        site = self._site()
        if self.settings.python is None and any(job.kind == "python" and job.image is None for job in spec.jobs):
            self.settings = self.settings._replace(python=fitting_python(site, "\n".join([self.login_setup, *self.settings.setup])))
        orders = {**self._orders(spec, self.capacity()), "sys_path": [], "containers": containers}
        directory = self._make_run(spec, options, None)
        job = None if self.runner == "login" else self.runner_words()
        return begin(site, directory, spec, Orders(orders, job, not options.detach))

    def attach(self, batch_id: Any) -> RunningBatch:
        """The handle on a run by its id, also on one that was begun from another machine.

        Raises RunLostError when there is no such run, SubmitError when the cluster cannot be reached.
        """
        from hail_batch_jupyter.backends.elsewhere import attach_there
        from hail_batch_jupyter.observe.attach import attach

        return attach(str(batch_id)) if self.runner == "here" else attach_there(self._site(), str(batch_id))

    def _site(self) -> Site:
        from hail_batch_jupyter.backends.elsewhere import opened
        from hail_batch_jupyter.cluster.protocols.local import LocalProtocol

        place = "" if self.work_directory is None else str(self.work_directory)
        return opened(self.protocol or LocalProtocol(), place, self.settings.python or "", self.login_setup)

    def runner_words(self) -> list[str]:
        """Options of `sbatch` for the runner's own job."""
        named = [f"--{name}={value}" for name in ("partition", "account", "qos") if (value := getattr(self.settings, name))]
        return ["--cpus-per-task=1", *named, *self.runner_options]

    def capacity(self) -> Capacity:
        """As much as Slurm gives, and `max_jobs`."""
        return Capacity(_ALL, _ALL, self._parallelism or _JOBS)

    def open_pool(self, request: PoolRequest) -> Pool | None:
        """Warm processes that are Slurm jobs, up to `pool_workers` of them; see `BatchPoolExecutor`. By ssh there are none: each call is a batch."""
        if self.runner != "here":
            return None
        from hail_batch_jupyter.backends.slurm_pool import open_pool

        _check_commands()
        return open_pool(request, self.settings, self.work_directory, self.pool_workers, self.pool_by_files)

    def _place(self) -> Path | None:
        return self.work_directory if self.runner == "here" else None

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

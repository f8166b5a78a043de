"""SlurmBackend: runs a batch on a cluster, from a machine where Slurm's commands are, or from anywhere by ssh."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.backends.begin import RUN_OPTIONS, Facts, Made, begin, check_files, env_of, make_run, orders_of
from hail_batch_jupyter.backends.launch import Launch
from hail_batch_jupyter.backends.nodes import Nodes, check_options, configured_number, missing_command
from hail_batch_jupyter.backends.pricing import with_card
from hail_batch_jupyter.backends.remote_inputs import versions_of
from hail_batch_jupyter.batch.backend import Backend
from hail_batch_jupyter.config import configured
from hail_batch_jupyter.core.ports import Capacity, Pool, PoolRequest, SubmitOptions
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.errors import CapabilityError, SubmitError
from hail_batch_jupyter.observe.running import RunningBatch

if TYPE_CHECKING:
    from hail_batch_jupyter.backends.far.elsewhere import Protocol
    from hail_batch_jupyter.backends.far.site import Site
    from hail_batch_jupyter.cluster.parameter import ConnectionParameters

_POOL_WORKERS = 8
RUNNERS = ("here", "login", "job")


class SlurmBackend(Backend[RunningBatch]):
    """Runs batches on a Slurm cluster; each job is a task of an array. The runner lives where `sbatch` is: here, or where the protocol leads to.

    protocol                how the cluster is reached: SshProtocol, ParamikoProtocol, or ConnectionParameters; None where this machine has Slurm's commands
    runner                  'here'; 'login': on the machine that the protocol leads to, which is the default of one by ssh; 'job': as a Slurm job of its own.
                            With the last two this machine may be switched off
    runner_options          more options of `sbatch` for that job, such as ("--time=2-0",)
    login_setup             lines of shell before the runner is started by a login shell there; jobs get the environment that they make
    work_directory          folder that every node sees under the same path, for logs and intermediate files; default: the folder of all runs
    partition, account, qos as of `sbatch`; default: those of the site
    options                 more options of `sbatch` for every job, such as ("--constraint=avx2",); they win over what jobs ask for
    spot_options            more options for jobs with spot(True), such as ("--partition=spare",), whose nodes other jobs may take; they win over `options`
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
    run_options = RUN_OPTIONS

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
        spot_options: Sequence[str] | None = None,
        max_jobs: int | None = None,
        python: str | None = None,
        setup: Sequence[str] | None = None,
        pack: int | None = None,
        pool_workers: int | None = None,
        pool_by_files: bool = False,
        container_engine: str | None = None,
    ) -> None:
        nodes = Nodes.configured(
            work_directory,
            partition=partition,
            account=account,
            qos=qos,
            options=options,
            spot_options=spot_options,
            max_jobs=max_jobs,
            python=python,
            setup=setup,
            pack=pack,
            engine=container_engine,
        )
        pool_workers = pool_workers or configured_number("pool_workers") or _POOL_WORKERS
        self._choose_runner(protocol, configured("slurm", "runner", runner), runner_options, configured("slurm", "login_setup", login_setup, fallback=""))
        self.settings = nodes.settings
        self.work_directory = nodes.work_directory
        if self.work_directory is not None and self.runner == "here":
            self.work_directory = self.work_directory.expanduser().absolute()
        self.max_jobs = nodes.max_jobs
        self.container_engine = container_engine
        self.pool_workers = pool_workers
        self.pool_by_files = pool_by_files
        self._settings = {name: value for name, value in self._given().items() if value}

    def _given(self) -> dict[str, Any]:
        return {
            "work_directory": self.work_directory and str(self.work_directory),
            **{name: getattr(self.settings, name) for name in ("partition", "account", "qos", "options", "spot_options", "setup", "python", "pack")},
            **{name: getattr(self, name) for name in ("max_jobs", "pool_workers", "pool_by_files", "container_engine")},
            **{name: getattr(self, name) for name in ("runner", "runner_options", "login_setup")},
        }

    def _choose_runner(self, protocol: Protocol | ConnectionParameters | None, runner: str | None, options: Sequence[str], login_setup: str) -> None:
        from hail_batch_jupyter.backends.far.elsewhere import protocol_of
        from hail_batch_jupyter.cluster.parameter import ConnectionParameters
        from hail_batch_jupyter.cluster.protocols.local import LocalProtocol
        from hail_batch_jupyter.cluster.protocols.ssh import SshProtocol

        host = configured("slurm", "host") if protocol is None and runner != "here" else None
        self.protocol = protocol_of(protocol) if host is None else SshProtocol(ConnectionParameters(host))
        near = self.protocol is None or isinstance(self.protocol, LocalProtocol)
        self.runner = runner or ("here" if near else "login")
        self.runner_options = (options,) if isinstance(options, str) else tuple(options)
        self.login_setup = login_setup
        check_options(self.runner_options)
        if self.runner not in RUNNERS:
            raise ValueError(f"runner {runner!r} is no place for it; use one of {', '.join(map(repr, RUNNERS))}")
        if self.runner == "here" and not near:
            raise CapabilityError("runner='here' needs Slurm's commands and the shared file system on this machine; by ssh use runner='login' or 'job'")

    @property
    def nodes(self) -> Nodes:
        """Where jobs run, as the runner is told."""
        return Nodes(self.settings, self.work_directory if self.runner == "here" else None, self.max_jobs, self.container_engine or "")

    def made_with(self) -> dict[str, Any]:
        """The arguments that were given."""
        return dict(self._settings)

    def capacity(self) -> Capacity:
        """As much as Slurm gives, and `max_jobs`."""
        return self.nodes.capacity()

    def where(self) -> str:
        """On Slurm, and with which partition and account."""
        return self.nodes.words()

    def begin(self) -> Any:
        """Start the runner, if it lives here."""
        return Launch() if self.runner == "here" else nullcontext()

    def submit(self, spec: BatchSpec, options: SubmitOptions) -> RunningBatch:
        """Begin a run, here or on the cluster; returns as soon as its runner lives.

        Raises SubmitError with nothing started, or naming the run where the connection was lost while it began.
        """
        if self.runner != "here":
            return self._submit_there(spec, options)
        spec = with_card(spec, self.name)
        _check_commands()
        check_files(spec)
        return begin(spec, options, self.nodes, Made(self.name, self._settings), Facts(env_of(spec), versions_of(spec)))

    def _submit_there(self, spec: BatchSpec, options: SubmitOptions) -> RunningBatch:
        from hail_batch_jupyter.backends.far.elsewhere import Orders, begin, fitting_python

        site = self._site()
        if self.settings.python is None and any(job.kind == "python" and job.image is None for job in spec.jobs):
            self.settings = self.settings._replace(python=fitting_python(site, "\n".join([self.login_setup, *self.settings.setup])))
        orders = {**orders_of(spec, self._nodes_of(site), Facts(env_of(spec), {})), "sys_path": []}
        directory = make_run(spec, options, Made(self.name, self._settings))
        job = None if self.runner == "login" else self.runner_words()
        return begin(site, directory, spec, Orders(orders, job, not options.detach))

    def _nodes_of(self, site: Site) -> Nodes:
        """As `nodes`, with what runs images there rather than what is here."""
        from hail_batch_jupyter.backends.far.site import host_of

        return self.nodes._replace(host=host_of(site.protocol), found=site.engine)

    def attach(self, batch_id: Any) -> RunningBatch:
        """The handle on a run by its id, also on one that was begun from another machine.

        Raises RunLostError when there is no such run, SubmitError when the cluster cannot be reached.
        """
        from hail_batch_jupyter.backends.far.elsewhere import attach_there
        from hail_batch_jupyter.observe.attach import attach

        return attach(str(batch_id)) if self.runner == "here" else attach_there(self._site(), str(batch_id))

    def _site(self) -> Site:
        from hail_batch_jupyter.backends.far.elsewhere import opened
        from hail_batch_jupyter.cluster.protocols.local import LocalProtocol

        place = "" if self.work_directory is None else str(self.work_directory)
        return opened(self.protocol or LocalProtocol(), place, self.settings.python or "", self.login_setup)

    def runner_words(self) -> list[str]:
        """Options of `sbatch` for the runner's own job."""
        named = [f"--{name}={value}" for name in ("partition", "account", "qos") if (value := getattr(self.settings, name))]
        return ["--cpus-per-task=1", *named, *self.runner_options]

    def open_pool(self, request: PoolRequest) -> Pool | None:
        """Warm processes that are Slurm jobs, up to `pool_workers` of them; see `BatchPoolExecutor`.

        Raises SubmitError where the cluster cannot be reached or has no fitting Python.
        """
        from hail_batch_jupyter.backends.slurm_pool import open_far_pool, open_pool

        if self.runner != "here":
            from hail_batch_jupyter.backends.far.elsewhere import fitting_python

            site = self._site()
            python = fitting_python(site, "\n".join([self.login_setup, *self.settings.setup]), self.settings.python)
            return open_far_pool(request, site, self.settings._replace(python=python), self.pool_workers, self.pool_by_files)
        _check_commands()
        return open_pool(request, self.settings, self.work_directory, self.pool_workers, self.pool_by_files)


def _check_commands() -> None:
    missing = missing_command()
    if missing is not None:
        words = f"SlurmBackend needs Slurm's commands, and {missing!r} is not on PATH"
        raise SubmitError(f"{words}; start the notebook on a login node of the cluster, or use LocalBackend()")

"""Making the pool of workers that SlurmBackend gives to executors: Slurm jobs that stay, so that a call waits for no queue."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

from hail_batch_jupyter.backends.far.site import Site
from hail_batch_jupyter.cluster.protocols.record import protocol_record
from hail_batch_jupyter.core.ports import PoolRequest
from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.executors.pool.client import PoolClient
from hail_batch_jupyter.executors.pool.far_client import FarPoolClient
from hail_batch_jupyter.executors.pool.pool import WorkerPool
from hail_batch_jupyter.executors.pool.slurm_client import SlurmPoolClient, reached_at
from hail_batch_jupyter.executors.slurm.words import SlurmSettings
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.environment import environment_at_start, job_environment
from hail_batch_jupyter.observe.procfs import RUN_VARIABLE
from hail_batch_jupyter.observe.slurm_jobs import Client, job_name


def open_pool(request: PoolRequest, settings: SlurmSettings, place: Path | None, n_workers: int, by_files: bool) -> WorkerPool:
    """A pool of at most so many jobs of Slurm; none is submitted before the first call. `place` is a folder that the nodes see.

    Raises SubmitError when the pool's folder cannot be made.
    """
    parent = place or rundir.runs_folder()
    try:
        parent.mkdir(parents=True, exist_ok=True)
        directory = tempfile.mkdtemp(prefix=_plain(request.name) + "-", dir=parent) + os.sep
    except OSError as error:
        raise SubmitError(f"the pool's folder below {str(parent)!r} cannot be made ({error.strerror}); choose another work_directory") from error
    name = os.path.basename(directory[:-1])
    env = {**job_environment(os.environ, environment_at_start()), RUN_VARIABLE: name}
    host = "" if by_files else reached_at(Client(env))
    told = {"settings": settings._asdict(), "shape": _shape(request), "env": dict(request.env)}
    orders = {**told, "name": job_name(name), "folder": directory, "host": host}
    work_directory = os.getcwd()

    def make_server() -> PoolClient:
        sys_path = [os.path.abspath(entry) for entry in sys.path]
        return SlurmPoolClient(sys.executable, env, sys_path, f"{directory}server.log", "" if request.keep_files else directory, orders)

    return WorkerPool(make_server, n_workers, work_directory, directory, request.keep_files)


def open_far_pool(request: PoolRequest, site: Site, settings: SlurmSettings, n_workers: int, by_files: bool) -> WorkerPool:
    """As `open_pool`, with jobs of the cluster behind a protocol: its hub on the machine that this leads to is begun with the first call.

    Raises SubmitError when the pool's folder, which has its logs here, cannot be made.
    """
    parent = rundir.runs_folder()
    try:
        parent.mkdir(parents=True, exist_ok=True)
        directory = tempfile.mkdtemp(prefix=_plain(request.name) + "-", dir=parent) + os.sep
    except OSError as error:
        raise SubmitError(f"the pool's folder below {str(parent)!r} cannot be made ({error.strerror}); free space there") from error
    env = {**job_environment(os.environ, environment_at_start()), RUN_VARIABLE: os.path.basename(directory[:-1])}
    words = {"name": request.name, "place": site.post.work, "env": dict(request.env), "by_files": by_files, "keep": request.keep_files}
    hub = {**words, "settings": settings._asdict(), "shape": _shape(request)}
    password = getattr(getattr(site.protocol, "params", None), "password", None)
    orders = {"protocol": protocol_record(site.protocol), "password": password, "command": [*site.post.call, "pool", "-"], "hub": hub}

    def make_server() -> PoolClient:
        sys_path = [os.path.abspath(entry) for entry in sys.path]
        return FarPoolClient(sys.executable, env, sys_path, f"{directory}server.log", orders)

    return WorkerPool(make_server, n_workers, os.getcwd(), directory, request.keep_files)


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)


def _shape(request: PoolRequest) -> tuple[int, int, int, str]:
    return max(1, -(-(request.cpu_mcpu or 0) // 1000)), 0, 0, ""

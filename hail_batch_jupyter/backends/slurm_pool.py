"""Making the pool of workers that SlurmBackend gives to executors: Slurm jobs that stay, so that a call waits for no queue."""

from __future__ import annotations

import os
import re
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hail_batch_jupyter.core.ports import PoolRequest
from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.executors.pool import WorkerPool
from hail_batch_jupyter.executors.pool_client import PoolClient
from hail_batch_jupyter.executors.slurm_words import SlurmSettings
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.environment import environment_at_start, job_environment
from hail_batch_jupyter.observe.procfs import RUN_VARIABLE
from hail_batch_jupyter.observe.slurm_jobs import Client, job_name


class SlurmPoolClient(PoolClient):
    """The side of such a pool's server that asks for workers."""

    server = "slurm_pool_server"

    def __init__(self, python: str, env: dict[str, str], sys_path: Sequence[str], log: str, remove: str, orders: dict[str, Any]) -> None:
        super().__init__(python, env, sys_path, log, remove)
        self._send({"op": "slurm", "sys_path": list(sys_path), **orders})


def open_pool(request: PoolRequest, settings: SlurmSettings, place: Path | None, n_workers: int, by_files: bool) -> WorkerPool:
    """A pool of at most so many jobs of Slurm; none is submitted before the first call. `place` is a folder that the nodes see.

    Raises SubmitError when the pool's folder cannot be made.
    """
    parent = place or rundir.runs_folder()
    try:
        parent.mkdir(parents=True, exist_ok=True)
        directory = tempfile.mkdtemp(prefix=re.sub(r"[^\w.-]", "_", request.name) + "-", dir=parent) + os.sep
    except OSError as error:
        raise SubmitError(f"the pool's folder below {str(parent)!r} cannot be made ({error.strerror}); choose another work_directory") from error
    name = os.path.basename(directory[:-1])
    env = {**job_environment(os.environ, environment_at_start()), **request.env, RUN_VARIABLE: name}
    shape = (max(1, -(-(request.cpu_mcpu or 0) // 1000)), 0, 0, "")
    host = "" if by_files else _reached_at(Client(env))
    orders = {"settings": settings._asdict(), "shape": shape, "name": job_name(name), "folder": directory, "host": host}
    work_directory = os.getcwd()

    def make_server() -> PoolClient:
        sys_path = [os.path.abspath(entry) for entry in sys.path]
        return SlurmPoolClient(sys.executable, env, sys_path, f"{directory}server.log", "" if request.keep_files else directory, orders)

    return WorkerPool(make_server, n_workers, work_directory, directory, request.keep_files)


def _reached_at(client: Client) -> str:
    """This machine's address on the way to the controller, which is one that nodes can reach; '' where it cannot be told."""
    config = client.ask(["scontrol", "show", "config"]).out
    found = re.search(r"^SlurmctldHost\[0\]\s*=\s*([^\s(]+)(?:\(([^)]*)\))?", config, re.MULTILINE)
    if found is None:
        return ""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((found[2] or found[1], 9))  # sends nothing
            return str(probe.getsockname()[0])
    except OSError:
        return ""

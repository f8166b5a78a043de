"""Making the pool of warm processes that LocalBackend gives to executors."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import warnings

from hail_batch_jupyter.core.ports import Capacity, PoolRequest
from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.engine.capacity import DEFAULT_CPU_MCPU, too_large
from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.executors.pool.client import PoolClient
from hail_batch_jupyter.executors.pool.pool import WorkerPool
from hail_batch_jupyter.observe.environment import environment_at_start, job_environment
from hail_batch_jupyter.observe.procfs import RUN_VARIABLE


def open_pool(request: PoolRequest, capacity: Capacity, tmp_dir: str, strict: bool) -> WorkerPool:
    """A pool of as many processes as fit; none is started before the first call.

    Raises SubmitError when its folder cannot be made, or `strict` and a call asks for more than there is.
    """
    n_workers = _n_workers(request, capacity, strict)
    try:
        directory = tempfile.mkdtemp(prefix=re.sub(r"[^\w.-]", "_", request.name) + "-", dir=tmp_dir) + os.sep
    except OSError as error:
        raise SubmitError(f"the pool's folder below {tmp_dir!r} cannot be made ({error.strerror}); free space or choose another tmp_dir") from error
    env = {**job_environment(os.environ, environment_at_start()), **request.env, RUN_VARIABLE: os.path.basename(directory[:-1])}
    work_directory = os.getcwd()

    def make_server() -> PoolClient:
        sys_path = [os.path.abspath(entry) for entry in sys.path]
        return PoolClient(sys.executable, env, sys_path, f"{directory}server.log", "" if request.keep_files else directory)

    return WorkerPool(make_server, n_workers, work_directory, directory, request.keep_files)


def _n_workers(request: PoolRequest, capacity: Capacity, strict: bool) -> int:
    words = too_large(Request(cpu_mcpu=request.cpu_mcpu), capacity)
    if words is not None:
        what = f"each call of {request.name!r} asks for {words}"
        if strict:
            raise SubmitError(f"{what}; ask for less, or use LocalBackend(strict=False) to make one call at a time")
        warnings.warn(f"{what}: one call is made at a time", UserWarning, stacklevel=5)
    return max(1, min(capacity.cpu_mcpu // (request.cpu_mcpu or DEFAULT_CPU_MCPU), capacity.attempts))

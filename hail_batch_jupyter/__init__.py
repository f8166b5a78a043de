"""Batch jobs from notebooks: graphs of shell commands and Python functions, run on this machine, a Slurm cluster or a batch service.

>>> import hail_batch_jupyter.batch as hb
>>> b = hb.Batch(name='hello')

In a notebook, `%load_ext hail_batch_jupyter` adds the magics. Nothing is loaded before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hail_batch_jupyter.backends.local import LocalBackend
    from hail_batch_jupyter.backends.service.backend import ServiceBackend
    from hail_batch_jupyter.backends.slurm import SlurmBackend
    from hail_batch_jupyter.batch.base_job import Job
    from hail_batch_jupyter.batch.bash_job import BashJob
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.batch.python_job import PythonJob
    from hail_batch_jupyter.errors import BatchException, JobFailedError
    from hail_batch_jupyter.observe.attach import attach
    from hail_batch_jupyter.observe.rundir import list_runs
    from hail_batch_jupyter.observe.running import RunningBatch

    __version__: str

__all__ = [
    "BashJob",
    "Batch",
    "BatchException",
    "Job",
    "JobFailedError",
    "LocalBackend",
    "PythonJob",
    "RunningBatch",
    "ServiceBackend",
    "SlurmBackend",
    "__version__",
    "attach",
    "list_runs",
]

_PUBLIC = {
    "BashJob": "hail_batch_jupyter.batch.bash_job",
    "Batch": "hail_batch_jupyter.batch.batch",
    "BatchException": "hail_batch_jupyter.errors",
    "Job": "hail_batch_jupyter.batch.base_job",
    "JobFailedError": "hail_batch_jupyter.errors",
    "LocalBackend": "hail_batch_jupyter.backends.local",
    "PythonJob": "hail_batch_jupyter.batch.python_job",
    "RunningBatch": "hail_batch_jupyter.observe.running",
    "ServiceBackend": "hail_batch_jupyter.backends.service.backend",
    "SlurmBackend": "hail_batch_jupyter.backends.slurm",
    "attach": "hail_batch_jupyter.observe.attach",
    "list_runs": "hail_batch_jupyter.observe.rundir",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("hail-batch-jupyter")
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ipython: Any) -> None:
    """Add the magics to a notebook; called by `%load_ext hail_batch_jupyter`."""
    from hail_batch_jupyter.jupyter.extension import load_ipython_extension as load

    load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Take the magics away; called by `%unload_ext hail_batch_jupyter`."""
    from hail_batch_jupyter.jupyter.extension import unload_ipython_extension as unload

    unload(ipython)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "hail-batch-jupyter"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "hail_batch_jupyter.jupyter.server.routes"}]

"""Jobs on this machine, on any machine behind ssh, and on Slurm, with the names of `pybatch`.

>>> from hail_batch_jupyter import cluster
>>> job = cluster.create_job('local', cluster.LaunchParameters(['echo', 'hello'], 'work'))
>>> job.state()
'CREATED'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.cluster.genericjob import GenericJob
from hail_batch_jupyter.cluster.job_factory import create_job, reload_job
from hail_batch_jupyter.cluster.parameter import ConnectionParameters, LaunchParameters
from hail_batch_jupyter.errors import ClusterError

if TYPE_CHECKING:
    __version__: str

PybatchException = ClusterError

__all__ = [
    "ConnectionParameters",
    "GenericJob",
    "GenericProtocol",
    "LaunchParameters",
    "PybatchException",
    "create_job",
    "reload_job",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("hail-batch-jupyter")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

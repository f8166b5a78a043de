"""What the entry point of the plugin `slurm` names."""

from __future__ import annotations

from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.cluster.parameter import LaunchParameters
from hail_batch_jupyter.cluster.plugins.slurm.job import Job

__all__ = ["Job", "Plugin"]


class Plugin:
    """Makes jobs."""

    description = "Jobs of a Slurm cluster, by sbatch on the machine of the protocol."

    def create_job(self, param: LaunchParameters, connection_protocol: GenericProtocol) -> Job:
        """A job that is not started."""
        return Job(param, connection_protocol)

"""What the entry point of the plugin `local` names."""

from __future__ import annotations

from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.cluster.parameter import LaunchParameters
from hail_batch_jupyter.cluster.plugins.local.job import Job

__all__ = ["Job", "Plugin"]


class Plugin:
    """Makes jobs."""

    description = "Jobs of this machine; the protocol is not looked at."

    def create_job(self, param: LaunchParameters, connection_protocol: GenericProtocol) -> Job:
        """A job that is not started."""
        return Job(param)

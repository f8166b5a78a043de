"""A job of this machine, which goes on when this process ends."""

from __future__ import annotations

import json
import os
import sys

from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.cluster.parameter import LaunchParameters
from hail_batch_jupyter.cluster.plugins.nobatch import pybatch_manager
from hail_batch_jupyter.cluster.plugins.nobatch.job import MANAGER, _number
from hail_batch_jupyter.cluster.plugins.nobatch.job import Job as SupervisedJob
from hail_batch_jupyter.cluster.protocols.local import LocalProtocol
from hail_batch_jupyter.cluster.tools import run_check, slurm_time_to_seconds

__all__ = ["Job"]


class Job(SupervisedJob):
    """A job or array of this machine; pid is its supervisor's process id, -1 before submit.

    Raises ClusterError for a wall time that has none of the six forms.
    """

    plugin = "local"

    def __init__(self, params: LaunchParameters, protocol: GenericProtocol | None = None) -> None:
        slurm_time_to_seconds(params.wall_time)
        super().__init__(params, LocalProtocol())

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        return int(self.jobid or -1)

    def batch_file(self) -> str:
        """What is run, as JSON."""
        params = self.job_params
        seconds = slurm_time_to_seconds(params.wall_time)
        limit = {"wall_time": int(seconds)} if seconds else {}
        return json.dumps({"command": params.command, **limit, **({"ntasks": params.ntasks} if params.ntasks else {})})

    def start(self) -> str:
        """Copy the inputs, start the supervisor; it is a child of nobody here, so nothing is left to reap."""
        params = self.job_params
        os.makedirs(self.path("logs"), exist_ok=True)
        self.protocol.upload(params.input_files, params.work_directory)
        words = ["submit", params.work_directory, *self.options(), "--no_log", "--", *params.command]
        return _number(run_check([sys.executable, str(MANAGER), *words]).stdout)

    def state(self) -> str:
        """The exit file decides, then whether the supervisor lives."""
        return pybatch_manager.state(self.pid, self.job_params.work_directory) if self.jobid else "CREATED"

    def cancel(self) -> None:
        """Tell the supervisor to end the job: TERM, and after ten seconds KILL, to all its processes."""
        if self.jobid:
            pybatch_manager.cancel(self.pid, self.job_params.work_directory)

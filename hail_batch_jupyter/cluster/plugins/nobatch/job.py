"""A job of a machine without a batch manager: a script that is copied there starts and watches it."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from hail_batch_jupyter.cluster.job import ClusterJob, refused
from hail_batch_jupyter.cluster.tools import slurm_time_to_seconds
from hail_batch_jupyter.errors import ClusterError

MANAGER = Path(__file__).with_name("pybatch_manager.py")


class Job(ClusterJob):
    """A job or array whose supervisor goes on when the connection ends; jobid is its process id there."""

    plugin = "nobatch"

    def batch_file(self) -> str:
        """There is none."""
        return ""

    def start(self) -> str:
        """Copy script and inputs, start the supervisor."""
        params = self.job_params
        self.protocol.run([params.python_exe, "-c", f"import os; os.makedirs({self.path('logs')!r}, exist_ok=True)"])
        self.protocol.upload([*params.input_files, MANAGER], params.work_directory)
        return _number(self._manager("submit", params.work_directory, *self.options(), "--", *params.command))

    def options(self) -> list[str]:
        """What the supervisor has to know beside the command."""
        params = self.job_params
        seconds = slurm_time_to_seconds(params.wall_time)
        told = [
            ("--wall_time", seconds if seconds != "0" else ""),
            ("--ntasks", max(1, params.ntasks) if params.create_nodefile else ""),
            ("--total_jobs", params.total_jobs if params.total_jobs > 1 else ""),
            ("--max_simul_jobs", params.max_simul_jobs if params.total_jobs > 1 and params.max_simul_jobs > 1 else ""),
        ]
        return [word for name, value in told if value for word in (name, str(value))]

    def _manager(self, *words: str) -> str:
        return self.protocol.run([self.job_params.python_exe, self.path("pybatch_manager.py"), *words])

    def state(self) -> str:
        """The exit file decides, then whether the supervisor lives."""
        if not self.jobid:
            return "CREATED"
        try:
            return self._manager("state", self.jobid, self.job_params.work_directory).strip()
        except ClusterError as error:
            raise refused("Failed to get the state of the job.", error) from error

    def exit_code(self) -> Optional[int]:
        """Negative is a signal; of an array that of the first element that failed."""
        if not self.jobid or self.state() == "RUNNING":
            return None
        text = self._log(self.path("logs", "exit_code.log")).strip()
        return int(text) if text.lstrip("-").isdigit() else None

    def cancel(self) -> None:
        """Tell the supervisor to end the job: TERM, and after ten seconds KILL, to all its processes."""
        if not self.jobid:
            return
        try:
            self._manager("cancel", self.jobid, self.job_params.work_directory)
        except ClusterError as error:
            raise refused("Failed to cancel job.", error) from error


def _number(text: str) -> str:
    """The process id that was printed last."""
    word = (text.split() or [""])[-1]
    if not word.isdigit():
        raise ClusterError(f"pybatch_manager.py answered {text.strip()!r}, which is no process id; see logs/manager.log there.")
    return word

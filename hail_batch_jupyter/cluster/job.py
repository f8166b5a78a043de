"""What the jobs of all plugins have in common: files, logs, checks, pickles and dumps."""

from __future__ import annotations

import copy
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Optional, Union

from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.cluster.parameter import LaunchParameters
from hail_batch_jupyter.cluster.protocols.local import LocalProtocol
from hail_batch_jupyter.cluster.protocols.record import protocol_record
from hail_batch_jupyter.cluster.tools import is_absolute, path_join, slurm_time_to_seconds
from hail_batch_jupyter.errors import ClusterError

FORMAT = "hail_batch_jupyter.cluster.job"
VERSION = 1
"""Of dumps and pickles alike; older ones are read, newer ones are refused."""


class ClusterJob(ABC):
    """A job or array; jobid is '' before submit.

    job_params  a copy of what was given, so that later changes do not count
    """

    plugin = ""

    def __init__(self, params: LaunchParameters, protocol: GenericProtocol) -> None:
        self.job_params = copy.deepcopy(params)
        self.protocol = protocol
        self.jobid = ""

    def submit(self) -> None:
        """Start the job.

        Raises ClusterError when it cannot be started, and when its last run goes on.
        """
        if self.jobid and self.state() not in ("FINISHED", "FAILED"):
            raise ClusterError(f"Failed to submit job. It was submitted before as {self.jobid} and has not ended; wait for it, cancel it, or make another job.")
        try:
            self.check()
            if isinstance(self.protocol, LocalProtocol):
                self.job_params.work_directory = os.path.abspath(self.job_params.work_directory)
            self.jobid = ""
            self.jobid = self.start()
        except (ClusterError, OSError, ValueError) as error:
            raise refused("Failed to submit job.", error) from error

    def check(self) -> None:
        """Look at the parameters before anything happens."""
        command: Any = self.job_params.command  # callers give a str too
        if isinstance(command, str):
            raise ClusterError(f"command {command!r}: a list of the program and its arguments is needed, such as ['ls', '-l'].")
        if not command:
            raise ClusterError("Empty command.")
        slurm_time_to_seconds(self.job_params.wall_time)
        for entry in self.job_params.input_files:
            if not os.path.isfile(entry) and not os.path.isdir(entry):
                raise ClusterError(f"input file {str(entry)!r} is neither a file, nor a directory.")

    @abstractmethod
    def start(self) -> str:
        """Submit, and return the id."""

    @abstractmethod
    def state(self) -> str:
        """CREATED, QUEUED, RUNNING, PAUSED, FINISHED or FAILED."""

    @abstractmethod
    def exit_code(self) -> Optional[int]:
        """None unless the job has ended and its exit code is known."""

    @abstractmethod
    def cancel(self) -> None:
        """Ask for the end and return."""

    @abstractmethod
    def batch_file(self) -> str:
        """What the batch manager gets."""

    def wait(self) -> None:
        """Return when the job is FINISHED or FAILED; asks seldom for a job that takes long."""
        began = time.monotonic()
        while self.jobid and self.state() not in ("FINISHED", "FAILED"):
            time.sleep(min(5.0, max(0.03, (time.monotonic() - began) / 8)))

    def path(self, *names: str) -> str:
        """A path in the work directory."""
        return path_join(self.job_params.work_directory, *names, is_posix=self.job_params.is_posix)

    def get(self, remote_path: Union[str, Sequence[str]], local_path: Union[str, Path]) -> None:
        """Copy files and directories of the work directory here; '.' is the directory itself.

        Raises ClusterError naming what is missing.
        """
        paths = [remote_path] if isinstance(remote_path, str) else list(remote_path)
        posix = self.job_params.is_posix
        self.protocol.download([path if is_absolute(path, posix) else self.path(path) for path in paths], local_path)

    def stdout(self) -> str:
        """What the job has printed so far, '' when nothing was submitted or it has not begun."""
        return self._logs("output")

    def stderr(self) -> str:
        """What the job has written to stderr so far."""
        return self._logs("error")

    def _logs(self, stem: str) -> str:
        if not self.jobid:
            return ""
        total = self.job_params.total_jobs
        names = [f"{stem}_{index}.log" for index in range(total)] if total > 1 else [f"{stem}.log"]
        return "".join(self._log(self.path("logs", name)) for name in names)

    def _log(self, path: str) -> str:
        try:
            return self.protocol.read(path)
        except FileNotFoundError:
            return ""
        except ClusterError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return ""
            raise

    def dump(self) -> str:
        """The job as JSON text that `reload_job` reads; no password is in it."""
        return json.dumps({"format": FORMAT, "version": VERSION, "plugin": self.plugin, **self.record()}, indent=2)

    def record(self) -> dict[str, Any]:
        """What to know of this job beside its plugin, as JSON."""
        params = asdict(self.job_params)
        params["input_files"] = [str(entry) for entry in self.job_params.input_files]
        return {"jobid": self.jobid, "params": params, "protocol": protocol_record(self.protocol)}

    def restore(self, record: dict[str, Any]) -> None:
        """Take over the id that `record` told."""
        self.jobid = str(record["jobid"])

    def __getstate__(self) -> dict[str, Any]:
        return {"version": VERSION, "values": self.__dict__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_version(state.get("version"))
        self.__dict__.update(state["values"])


def check_version(version: object) -> None:
    """Raise ClusterError for what a newer version wrote."""
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise ClusterError(f"a job of version {version!r} cannot be read here, only up to {VERSION}; update hail-batch-jupyter.")


def refused(start: str, error: Exception) -> ClusterError:
    """The error of one step of a job, with what is known of its cause."""
    if isinstance(error, ClusterError):
        return ClusterError(f"{start}\n{error}", error.command, error.exit_code, error.stderr)
    return ClusterError(f"{start}\n{error}")

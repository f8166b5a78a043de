"""What every job can do, whoever runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Protocol, Union


class GenericJob(Protocol):
    """One job or array; picklable before and after it was submitted."""

    def submit(self) -> None:
        """Make the work directory, copy the inputs and start; returns at once. Raises ClusterError."""

    def wait(self) -> None:
        """Return when the job is FINISHED or FAILED; at once when it was not submitted."""

    def state(self) -> str:
        """CREATED, QUEUED, RUNNING, PAUSED, FINISHED or FAILED."""

    def exit_code(self) -> Optional[int]:
        """None unless the job has ended and its exit code is known; for an array that of the first element that failed."""

    def cancel(self) -> None:
        """Ask for the end and return; does nothing before submit and after the end."""

    def get(self, remote_path: list[str], local_path: Union[str, Path]) -> None:
        """Copy files here; relative paths are those of the work directory."""

    def stdout(self) -> str:
        """What the job has printed so far; of an array in the order of the index."""

    def stderr(self) -> str:
        """What the job has written to stderr so far."""

    def batch_file(self) -> str:
        """What the batch manager gets."""

    def dump(self) -> str:
        """The job as JSON text for `reload_job`, without secrets."""

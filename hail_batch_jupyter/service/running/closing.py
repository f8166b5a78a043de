"""Closing runs whose runner was killed, so that what they had not finished may begin again, and not before all of it has ended."""

from __future__ import annotations

import threading
from pathlib import Path

from hail_batch_jupyter.errors import BatchException, RunLostError
from hail_batch_jupyter.observe import owner
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.observe.slurm_jobs import cancel_jobs, close_queue

_PATIENCE_S = 3.0
"""So long Slurm is asked before whoever keeps the service is told."""


class Closing:
    """Each run is closed in a thread of its own, for Slurm may take its time; every method is called from one thread."""

    def __init__(self) -> None:
        self._going: dict[str, threading.Thread] = {}
        self._failed: dict[str, Exception] = {}

    def ended(self, run: RunningBatch, directory: Path) -> bool:
        """Whether a run has ended and everything of it is written down; where its runner was killed that is begun, and is true some time later.

        Raises what went wrong, once; the next call begins anew.
        """
        run_id = directory.name
        going = self._going.get(run_id)
        if going is not None:
            if going.is_alive():
                return False
            del self._going[run_id]
            if run_id in self._failed:
                raise self._failed.pop(run_id)
        if (directory / "ended").exists():
            return True
        if not owner.owner_alive(directory):
            self._going[run_id] = threading.Thread(target=self._close, args=(run, directory), name=f"close {run_id}", daemon=True)
            self._going[run_id].start()
        return False

    def _close(self, run: RunningBatch, directory: Path) -> None:
        try:
            if (directory / "ended").exists():  # while it was looked at
                return
            silence_slurm(directory)
            if not run.close_if_dead() and not (directory / "ended").exists():
                raise RunLostError(f"run {directory.name} is being closed by another process; it is looked at again")
        except BatchException as error:
            self._failed[directory.name] = error
        except Exception as error:  # noqa: BLE001 - the edge of a thread: whoever keeps the service reads of it in the log
            self._failed[directory.name] = RunLostError(f"run {directory.name} cannot be closed now ({type(error).__name__}: {error}); it is tried again")


def silence_slurm(directory: Path) -> None:
    """Take the jobs of a run that nobody watches out of Slurm; raises RunLostError while it does not say that none is left."""
    close_queue(directory)
    if not cancel_jobs(directory, _PATIENCE_S):
        words = f"Slurm does not say that the jobs of run {directory.name} have ended"
        raise RunLostError(f"{words}; they do not begin again before it does, see `squeue --name=hbj-{directory.name}`")

"""Closing runs whose runner was killed, so that what they had not finished may begin again, and not before all of it has ended."""

from __future__ import annotations

import threading
from pathlib import Path

from hail_batch_jupyter.backends.far.mirror import MirroredRun
from hail_batch_jupyter.errors import BatchException, RunLostError
from hail_batch_jupyter.observe import owner
from hail_batch_jupyter.observe.attach import read_spec
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.service.running.leftovers import Copier, delivered
from hail_batch_jupyter.service.running.silence import silence_slurm


class Closing:
    """Each run is closed in a thread of its own, for Slurm may take its time; every method is called from one thread."""

    def __init__(self, copier: Copier) -> None:
        self._copier = copier
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
        if isinstance(run, MirroredRun):
            run.close_if_dead()  # who follows it is started again where it was killed, and closes it
            return False
        if not owner.owner_alive(directory):
            self._going[run_id] = threading.Thread(target=self._close, args=(run, directory), name=f"close {run_id}", daemon=True)
            self._going[run_id].start()
        return False

    def _close(self, run: RunningBatch, directory: Path) -> None:
        try:
            if (directory / "ended").exists():  # while it was looked at
                return
            silence_slurm(directory)
            run.deliver = lambda jobs: delivered(read_spec(directory), jobs, str(run.scratch), self._copier)
            if not run.close_if_dead() and not (directory / "ended").exists():
                raise RunLostError(f"run {directory.name} is being closed by another process; it is looked at again")
        except BatchException as error:
            self._failed[directory.name] = error
        except Exception as error:  # noqa: BLE001 - the edge of a thread: whoever keeps the service reads of it in the log
            self._failed[directory.name] = RunLostError(f"run {directory.name} cannot be closed now ({type(error).__name__}: {error}); it is tried again")

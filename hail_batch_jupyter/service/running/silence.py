"""Jobs of a dead run in Slurm's queue, which must have ended before anything of it begins again."""

from __future__ import annotations

from pathlib import Path

from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.observe.slurm_jobs import cancel_jobs, close_queue

_PATIENCE_S = 3.0
"""So long Slurm is asked before whoever keeps the service is told."""


def silence_slurm(directory: Path) -> None:
    """Take the jobs of a run that nobody watches out of Slurm; raises RunLostError while it does not say that none is left."""
    close_queue(directory)
    if not cancel_jobs(directory, _PATIENCE_S):
        words = f"Slurm does not say that the jobs of run {directory.name} have ended"
        raise RunLostError(f"{words}; they do not begin again before it does, see `squeue --name=hbj-{directory.name}`")

"""Waiting in slices that leave room for news and interrupts, and that notice when nobody works on the run any more."""

from __future__ import annotations

from collections.abc import Sequence

from hail_batch_jupyter.observe.running import RunningBatch

_LOST_S = 5.0


def ended_within(running: RunningBatch, timeout_s: float, job_ids: Sequence[int] | None = None) -> bool:
    """Whether the run, or these jobs, ended within the time.

    Raises RunLostError when the runner was killed: a wait that is shorter than the run's own look at its runner would go on for ever.
    """
    try:
        running.wait(timeout_s, job_ids)
    except TimeoutError:
        if not running.alive():
            running.wait(_LOST_S, job_ids)
            return True
        return False
    return True

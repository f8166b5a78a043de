"""A batch that goes on from its last run: which run that is, also for another process, and what is said about it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from hail_batch_jupyter.compile.compiler import compile_batch
from hail_batch_jupyter.errors import RunLiveError

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.core.spec import BatchSpec
    from hail_batch_jupyter.observe.running import RunningBatch

_ENDING_S = 5.0
"""So long a run that is just being cancelled, as by the end of the script before, is waited for."""


def resuming_spec(batch: Batch, verbose: bool) -> BatchSpec:
    """All jobs of the batch, to follow its newest run.

    Raises RunLiveError while that run goes on.
    """
    lineage = lineage_of(batch)
    return compile_batch(batch.draft, only_new=False, verbose=verbose)._replace(lineage=lineage, previous_run=_previous(batch, lineage))


def lineage_of(batch: Batch) -> str:
    """What all runs of the batch share that go on from one another."""
    return batch.lineage or script_lineage(batch.name)


def script_lineage(name: str | None) -> str:
    """What runs of one batch of one script share: the script's file, or the current folder where there is none, and the batch's name."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    place = os.environ.get("JPY_SESSION_NAME") or (os.path.realpath(main) if main else os.getcwd())
    return f"{place}::{name or ''}"


def _previous(batch: Batch, lineage: str) -> str | None:
    from hail_batch_jupyter.observe import rundir
    from hail_batch_jupyter.observe.attach import attach

    last = rundir.last_run(lineage)
    mine = batch.last_run
    if mine is not None and mine.directory is not None and (last is None or str(mine.id) > last.run_id):
        last = rundir.info(mine.directory) if (mine.directory / "run.json").exists() else last
    if last is None:
        return None
    if last.state != "ended":
        try:
            attach(last.run_id).wait(_ENDING_S)
        except TimeoutError:
            raise RunLiveError(f"run {last.run_id} of {batch.title} is still going on; wait for its end, or cancel it, then resume") from None
    return last.run_id


def began_words(running: RunningBatch) -> str:
    """What was taken over from which run, what runs and why; waits until the run has decided that."""
    snapshot = running.snapshot()
    while snapshot.started_ms is None and running.alive():
        snapshot = running.snapshot(snapshot.seq, 0.2)
    if running.previous is None:
        return f"No earlier run of this batch was found; all {len(running.spec.jobs)} jobs run\n"
    return f"Follows run {running.previous}: {snapshot.note}\n"

"""What happened to a notebook's runs while it was away."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hail_batch_jupyter.observe import rundir

if TYPE_CHECKING:
    from hail_batch_jupyter.observe.running import RunningBatch

SEEN = "seen"
"""File in a run directory: a notebook saw how the run ended."""
_ENDS = {"success": "has succeeded", "failure": "has failed", "cancelled": "was cancelled", "lost": "stopped before its end"}
_LOOKED_AT = 200
_SHOWN = 3


def mark_seen(running: RunningBatch) -> None:
    """Note that a notebook saw how the run ended, so that no later one announces it."""
    if running.directory is not None and running.snapshot().ended_ms is not None:
        with suppress(OSError):
            (running.directory / SEEN).touch(mode=0o600)


def news(place: str) -> str:
    """One line about runs of this notebook that go on, or ended while no notebook looked; '' when there is nothing to say."""
    said, parts = set(), []
    for run in rundir.list_runs(_LOOKED_AT):
        if not run.lineage.startswith(f"{place}::") or run.lineage in said:
            continue
        said.add(run.lineage)
        if run.state == "live":
            parts.append(f"{run.name} is still running: %batch_attach {run.run_id}")
        elif not _was_seen(run.directory):
            how = _ENDS.get(run.outcome if run.state == "ended" else "lost", "has ended")
            parts.append(f"{run.name} {how}: %batch_attach {run.run_id}")
    return "; ".join(parts[:_SHOWN]) + (f"; and {len(parts) - _SHOWN} more, see %batch_runs" if len(parts) > _SHOWN else "")


def _was_seen(directory: Path) -> bool:
    return (directory / SEEN).exists()

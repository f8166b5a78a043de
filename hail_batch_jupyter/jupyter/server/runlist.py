"""Every run of this user as a row of the panel; asked for often, so that what cannot change any more is kept."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.rundir import RunInfo
from hail_batch_jupyter.observe.totals import Tally, Totals

Row = dict[str, Any]  # JSON of the panel, whose type is RunRow in contract.ts

BUDGET_S = 0.15
"""After so long a listing reads no more journals of ended runs; the next one goes on where this one stopped."""
_YOUNG_MS = 10_000
_FILES = ("run.json", "ended", "events.jsonl")
_STATES = list(JobState)
_OUTCOMES = {"success": "success", "failure": "failure", "cancelled": "cancelled", "lost": "cancelled"}


class _Known(NamedTuple):
    """A row and what its run directory looked like then; `tally` while the run may go on."""

    signature: tuple[int, ...]
    row: Row
    tally: Tally | None


class RunList:
    """The rows of all runs; may be asked from several threads, one after the other is answered."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def rows(self, budget_s: float = BUDGET_S) -> list[Row]:
        """Newest first. `counts` is None for an ended run that noted no totals and whose journal was not read yet."""
        with self._lock:
            deadline_s = time.monotonic() + budget_s
            known: dict[str, _Known] = {}
            for directory in own_directories():
                try:
                    known[directory.name] = self._look(directory, deadline_s)
                except (RunLostError, OSError):
                    continue
            self._known = known
            rows = [one.row for one in known.values()]
        return sorted(rows, key=lambda row: (row["created_ms"], row["run_id"]), reverse=True)

    def _look(self, directory: Path, deadline_s: float) -> _Known:
        before, signature = self._known.get(directory.name), _signature(directory)
        is_final = before is not None and before.tally is None and before.row["counts"] is not None
        if is_final and before is not None and before.signature == signature:
            return before
        run = rundir.info(directory)
        if run.totals is not None:
            return _Known(signature, row_of(run, run.totals, False), None)
        tally = before.tally if before is not None and before.tally is not None else Tally(directory, run.n_jobs)
        must_read = run.state != "ended" or not run.outcome
        totals = tally.read() if must_read or time.monotonic() < deadline_s else None
        return _Known(signature, row_of(run, totals, tally.cancelled), None if run.state == "ended" else tally)


def row_of(run: RunInfo, totals: Totals | None, cancelled: bool) -> Row:
    """What the panel is told of a run; `totals` is None while its journal was not read, `cancelled` what that says."""
    unborn = run.state == "dead" and not (run.directory / "owner").exists() and time.time() * 1000 - run.created_ms < _YOUNG_MS
    live = run.state == "live" or unborn
    asked = live and (cancelled or (run.directory / "cancel").exists())
    return {
        "run_id": run.run_id,
        "name": run.name or "",
        "backend": run.backend,
        "created_ms": run.created_ms,
        "ended_ms": run.ended_ms,
        "n_jobs": run.n_jobs,
        "counts": None if totals is None else [*(totals.counts.get(state, 0) for state in _STATES), totals.reused],
        "state": _OUTCOMES.get(run.outcome) or ("running" if totals is None else totals.state(asked).value),
        "complete": not live,
        "lost": run.outcome == "lost" or not (live or run.state == "ended"),
        "cancelling": asked,
        "notebook": run.notebook or "",
        "cell": run.cell,
        "cost_usd": None if totals is None else totals.cost_usd,
        "url": "",
    }


def own_directories() -> Iterator[Path]:
    """Folders of runs that belong to this user, newest first by their names; a folder for runs may be shared with others."""
    folder = rundir.runs_folder()
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if _is_own(entry)]
    except FileNotFoundError:
        return
    for name in sorted(names, reverse=True):
        yield folder / name


def own_run(run_id: str) -> Path:
    """The directory of a run of this user.

    Raises RunLostError when there is none, in the same words for a run of somebody else.
    """
    directory = rundir.runs_folder() / run_id
    if not _is_own(directory) or not (directory / "run.json").exists():
        raise RunLostError(f"there is no run {run_id!r} of yours; %batch_runs lists those that are")
    return directory


def _is_own(place: os.DirEntry[str] | Path) -> bool:
    """Whether a folder is this user's; so is a link of this user to such a folder, where the backend puts runs elsewhere."""
    user = os.getuid()
    try:
        facts = place.stat(follow_symlinks=False)
        if stat.S_ISLNK(facts.st_mode) and facts.st_uid == user:
            facts = place.stat()
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == user


def _signature(directory: Path) -> tuple[int, ...]:
    """Changes whenever what a row is made of may have changed."""
    numbers: list[int] = []
    for name in _FILES:
        try:
            facts = os.stat(f"{directory}/{name}")
        except FileNotFoundError:
            numbers += [0, 0]
        else:
            numbers += [facts.st_mtime_ns, facts.st_size]
    return tuple(numbers)


def contents_path(notebook: str, root: str) -> str:
    """The notebook as the Jupyter server that serves `root` calls it; '' when it is elsewhere, or gone."""
    path = Path(notebook)
    if not notebook or not root or not path.is_absolute() or not path.is_relative_to(root) or not path.exists():
        return ""
    return path.relative_to(root).as_posix()

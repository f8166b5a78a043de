"""Every run of this user as a row of the panel; asked for often, so that what cannot change any more is kept."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.state import JobState, roll_up
from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.jupyter.graph import REUSED, STATE_CODES
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.journal import JournalReader
from hail_batch_jupyter.observe.rundir import RunInfo

Row = dict[str, Any]  # JSON of the panel, whose type is RunRow in contract.ts

BUDGET_S = 0.15
"""After so long a listing reads no more journals of ended runs; the next one goes on where this one stopped."""
_YOUNG_MS = 10_000
_FILES = ("run.json", "ended", "events.jsonl")
_STATES = list(JobState)
_OUTCOMES = {"success": "success", "failure": "failure", "cancelled": "cancelled", "lost": "cancelled"}


class Tally:
    """How many jobs of a run are in each state; every call reads what its journal has got since."""

    def __init__(self, directory: Path, n_jobs: int) -> None:
        self.n_jobs = n_jobs
        self.cancelled = False
        self.cost_usd = 0.0
        self._reader = JournalReader(directory / "events.jsonl")
        self._codes: dict[int, int] = {}

    def read(self) -> list[int]:
        """One number for each state code, and at the end that of the reused jobs."""
        for event in self._reader.read():
            self._take(event)
        found = Counter(self._codes.values())
        found[STATE_CODES[JobState.PENDING]] += self.n_jobs - len(self._codes)
        return [found[code] for code in range(len(_STATES))] + [sum(count for code, count in found.items() if code & REUSED)]

    def _take(self, event: JobEvent) -> None:
        self.cost_usd += event.cost_usd
        if event.job_id and event.state is not None:
            self._codes[event.job_id] = REUSED if event.reused else STATE_CODES[event.state]
        elif event.phase == "lost" or (event.phase == "cancel" and not event.group):
            self.cancelled = True


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
        """Newest first. `counts` is None for an ended run whose journal was not read yet."""
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
        tally = before.tally if before is not None and before.tally is not None else Tally(directory, run.n_jobs)
        must_read = run.state != "ended" or not run.outcome
        counts = tally.read() if must_read or time.monotonic() < deadline_s else None
        return _Known(signature, row_of(run, counts, tally), None if run.state == "ended" else tally)


def row_of(run: RunInfo, counts: list[int] | None, tally: Tally) -> Row:
    """What the panel is told of a run; `counts` is None while its journal was not read."""
    unborn = run.state == "dead" and not (run.directory / "owner").exists() and time.time() * 1000 - run.created_ms < _YOUNG_MS
    live = run.state == "live" or unborn
    asked = live and (tally.cancelled or (run.directory / "cancel").exists())
    return {
        "run_id": run.run_id,
        "name": run.name or "",
        "backend": run.backend,
        "created_ms": run.created_ms,
        "ended_ms": run.ended_ms,
        "n_jobs": run.n_jobs,
        "counts": counts,
        "state": _OUTCOMES.get(run.outcome) or _state(counts, asked),
        "complete": not live,
        "lost": run.outcome == "lost" or not (live or run.state == "ended"),
        "cancelling": asked,
        "notebook": run.notebook or "",
        "cell": run.cell,
        "cost_usd": None if counts is None else tally.cost_usd,
        "url": "",
    }


def _state(counts: list[int] | None, cancelled: bool) -> str:
    if counts is None:
        return "running"
    found = {state: counts[code] for code, state in enumerate(_STATES) if counts[code]}
    found[JobState.SUCCESS] = found.get(JobState.SUCCESS, 0) + counts[-1]
    return roll_up({state: count for state, count in found.items() if count}, cancelled).value


def own_directories() -> list[Path]:
    """Folders of runs that belong to this user; a folder for runs may be shared with others."""
    try:
        with os.scandir(rundir.runs_folder()) as entries:
            return [Path(entry.path) for entry in entries if _is_own(entry)]
    except FileNotFoundError:
        return []


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
            facts = os.stat(directory / name)
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

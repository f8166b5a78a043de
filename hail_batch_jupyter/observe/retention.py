"""Which ended runs are removed, and when: those that are old, and the oldest when all together are too large."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Callable, NamedTuple

from hail_batch_jupyter import config
from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.rundir import RunInfo

DAY_S = 86_400.0
_SIZE = "size"
"""File in the directory of an ended run: its bytes, which do not change any more and take long to count."""


class Limits(NamedTuple):
    """How long ended runs stay, and how much room all runs may take together."""

    age_s: float
    size_bytes: float


class Removed(NamedTuple):
    """What a cleaning removed."""

    run_ids: tuple[str, ...]
    size_bytes: int


def configured_limits() -> Limits:
    """The user's settings; raises ConfigError for one that is no number."""
    return Limits(config.keep_runs_days() * DAY_S, config.keep_runs_gb() * 1e9)


def clean(limits: Limits, among: Callable[[RunInfo], bool] = lambda _: True, spared: Sequence[str] = ()) -> Removed:
    """Remove what is overdue of the runs `among` which one may choose, but not the `spared`; the intermediate files first."""
    runs = rundir.list_runs()
    removed, size_bytes = [], 0
    for run in overdue(runs, limits, time.time(), size_of):
        if not among(run) or run.run_id in spared:
            continue
        size = size_of(run)
        try:
            rundir.remove(run.directory)
        except RunLostError:  # another process was quicker
            continue
        removed.append(run.run_id)
        size_bytes += size
    return Removed(tuple(removed), size_bytes)


def overdue(runs: Sequence[RunInfo], limits: Limits, now_s: float, size: Callable[[RunInfo], int]) -> list[RunInfo]:
    """The runs to remove, oldest first; `runs` newest first.

    Never a live run or one that it began with, never the last run of a batch or its last success: the next run takes results over from these.
    A run whose runner is gone must have been silent for a day: one that is just being made, or runs on another host, may look like it.
    """
    needed = _needed(runs)
    free = [(_quiet_s(run, now_s), run) for run in runs if run.run_id not in needed]
    free = [(quiet_s, run) for quiet_s, run in free if run.state == "ended" or quiet_s > DAY_S]
    free.sort(key=lambda pair: -pair[0])
    old = [run for quiet_s, run in free if quiet_s > limits.age_s]
    if limits.size_bytes == float("inf"):
        return old  # without counting bytes
    gone = {run.run_id for run in old}
    total = sum(size(run) for run in runs if run.run_id not in gone)
    for _, run in free[len(old) :]:
        if total <= limits.size_bytes:
            break
        old.append(run)
        total -= size(run)
    return old


def _needed(runs: Iterable[RunInfo]) -> set[str]:
    """Ids of the runs that stay whatever their age and size."""
    needed: set[str] = set()
    last: set[str] = set()
    succeeded: set[str] = set()
    for run in runs:
        if run.state != "ended":
            needed.update([run.previous or "", *([run.run_id] if run.state == "live" else [])])
        if run.lineage and run.lineage not in last:
            last.add(run.lineage)
            needed.add(run.run_id)
        if run.lineage and run.outcome == "success" and run.lineage not in succeeded:
            succeeded.add(run.lineage)
            needed.add(run.run_id)
    return needed


def _quiet_s(run: RunInfo, now_s: float) -> float:
    """Seconds since the run ended; since the last sign of life of one whose runner is gone, which may only look so from here."""
    if run.ended_ms is not None:
        return now_s - run.ended_ms / 1000
    times = [run.created_ms / 1000]
    for name in ("owner", "events.jsonl"):
        try:
            times.append(os.stat(run.directory / name).st_mtime)
        except OSError:
            continue
    return now_s - max(times)


def size_of(run: RunInfo) -> int:
    """Bytes of a run on the disk, its intermediate files included; a file that runs share counts in parts."""
    note = run.directory / _SIZE
    try:
        return int(note.read_text())
    except (OSError, ValueError):
        pass
    folders = {run.directory, Path(run.scratch)}
    size = sum(tree_bytes(str(folder)) for folder in folders if folder == run.directory or run.directory not in folder.parents)
    if run.state == "ended":
        with contextlib.suppress(OSError):  # removed meanwhile, or a full disk
            rundir.write_private(note, str(size))
    return size


def tree_bytes(path: str) -> int:
    """Bytes on the disk of all that is below a folder; a file with several names counts in parts."""
    total, waiting = 0, [path]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    facts = entry.stat(follow_symlinks=False)
                    total += facts.st_blocks * 512 // max(1, 1 if entry.is_dir(follow_symlinks=False) else facts.st_nlink)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue
    return total

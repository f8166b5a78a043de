"""Journals that somebody else can write into: what is taken of one is events as a runner writes them, of the jobs that there are."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hail_batch_jupyter.core.events import BatchSnapshot, JobEvent
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.journal import FORMAT, JournalWriter, read_events

_LARGEST = 1 << 53
_LONGEST = 1 << 16
_DAY_MS = 86_400_000
_HALF = re.compile("[\ud800-\udfff]")
_STATES = frozenset(state.value for state in JobState)


def _is_count(value: Any) -> bool:
    return type(value) is int and -1 <= value <= _LARGEST


def _is_text(value: Any) -> bool:
    """One that can be written down: JSON can name halves of a sign."""
    return isinstance(value, str) and len(value) <= _LONGEST and not _HALF.search(value)


def _is_amount(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 <= value <= _LARGEST


def _is_list(value: Any, *checks: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and len(value) == len(checks) and all(check(each) for check, each in zip(checks, value, strict=True))


def _is_granted(value: Any) -> bool:
    """Cores, bytes, devices, and whether the machine may be taken away, of which runs of earlier versions say nothing."""
    *first, spot = value if isinstance(value, list) and len(value) == 4 else (*(value if isinstance(value, list) else ()), None)
    return (spot is None or isinstance(spot, bool)) and _is_list(first, _is_count, _is_count, lambda gpus: isinstance(gpus, list) and all(map(_is_text, gpus)))


_CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("seq", "time_ms", "job_id", "attempt", "slot", "pid", "group", "next_ms"), _is_count),
    **dict.fromkeys(("phase", "reason", "node"), _is_text),
    "state": lambda value: isinstance(value, str) and value in _STATES,
    "exit_code": lambda value: value is None or (type(value) is int and abs(value) <= _LARGEST),
    "reused": lambda value: isinstance(value, bool),
    "cost_usd": _is_amount,
    "usage": lambda value: _is_list(value, _is_count, _is_amount) or _is_list(value, _is_count, _is_amount, lambda at_most: isinstance(at_most, bool)),
    "files": lambda value: isinstance(value, list) and all(_is_list(each, _is_text, _is_count, _is_count) for each in value),
    "granted": _is_granted,
}
assert _CHECKS.keys() == set(JobEvent._fields)


def check_lines(data: bytes, begins: bool, seq: int, n_jobs: int, now_ms: int) -> int:
    """The number of the last event in these whole lines, of which the first is the header where the journal `begins` with them.

    Raises SubmitError for any line that no runner writes after event `seq` of a run of so many jobs.
    """
    lines = data.split(b"\n")[:-1]
    if begins and lines and _parsed(lines.pop(0)).get("format") != FORMAT:
        raise _refused("its first line")
    for line in lines:
        facts = _parsed(line)
        seq += 1
        known = all(name in _CHECKS and _CHECKS[name](value) for name, value in facts.items())
        if not known or facts.get("seq") != seq or not 0 <= facts.get("job_id", -1) <= n_jobs:
            raise _refused(f"event {seq}")
        if not all(0 <= facts.get(name, 0) <= now_ms + _DAY_MS for name in ("time_ms", "next_ms")) or "time_ms" not in facts:
            raise _refused(f"the time of event {seq}")
    return seq


def end_open_jobs(directory: Path, why: str) -> None:
    """Write down that the jobs have failed of which the journal here tells no end, in a run that has ended elsewhere."""
    path = directory / "events.jsonl"
    snapshot = BatchSnapshot.empty(range(1, rundir.info(directory).n_jobs + 1)).after(read_events(path))
    now_ms, journal = int(time.time() * 1000), JournalWriter(path)
    try:
        for view in snapshot.jobs:
            if not view.state.complete:
                journal.write(JobEvent(0, now_ms, view.job_id, JobState.ERROR, view.attempt, reason=why))
    finally:
        journal.close()


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


def _refused(what: str) -> SubmitError:
    return SubmitError(f"the journal under that account is not as a runner writes it ({what}), and no more of it is taken; run the batch again")

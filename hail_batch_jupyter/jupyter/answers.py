"""What the widget's views ask for beside the graph: columns of the jobs, parts of a log, the module of the views.

Each answer is bounded and can be made on any thread.
"""

from __future__ import annotations

import functools
import sys
import zlib
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from hail_batch_jupyter.core.events import JobView
from hail_batch_jupyter.core.spec import JobSpec
from hail_batch_jupyter.jupyter.graph import Message
from hail_batch_jupyter.observe.running import RunningBatch

STATIC = Path(__file__).parent / "static"
VIEWS_JS = STATIC / "views.js"
VIEWS_CSS = STATIC / "views.css"
MAX_COLUMNS_BYTES = 1_000_000
"""Bytes of one answer's columns before they are deflated; the browser asks on for the rest."""
MAX_LOG_BYTES = 200_000
NO_TIME = 0xFFFFFFFF
_VALUE_BYTES = 4

Answer = tuple[Message, bytes | None]


class _Column(NamedTuple):
    """Four bytes a job: 'I' unsigned, 'i' signed, 'f' a float."""

    code: str
    value: Callable[[JobSpec, JobView], float]


COLUMNS = {
    "slot": _Column("i", lambda _, view: view.slot),
    "attempt": _Column("i", lambda _, view: view.attempt),
    "exit": _Column("i", lambda _, view: -1 if view.exit_code is None else view.exit_code),
    "rss": _Column("I", lambda _, view: view.usage.max_rss_bytes // 1024 if view.usage else 0),
    "cpu": _Column("f", lambda _, view: view.usage.cpu_s if view.usage else -1.0),
    "cost": _Column("f", lambda _, view: view.cost_usd),
    "cores": _Column("I", lambda job, view: view.granted.cpu_mcpu if view.granted else job.request.cpu_mcpu or 0),
    "memory": _Column("I", lambda job, _: (job.request.memory_bytes or 0) // 1024),
}
"""Numbers of a job.

slot, exit   -1 for none      rss, memory (asked for)   KiB, 0 unknown      cores (granted, else asked for)   thousandths, 0 unsaid
cpu          seconds of processor time, -1 unknown      cost                dollars
"""

TIMES: dict[str, Callable[[JobView], int | None]] = {
    "ready": lambda view: view.ready_ms,
    "started": lambda view: view.started_ms,
    "main": lambda view: view.main_ms,
    "output": lambda view: view.output_ms,
    "ended": lambda view: view.ended_ms,
}
"""Moments of a job's last attempt: u32 milliseconds after the answer's `base_ms`, NO_TIME for none."""


def answer(running: RunningBatch, asked: Message) -> Answer:
    """The answer to a message of kind 'columns', 'log' or 'views'; what cannot be answered gets a sentence."""
    try:
        content, buffer = _ANSWERS[asked["kind"]](running, asked)
    except (LookupError, TypeError, ValueError, OSError) as error:
        return {"kind": "answer", "request": asked.get("request"), "ok": False, "text": f"{asked.get('kind')}: {error}"}, None
    return {"kind": asked["kind"], "request": asked.get("request"), **content}, buffer


def _columns(running: RunningBatch, asked: Message) -> Answer:
    """Columns `names` of the jobs `jobs`, or of `count` jobs from `first`; of no more jobs than fit, and `count` says of how many."""
    names = [name for name in asked["names"] if name in COLUMNS or name in TIMES]
    if not names:
        raise ValueError(f"no column of {asked['names']!r} is known; there are {', '.join([*TIMES, *COLUMNS])}")
    numbers = _numbers(asked, len(running.spec.jobs))[: max(1, MAX_COLUMNS_BYTES // (_VALUE_BYTES * len(names)))]
    snapshot, specs = running.snapshot(), running.spec.jobs
    jobs, views = [specs[number] for number in numbers], [snapshot.jobs[number] for number in numbers]
    times = {name: [TIMES[name](view) for view in views] for name in names if name in TIMES}
    base_ms = min([moment for column in times.values() for moment in column if moment is not None], default=0)
    parts = [_moments(times[name], base_ms) if name in times else _values(COLUMNS[name], jobs, views) for name in names]
    return _packed({"names": names, "base_ms": base_ms, "count": len(numbers)}, b"".join(parts))


def _numbers(asked: Message, n: int) -> Sequence[int]:
    if "jobs" in asked:
        return [number for number in asked["jobs"] if isinstance(number, int) and 0 <= number < n]
    first = max(0, int(asked["first"]))
    return range(first, max(first, min(n, first + int(asked["count"]))))


def _moments(column: Sequence[int | None], base_ms: int) -> bytes:
    return _little(array("I", [NO_TIME if moment is None else min(moment - base_ms, NO_TIME - 1) for moment in column]))


def _values(column: _Column, jobs: Sequence[JobSpec], views: Sequence[JobView]) -> bytes:
    return _little(array(column.code, [column.value(job, view) for job, view in zip(jobs, views, strict=True)]))


def _little(values: array[int] | array[float]) -> bytes:
    if sys.byteorder != "little":
        values.byteswap()
    return values.tobytes()


def _packed(content: Message, body: bytes) -> Answer:
    """The content and its buffer, deflated where that makes it smaller."""
    packed = zlib.compress(body, 1)
    deflate = len(packed) < len(body)
    return {**content, "deflate": deflate}, packed if deflate else body


def _log(running: RunningBatch, asked: Message) -> Answer:
    """At most MAX_LOG_BYTES of what job `job` printed, from byte `start` on; a negative start counts from the end. `size` is that of the whole."""
    number = asked["job"]
    if not isinstance(number, int) or not 0 <= number < len(running.spec.jobs):
        raise ValueError(f"this run has no job {number!r}")
    job, view = running.spec.jobs[number], running.snapshot().jobs[number]
    length = max(0, min(int(asked["length"]), MAX_LOG_BYTES))
    path = log_path(running, job, view)
    if path is None:  # no file of this machine: the service tells it whole
        whole = running.log(job.job_id)
        size = len(whole)
        start = _from_start(int(asked["start"]), size)
        return {"job": number, "start": start, "size": size}, whole[start : start + length]
    size = path.stat().st_size
    start = _from_start(int(asked["start"]), size)
    with path.open("rb") as file:
        file.seek(start)
        return {"job": number, "start": start, "size": size}, file.read(length)


def _from_start(start: int, size: int) -> int:
    return max(0, size + start) if start < 0 else min(start, size)


def log_path(running: RunningBatch, job: JobSpec, view: JobView) -> Path | None:
    """The file with what the last attempt of a job printed; None where there is none on this machine."""
    if running.directory is None:
        return None
    path = running.directory / "logs" / f"{job.job_id}.{max(view.attempt, 1)}.main.log"
    return path if path.exists() else None


def _views(running: RunningBatch, asked: Message) -> Answer:  # noqa: ARG001 - as the other answers
    """The module of the views and its style sheet; `script` is the length of the former."""
    return _views_of(VIEWS_JS.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _views_of(built_ns: int) -> Answer:  # noqa: ARG001 - a new build is read again
    script, style = VIEWS_JS.read_bytes(), VIEWS_CSS.read_bytes()
    return _packed({"script": len(script)}, script + style)


_ANSWERS: dict[str, Callable[[RunningBatch, Message], Answer]] = {"columns": _columns, "log": _log, "views": _views}
KINDS = frozenset(_ANSWERS)

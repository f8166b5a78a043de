"""What the widget asks for beside the graph: columns of the jobs, details of one, parts of a log, the module of the views; and the deeds that it asks for.

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
from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.jupyter.live import deeds, joblog
from hail_batch_jupyter.jupyter.live.graph import Message
from hail_batch_jupyter.jupyter.live.jobdetail import job_detail
from hail_batch_jupyter.observe.running import RunningBatch

STATIC = Path(__file__).parents[1] / "static"
VIEWS_JS = STATIC / "views.js"
VIEWS_CSS = STATIC / "views.css"
MAX_COLUMNS_BYTES = 1_000_000
"""Bytes of one answer's columns before they are deflated; the browser asks on for the rest."""
NO_TIME = 0xFFFFFFFF
_VALUE_BYTES = 4
_MOST_KIB = (1 << 31) - 1

Answer = tuple[Message, bytes | None]
Retry = Callable[[RunningBatch, Sequence[int] | None], deeds.Retried]


class _Column(NamedTuple):
    """Four bytes a job: 'i' a whole number, 'f' a float."""

    code: str
    value: Callable[[JobSpec, JobView], float]


def _kib(size_bytes: int) -> int:
    """As far as four bytes go: 2 TiB."""
    return max(-_MOST_KIB, min(_MOST_KIB, int(size_bytes / 1024)))


COLUMNS = {
    "slot": _Column("i", lambda _, view: view.slot),
    "attempt": _Column("i", lambda _, view: view.attempt),
    "exit": _Column("i", lambda _, view: -1 if view.exit_code is None else view.exit_code),
    "rss": _Column("i", lambda _, view: _kib(view.usage.signed_bytes) if view.usage else 0),
    "cpu": _Column("f", lambda _, view: view.usage.cpu_s if view.usage else -1.0),
    "group": _Column("i", lambda job, _: job.group),
    "cost": _Column("f", lambda _, view: view.cost_usd),
    "cores": _Column("i", lambda job, view: view.granted.cpu_mcpu if view.granted else job.request.cpu_mcpu or 0),
    "memory": _Column("i", lambda job, _: _kib(job.request.memory_bytes or 0)),
}
"""Numbers of a job.

slot, exit   -1 for none; group 0 for none      rss, memory (asked for)   KiB, 0 unknown, rss below 0 for at most so much
cores (granted, else asked for)   thousandths, 0 unsaid
cpu          seconds of processor time, -1 unknown      cost                dollars, of a job that runs until now
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
    """The answer to a message of one of the KINDS; what cannot be answered gets a sentence."""
    try:
        content, buffer = _ANSWERS[asked["kind"]](running, asked)
    except (LookupError, TypeError, ValueError, OSError, BatchException) as error:
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
    if "cost" in names and running.spec.card is not None:
        views = [view._replace(cost_usd=usd) for view, usd in zip(views, running.so_far_usd(numbers), strict=True)]
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


def _job(running: RunningBatch, asked: Message) -> Answer:
    """The details of job `job`."""
    return {"job": asked["job"], "detail": job_detail(running, asked["job"])}, None


def _views(running: RunningBatch, asked: Message) -> Answer:  # noqa: ARG001 - as the other answers
    """The module of the views and its style sheet; `script` is the length of the former."""
    return _views_of(VIEWS_JS.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _views_of(built_ns: int) -> Answer:  # noqa: ARG001 - a new build is read again
    script, style = VIEWS_JS.read_bytes(), VIEWS_CSS.read_bytes()
    return _packed({"script": len(script)}, script + style)


def _groups(running: RunningBatch, asked: Message) -> Answer:  # noqa: ARG001 - as the other answers
    """The groups of jobs, in the order of their numbers."""
    return {"groups": [{"name": group.name, "parent": group.parent} for group in running.spec.groups]}, None


_ANSWERS: dict[str, Callable[[RunningBatch, Message], Answer]] = {
    "job": _job,
    "columns": _columns,
    "log": joblog.part,
    "find": joblog.find,
    "groups": _groups,
    "views": _views,
}
KINDS = frozenset(_ANSWERS)


def carry_out(running: RunningBatch, asked: Message, retry: Retry) -> Message:
    """Do what a message of kind 'cancel' or 'retry' asks for, and answer it.

    'job_ids' names jobs by their numbers in the run, 'group' a group; without them it is about the run.
    """
    answer = {"kind": "answer", "request": asked.get("request")}
    try:
        job_ids = job_ids_of(asked)
        if asked["kind"] == "cancel":
            return {**answer, "ok": True, "text": deeds.cancel(running, job_ids, asked.get("group"))}
        done = retry(running, job_ids)
        return {**answer, "ok": True, "text": done.text, "run": done.run_id}
    except (BatchException, ValueError, OSError) as error:
        return {**answer, "ok": False, "text": str(error)}


def names_part(asked: Message) -> bool:
    """Whether a deed is about a part of the run."""
    return asked.get("job_ids") is not None or asked.get("group") is not None


def job_ids_of(asked: Message) -> list[int] | None:
    """The jobs that a deed is about, None for no choice of them.

    Raises ValueError for what is no list of numbers.
    """
    job_ids = asked.get("job_ids")
    if job_ids is None:
        return None
    if not isinstance(job_ids, list) or not job_ids or not all(type(job_id) is int for job_id in job_ids):
        raise ValueError(f"job_ids {job_ids!r} are not the numbers of jobs; write [3] for job 3")
    return job_ids

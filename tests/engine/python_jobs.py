"""Specs of small Python jobs; what they run is given as source, so that it travels by value as a notebook's functions do."""

from __future__ import annotations

import hashlib
import pickle
import textwrap
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from hail_batch_jupyter.compile.python_calls import RUNNER, dumps
from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec, Edge, JobSpec, Upload
from hail_batch_jupyter.observe.running import RunningBatch


class Made(NamedTuple):
    """A Python job and the bytes that it reads."""

    job: JobSpec
    uploads: tuple[Upload, ...]


class Result(NamedTuple):
    """As an argument: the value of another job."""

    job_id: int


def python(job_id: int, source: str, *args: Any, after: Iterable[int | Edge] = (), **settings: Any) -> Made:
    """A job that runs `def work(...)` of the source and keeps what it gives as 'value'."""
    function = f"functions/{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    arguments = dumps((args, {}), lambda value: ("result", f"d{value.job_id}/value") if isinstance(value, Result) else None)
    call = {"function": function, "arguments": arguments, "results": [f"d{job_id}/value"], "named": False, "names": ["value"], "forms": [], "title": "work"}
    calls = f"args/d{job_id}.calls"
    edges = tuple(Edge(parent) if isinstance(parent, int) else parent for parent in after)
    named = {"name": f"job{job_id}", "key": f"{source} {args!r}", "directory": f"d{job_id}", **settings}
    command = ("python3", f"{SCRATCH}/{RUNNER}", f"{SCRATCH}/{calls}")
    job = JobSpec(job_id, kind="python", command=command, calls=calls, results=(f"d{job_id}/value",), parents=edges, **named)
    uploads = (Upload(f"{SCRATCH}/{function}", dumps(_work(source), lambda _: None)), Upload(f"{SCRATCH}/{calls}", pickle.dumps([call])))
    return Made(job, uploads)


def _work(source: str) -> Callable[..., Any]:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(textwrap.dedent(source), space)
    work: Callable[..., Any] = space["work"]
    return work


def mixed(*made: Made | JobSpec, **settings: Any) -> BatchSpec:
    """A spec of Python jobs and others."""
    jobs = tuple(item.job if isinstance(item, Made) else item for item in made)
    uploads = tuple(upload for item in made if isinstance(item, Made) for upload in item.uploads)
    return BatchSpec(settings.pop("name", "test"), jobs, uploads=uploads, **settings)


def value(running: RunningBatch, job_id: int = 1) -> Any:
    """What the function of a job gave; the files of the run must have been kept."""
    return pickle.loads(running.file(f"d{job_id}/value").read_bytes())

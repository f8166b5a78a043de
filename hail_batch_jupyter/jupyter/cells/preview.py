"""What a cell would be, as text: what its jobs ask for and get, and the script of each, before anything is defined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.core.units import format_bytes, format_duration
from hail_batch_jupyter.jupyter.cells.scatter import short_name
from hail_batch_jupyter.jupyter.words import plural

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.batch.job import Job
    from hail_batch_jupyter.core.draft import JobDraft
    from hail_batch_jupyter.core.retry import Retry
    from hail_batch_jupyter.core.spec import Request

SHOWN_JOBS = 10
_VALUE_CHARACTERS = 60


def preview(batch: Batch, jobs: Sequence[Job], values: Sequence[Mapping[str, Any]], head: str, outputs: Sequence[Mapping[str, str]], group: str) -> str:
    """What `--dry-run` shows of a cell: its line, its resources, the script of the first job and what is different in the next ones.

    values   the items of each job        outputs  file -> destination of each job        group  its name, '' for none
    """
    first = jobs[0].job_draft
    facts = [(name, text) for name, text in (*_facts(batch, first), ("group", group), *_destinations(outputs)) if text]
    width = max(len(name) for name, _ in facts)
    lines = [f"would be {head}", *[f"  {name:{width}}  {text}" for name, text in facts]]
    scripts = [_script(batch, job.job_draft) for job in jobs[:SHOWN_JOBS]]
    for number, script in enumerate(scripts):
        lines += ["", _title(jobs[number].job_draft, values[number]), *(_changed(scripts[0], script) if number else script)]
    if len(jobs) > SHOWN_JOBS:
        lines += ["", f"# … and {len(jobs) - SHOWN_JOBS} more, to {jobs[-1].name}"]
    return "\n".join(lines)


def _facts(batch: Batch, job: JobDraft) -> Iterator[tuple[str, str]]:
    """What is asked for, and granted where that is known."""
    from hail_batch_jupyter.compile.compiler import request_of

    granted = _granted(batch, request_of(job))
    yield "cores", f"{job.cpu or 'not said'}{granted[0]}"
    yield "memory", f"{job.memory or 'not said'}{granted[1]}"
    yield "disk", job.storage or ""
    yield "image", job.image or ""
    yield "shell", job.shell or ""
    yield "timeout", format_duration(job.timeout_s) if job.timeout_s else ""
    yield "machines", {True: "spot", False: "no spot", None: ""}[job.spot]
    yield "regions", ", ".join(job.regions or ())
    yield "retry", "" if job.retry is None else _retry_words(job.retry)
    yield "runs", "even if a job before it failed" if job.always_run else ""
    yield "env", ", ".join(f"{name}=…" for name in job.env)


def _granted(batch: Batch, request: Request) -> tuple[str, str]:
    """Behind what is asked for what is given, where the backend knows it before the run."""
    capacity = getattr(batch.backend, "capacity", None)
    if capacity is None or batch.backend.name != "local":
        return "", ""
    from hail_batch_jupyter.engine.capacity import Ledger

    ledger = Ledger(capacity())
    mcpu, memory = ledger.cost(request)
    alone = (request.cpu_mcpu or 0) > ledger.total.cpu_mcpu or (request.memory_bytes or 0) > ledger.total.memory_bytes
    words = ", more than there is: it would run alone" if alone else ""
    return f"; granted {mcpu / 1000:g} of {ledger.total.cpu_mcpu / 1000:g}{words}", f"; granted {format_bytes(memory)}" if memory else "; nothing is set aside"


def _retry_words(retry: Retry) -> str:
    causes = ", ".join([*retry.on, *[f"exit code {code}" for code in retry.exit_codes]])
    delay = f", {format_duration(retry.delay_s)} before the second" if retry.delay_s else ""
    tries = [f"{retry.attempts} tries in all, after {causes}{delay}"] if retry.attempts > 1 else []
    return "; ".join([*tries, *([f"no spot after {plural(retry.no_spot_after, 'lost machine')}"] if retry.no_spot_after else [])])


def _destinations(outputs: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for name in outputs[0]:
        others = f" … {outputs[-1][name]}" if len(outputs) > 1 else ""
        yield "writes", f"{name} to {outputs[0][name]}{others}"


def _title(job: JobDraft, values: Mapping[str, Any]) -> str:
    said = ", ".join(f"{name} = {_cut(repr(value))}" for name, value in values.items())
    return f"# {job.name}" + (f": {said}" if said else "")


def _cut(text: str) -> str:
    return text if len(text) <= _VALUE_CHARACTERS else text[: _VALUE_CHARACTERS - 1] + "…"


def _script(batch: Batch, job: JobDraft) -> list[str]:
    from hail_batch_jupyter.compile.shelltext import render

    if job.kind == "bash":
        return "\n".join([render(template, lambda ref: short_name(ref, batch)).strip() for template in job.commands]).splitlines()
    (call,) = job.calls
    taken = [name for name in call.kwargs if not name.startswith("_batch_")]
    said = f"# takes {', '.join(taken) or 'nothing'} from the notebook, gives {', '.join(call.results) or 'nothing'} back"
    return [said, *job.source.strip().splitlines()]


def _changed(first: Sequence[str], script: Sequence[str]) -> list[str]:
    """The lines that are different from the first job's; all where lines are added or missing."""
    if len(first) != len(script):
        return list(script)
    return [line for before, line in zip(first, script, strict=True) if before != line] or ["# the same"]

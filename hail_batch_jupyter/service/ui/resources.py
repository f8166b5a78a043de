"""What jobs asked for, were granted and used: the table of a job, and the page of a batch's stages."""

from __future__ import annotations

from typing import Any

from hail_batch_jupyter.core.units import format_bytes, format_duration
from hail_batch_jupyter.jupyter.words import plural
from hail_batch_jupyter.observe.usage import peak_text
from hail_batch_jupyter.service.api.stages import Stage
from hail_batch_jupyter.service.ui.html import Html, row, table, tag
from hail_batch_jupyter.service.ui.layout import batch_link, page
from hail_batch_jupyter.service.ui.pages import PageAsked
from hail_batch_jupyter.service.web import Answer

_LIVE_JOBS = 10_000
"""The stages of a larger batch are counted when they are asked for, not again and again."""
_HEADS = ("Resource", "Asked for", "Granted", "Used")
_STAGE_HEADS = ("Stage", "Jobs", "Cores asked for", "Cores used", "Processor time", "Memory asked for", "Memory used", "Hint")


def of_job(job: dict[str, Any], hint: str) -> Html:
    """The table of a job; used is what its last attempt used."""
    resources = job["spec"]["resources"]
    last = job["attempts"][-1] if job["attempts"] else {"cores_mcpu": None, "memory_bytes": None, "end_time_ms": None}
    cores, memory = cores_used(last), memory_used(last)
    did, took = cores and f"{cores} on average, {_time(last.get('cpu_s') or 0.0)} in all", memory and f"{memory} at its peak"
    disk = [resources["req_storage"], f"{resources['storage_gib']} GiB"] if resources["storage_gib"] else ["none", "none"]
    rows = [
        row("Cores", resources["req_cpu"], f"{(last['cores_mcpu'] or resources['cores_mcpu']) / 1000:g}", did),
        row("Memory", resources["req_memory"], format_bytes(last["memory_bytes"] or resources["memory_bytes"]), took),
        row("Storage", *disk, None),
    ]
    unknown = last["end_time_ms"] is not None and not memory
    said = [
        tag("p", tag("strong", "Hint: "), f"it {hint}.", class_="hint") if hint else None,
        tag("p", "What this attempt used is not known.", class_="muted") if unknown else None,
    ]
    return tag(
        "div", tag("h2", "Resources"), table("Resources asked for, granted and used", _HEADS, rows, class_="narrow"), *said, id="resources", data_part=True
    )


def cores_used(attempt: dict[str, Any]) -> str | None:
    """Of an attempt that has ended, on average."""
    cpu_s, started_ms, ended_ms = attempt.get("cpu_s"), attempt.get("start_time_ms"), attempt.get("end_time_ms")
    if cpu_s is None or started_ms is None or ended_ms is None:
        return None
    return f"{cpu_s / (max(ended_ms - started_ms, 1) / 1000):.2f}"


def memory_used(attempt: dict[str, Any]) -> str | None:
    """Of the largest process of an attempt that has ended, at its peak."""
    peak_bytes = attempt.get("max_rss_bytes")
    return None if peak_bytes is None else peak_text(peak_bytes, attempt["max_rss_at_most"])


def _time(cpu_s: float) -> str:
    return f"{cpu_s:.2f} s" if cpu_s < 10 else format_duration(cpu_s)


def show(asked: PageAsked) -> Answer:
    """What the stages of a batch asked for and used."""
    reading, number = asked.service.rules.reading, asked.names["b"]
    entry, stages = reading.batch(asked.user, number), reading.stages(asked.user, number)
    about = tag(
        "p", "Jobs of a stage have the same name but for numbers and ids at its end. Used is the most that any job of the stage did in its last attempt."
    )
    shown = table("Resources by stage", _STAGE_HEADS, [_stage(stage) for stage in stages]) if stages else tag("p", "No jobs.")
    return page(
        asked.request,
        f"Resources of batch {number}",
        about,
        tag("div", shown, id="stages", data_part=True),
        live="" if not entry["complete"] and entry["n_jobs"] <= _LIVE_JOBS else None,
        above=[batch_link(entry)],
    )


def _stage(stage: Stage) -> Html:
    broken = f", {stage.broken} failed" if stage.broken else ""
    return row(
        stage.name,
        f"{stage.ended} of {stage.jobs} ended{broken}",
        f"{stage.asked_mcpu / 1000:g}" if stage.asked_mcpu else None,
        f"{stage.cores_used:.2f}" if stage.measured else None,
        _time(stage.cpu_s) if stage.measured else None,
        format_bytes(stage.asked_bytes) if stage.asked_bytes else None,
        peak_text(*stage.peak) if stage.measured else None,
        f"{plural(stage.hinted, 'job')} asked for four times what was used" if stage.hinted else None,
    )

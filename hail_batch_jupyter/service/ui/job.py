"""The page of a job."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from hail_batch_jupyter.core.units import format_bytes
from hail_batch_jupyter.service.api.answers import containers_of
from hail_batch_jupyter.service.ui.html import Child, Html, facts, table, tag
from hail_batch_jupyter.service.ui.layout import job_sign, link, money, page, when
from hail_batch_jupyter.service.ui.pages import PageAsked
from hail_batch_jupyter.service.web import Answer

TAIL_BYTES = 1 << 16
_ATTEMPT_HEADS = ("Attempt", "On", "Began (UTC)", "Ended (UTC)", "Took", "How it ended", "Logs")


def show(asked: PageAsked) -> Answer:
    """A job: what it is, what it was given, how it went, and what it said."""
    reading, batch_id, job_id = asked.service.rules.reading, asked.names["b"], asked.names["j"]
    job = reading.job(asked.user, batch_id, job_id)
    path = f"/batches/{batch_id}/jobs/{job_id}"
    names = containers_of(job["spec"])
    goes_on = job["state"] not in ("Success", "Failed", "Error", "Cancelled")
    logs = [_log(path, name, reading.log(asked.user, batch_id, job_id, name, None)) for name in names]
    return page(
        asked.request,
        f"Job {job_id}: {job['name']}" if job["name"] else f"Job {job_id}",
        tag("p", link(f"/batches/{batch_id}", f"Batch {batch_id}")),
        tag("div", _facts(asked, job), id="facts", data_part=True),
        tag("h2", "Logs"),
        *logs,
        tag("div", tag("h2", "Attempts"), _attempts(asked, path, names), id="attempts", data_part=True),
        tag("h2", "What it runs"),
        tag("pre", shlex.join(job["spec"]["process"]["command"]), tabindex=0, role="region", aria_label="Command"),
        tag("details", tag("summary", "The whole of what was posted and granted"), _json(job["spec"], "Specification")),
        tag("details", tag("summary", "The status as programs get it"), _json(job["status"], "Status")),
        live=str(batch_id) if goes_on else None,
    )


def _facts(asked: PageAsked, job: dict[str, Any]) -> Html:
    resources, usage = job["spec"]["resources"], asked.service.rules.reading.usage(asked.user, job["batch_id"], job["job_id"])
    shorts = [f"{name}: {part.get('short_error') or part['error']}" for name, part in _parts(job) if part.get("error") or part.get("short_error")]
    asked_for = f"{resources['req_cpu']} cpu, {resources['req_memory']} memory, {resources['req_storage']} storage"
    cores = "1 core" if resources["cores_mcpu"] == 1000 else f"{resources['cores_mcpu'] / 1000:g} cores"
    given = f"{cores}, {format_bytes(resources['memory_bytes'])} memory, {resources['storage_gib']} GiB storage"
    used = None if usage is None else f"{format_bytes(usage.max_rss_bytes)} memory, {usage.cpu_s:.2f} s of a core"
    return facts(
        [
            ("State", job_sign(job["state"])),
            ("Waits for", job.get("waits_for")),
            ("Exit code", job["exit_code"]),
            ("What went wrong", "; ".join(shorts)),
            ("Took", None if job["duration"] is None else f"{job['duration'] / 1000:g} s"),
            ("Cost", money(job["cost"])),
            ("Image", job["spec"]["process"]["image"]),
            ("Asked for", asked_for),
            ("Granted", given),
            ("Used", used),
            ("Attributes", ", ".join(f"{key}: {text}" for key, text in job.get("attributes", {}).items() if key != "name")),
            ("Parts", _timings(job)),
        ]
    )


def _parts(job: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return list(((job["status"] or {}).get("container_statuses") or {}).items())


def _timings(job: dict[str, Any]) -> str:
    """How far each part came, and how long it ran."""
    words = []
    for name, part in _parts(job):
        duration_ms = (part["timing"].get("running") or {}).get("duration")
        words.append(f"{name} {part['state']}" + ("" if duration_ms is None else f" ({duration_ms / 1000:g} s)"))
    return ", ".join(words)


def _log(path: str, name: str, log: Path | None) -> Html:
    """The end of one log, which grows while it is looked at, and the way to all of it."""
    size = log.stat().st_size if log else 0
    text = "" if log is None else _tail(log, size)
    place = f"{path}/log/{name}"
    cut = tag("p", f"The last {format_bytes(TAIL_BYTES)} of {format_bytes(size)}.", class_="muted") if size > TAIL_BYTES else None
    ways = tag("p", link(place, "Open"), " · ", link(place, "Download", {"download": 1}, download=f"{name}.log"), class_="muted")
    shown = tag("pre", text, tabindex=0, role="log", aria_label=f"Log of {name}", data_log=place, data_size=size, class_="log")
    return tag("section", tag("h3", name.capitalize()), cut, shown, ways, aria_label=f"Log of {name}, with links")


def _tail(log: Path, size: int) -> str:
    with open(log, "rb") as file:
        file.seek(max(0, size - TAIL_BYTES))
        return file.read(TAIL_BYTES).decode(errors="replace")


def _attempts(asked: PageAsked, path: str, names: list[str]) -> Child:
    found = asked.service.rules.reading.attempts(asked.user, asked.names["b"], asked.names["j"])
    rows = []
    for attempt in found or ():
        key = attempt["attempt_id"]
        logs = [[link(f"{path}/log/{name}", name, {"attempt_id": key}, aria_label=f"Log of {name}, attempt {key}", id=f"{key}-{name}"), " "] for name in names]
        times = (when(attempt.get("start_time")), when(attempt.get("end_time")), attempt.get("duration"))
        cells = (attempt["instance_name"], *times, attempt["reason"] or "goes on", logs)
        rows.append(tag("tr", tag("th", key, scope="row"), *[tag("td", cell) for cell in cells]))
    return table("Attempts, the first one first", _ATTEMPT_HEADS, rows) if rows else tag("p", "None yet.")


def _json(value: Any, name: str) -> Html:
    return tag("pre", json.dumps(value, indent=2, ensure_ascii=False), tabindex=0, role="region", aria_label=name)

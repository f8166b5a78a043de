"""The page of a job."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from hail_batch_jupyter.jupyter.words import took_text
from hail_batch_jupyter.service.api.answers import containers_of
from hail_batch_jupyter.service.ui import resources
from hail_batch_jupyter.service.ui.html import Child, Html, facts, row, table, tag
from hail_batch_jupyter.service.ui.layout import batch_link, job_sign, lasted, link, money, page, when
from hail_batch_jupyter.service.ui.logs import end_of
from hail_batch_jupyter.service.ui.pages import PageAsked
from hail_batch_jupyter.service.web import Answer

_ATTEMPT_HEADS = ("Attempt", "On", "Began (UTC)", "Ended (UTC)", "Took", "How it ended", "Exit code", "Cores used", "Memory used", "Logs")
_PARENTS = 10


def show(asked: PageAsked) -> Answer:
    """A job: what it is, what it was given, how it went, and what it said."""
    reading, batch_id, job_id = asked.service.rules.reading, asked.names["b"], asked.names["j"]
    job = reading.job(asked.user, batch_id, job_id)
    path = f"/batches/{batch_id}/jobs/{job_id}"
    names = containers_of(job["spec"])
    goes_on = job["state"] not in ("Success", "Failed", "Error", "Cancelled")
    logs = [end_of(path, name, reading.log(asked.user, batch_id, job_id, name, None), goes_on) for name in names]
    return page(
        asked.request,
        f"Job {job_id}: {job['name']}" if job["name"] else f"Job {job_id}",
        tag("div", _facts(job, reading.parents(asked.user, batch_id, job_id)), id="facts", data_part=True),
        tag("h2", "Logs"),
        *logs,
        resources.of_job(job, reading.hint(asked.user, batch_id, job_id)),
        tag(
            "div", tag("h2", "Attempts"), _attempts(asked, path, names) or tag("p", "None yet." if goes_on else "It never ran."), id="attempts", data_part=True
        ),
        tag("h2", "What it runs"),
        *command_shown(job["spec"]["process"]["command"]),
        tag("details", tag("summary", "The whole of what was posted and granted"), _json(job["spec"], "Specification")),
        tag("details", tag("summary", "The status as programs get it"), _json(job["status"], "Status")),
        live=str(batch_id) if goes_on else None,
        above=[batch_link(reading.batch(asked.user, batch_id))],
    )


def command_shown(words: Sequence[str]) -> list[Html]:
    """A script as it was written, below the shell that runs it; any other command as one would type it."""
    *shell, script = words if len(words) == 3 and words[1] == "-c" else [shlex.join(words)]
    above = [tag("p", "By ", tag("code", shlex.join(shell)))] if shell else []
    return [*above, tag("pre", script, tabindex=0, role="region", aria_label="Command")]


def _facts(job: dict[str, Any], parents: Sequence[dict[str, Any]]) -> Html:
    troubles = [(job["status"] or {}).get("error")]
    troubles += [f"{name}: {part.get('short_error') or part['error']}" for name, part in _parts(job) if part.get("error") or part.get("short_error")]
    return facts(
        [
            ("State", job_sign(job["state"])),
            ("Waits for", job.get("waits_for")),
            ("Needs", _parents(job["batch_id"], parents)),
            ("Exit code", job["exit_code"]),
            ("What went wrong", "; ".join(trouble for trouble in troubles if trouble)),
            ("Took", None if job["duration"] is None else lasted(job["duration"])),
            ("Cost", money(job["cost"])),
            ("Image", job["spec"]["process"]["image"]),
            ("Attributes", ", ".join(f"{key}: {text}" for key, text in job.get("attributes", {}).items() if key != "name")),
            ("Parts", _timings(job)),
        ]
    )


def _parents(batch_id: int, parents: Sequence[dict[str, Any]]) -> Html | None:
    """The jobs that it needs, each with its state: what failed says why this one never ran."""
    if not parents:
        return None
    shown = [
        tag("li", job_sign(each["state"]), " ", link(f"/batches/{batch_id}/jobs/{each['job_id']}", each["name"] or f"Job {each['job_id']}")) for each in parents
    ]
    more = len(shown) - _PARENTS
    return tag("ul", *shown[:_PARENTS], tag("li", f"and {more:,} more") if more > 0 else None, class_="plain")


def _parts(job: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = ((job["status"] or {}).get("container_statuses") or {}).items()
    return [(name, part) for name, part in found if part is not None]


def _timings(job: dict[str, Any]) -> str:
    """How far each part came, and how long it ran."""
    words = []
    for name, part in _parts(job):
        duration_ms = (part["timing"].get("running") or {}).get("duration")
        words.append(f"{name} {part['state']}" + ("" if duration_ms is None else f" ({took_text(duration_ms / 1000)})"))
    return ", ".join(words)


def _attempts(asked: PageAsked, path: str, names: list[str]) -> Html | None:
    found = asked.service.rules.reading.attempts(asked.user, asked.names["b"], asked.names["j"])
    rows = [row(attempt["attempt_id"], *_attempt(attempt, path, names)) for attempt in found or ()]
    return table("Attempts, the first one first", _ATTEMPT_HEADS, rows) if rows else None


def _attempt(attempt: dict[str, Any], path: str, names: list[str]) -> list[Child]:
    key = attempt["attempt_id"]
    logs = [link(f"{path}/log/{name}/part", name, {"attempt_id": key}, aria_label=f"Log of {name}, attempt {key}", id=f"{key}-{name}") for name in names]
    return [
        attempt["instance_name"],
        when(attempt.get("start_time")),
        when(attempt.get("end_time")),
        lasted(attempt["duration_ms"]) if "duration_ms" in attempt else None,
        "failed" if attempt["reason"] == "completed" and attempt["exit_code"] else attempt["reason"] or "goes on",
        attempt["exit_code"],
        resources.cores_used(attempt),
        resources.memory_used(attempt),
        [[each, " "] for each in logs],
    ]


def _json(value: Any, name: str) -> Html:
    return tag("pre", json.dumps(value, indent=2, ensure_ascii=False), tabindex=0, role="region", aria_label=name)

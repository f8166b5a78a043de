"""The page of a batch."""

from __future__ import annotations

from typing import Any

from hail_batch_jupyter.service.api.answers import time_text
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.budget import low_budget
from hail_batch_jupyter.service.ui.batches import counts, deeds
from hail_batch_jupyter.service.ui.batches import took as batch_took
from hail_batch_jupyter.service.ui.html import Html, facts, row, table, tag
from hail_batch_jupyter.service.ui.layout import batch_sign, choices, job_sign, lasted, link, money, page, search, when
from hail_batch_jupyter.service.ui.pages import PageAsked
from hail_batch_jupyter.service.web import Answer

_JOB_HEADS = ("Job", "Name", "State", "Exit code", "Took", "Cost")
_GROUP_HEADS = ("Group", "Name", "State", "Jobs", "Cost")
_DEED_HEADS = ("When (UTC)", "Who", "Did what", "To which group", "Why")
_QUESTIONS = (("All", ""), ("Failed", "state = bad"), ("Running", "state = running"), ("Waiting", "state = ready"), ("Cancelled", "state = cancelled"))
_DEEDS = {"cancel": "cancelled it", "delete": "deleted it"}


def show(asked: PageAsked) -> Answer:
    """A batch with its jobs, groups and graph."""
    request, reading, number = asked.request, asked.service.rules.reading, asked.names["b"]
    entry = reading.batch(asked.user, number)
    query = {"q": asked.query.get("q", ""), "recursive": "true", **({"last_job_id": asked.query["last_job_id"]} if "last_job_id" in asked.query else {})}
    try:
        found, trouble = reading.jobs(asked.user, number, 0, 2, query), None
    except Refusal as refusal:
        found, trouble = {"jobs": []}, tag("p", refusal.sentence, role="alert", class_="alert")
    more = {"q": query["q"], "last_job_id": found.get("last_job_id", 0)}
    name = entry.get("attributes", {}).get("name")
    path = f"/batches/{number}"
    rows = [_job(path, job) for job in found["jobs"]]
    return page(
        request,
        f"Batch {number}: {name}" if name else f"Batch {number}",
        tag("div", _facts(asked, entry), id="facts", data_part=True),
        tag("div", deeds(request, entry, "batch", why=True), id="deeds", data_part=True),
        tag("div", _done(asked, number), id="done", data_part=True),
        tag(
            "section",
            tag("h2", "Graph"),
            tag("noscript", tag("p", "The graph needs JavaScript; the tables below say the same.")),
            tag("div", id="graph", data_feed=f"{path}/feed"),
            aria_label="Graph",
        ),
        _groups(asked, number),
        tag("h2", "Jobs"),
        tag("p", link(f"{path}/resources", "What they asked for and used, by stage")) if entry["n_jobs"] else None,
        choices(path, query["q"], "Jobs that are often asked for", _QUESTIONS),
        search(path, query["q"], "Show jobs where", "state = failed"),
        trouble,
        tag("div", table("Jobs of the batch", _JOB_HEADS, rows) if rows else None if trouble else tag("p", _none(entry)), id="jobs", data_part=True),
        link(path, "More jobs", more, rel="next") if "last_job_id" in found else None,
        live=str(number) if not entry["complete"] else None,
    )


def _none(entry: dict[str, Any]) -> str:
    return "No job matches." if entry["n_jobs"] else "The batch has no jobs."


def _facts(asked: PageAsked, entry: dict[str, Any]) -> Html:
    parts = [tag("li", f"{part['resource']}: ", money(part["cost"])) for part in entry["cost_breakdown"] or ()]
    breakdown = tag("details", tag("summary", "By resource"), tag("ul", *parts), id="by-resource") if parts else None
    attributes = ", ".join(f"{key}: {text}" for key, text in entry.get("attributes", {}).items() if key != "name")
    pairs = [
        ("State", batch_sign(entry)),
        ("Jobs", counts(entry)),
        ("Jobs wait for", entry.get("waits_for")),
        ("User", entry["user"]),
        ("Project", [entry["billing_project"], _limit(asked, entry["billing_project"])]),
        ("Created (UTC)", when(entry["time_created"])),
        ("Ended (UTC)", when(entry["time_completed"])),
        ("Took", batch_took(entry)),
        ("Cost", [money(entry["cost"]), breakdown]),
        ("Attributes", attributes),
    ]
    return facts(pairs)


def _done(asked: PageAsked, number: int) -> Html | None:
    """Who cancelled what of it, and why."""
    found = asked.service.rules.reading.deeds(asked.user, number)
    if not found:
        return None
    rows = [
        row(when(time_text(deed["time_ms"])), deed["user"] or "the service", _DEEDS.get(deed["deed"], deed["deed"]), deed["job_group_id"] or "all", deed["why"])
        for deed in found
    ]
    return tag("div", tag("h2", "What was done to it"), table("What was done to the batch", _DEED_HEADS, rows))


def _limit(asked: PageAsked, project: str) -> Html | None:
    """A word about a project that has nearly spent what it may."""
    words = low_budget(asked.service.rules.billing.project(asked.user, project))
    return tag("strong", f" {words}", class_="alert") if words else None


def _job(path: str, job: dict[str, Any]) -> Html:
    always = " (always runs)" if job["always_run"] and job["end_time"] is None else ""
    took = None if job["duration"] is None else lasted(job["duration"])
    number = tag("th", link(f"{path}/jobs/{job['job_id']}", job["job_id"], id=f"j{job['job_id']}"), scope="row")
    name = link(f"{path}/jobs/{job['job_id']}", job["name"], id=f"n{job['job_id']}") if job["name"] else None
    cells = (name, [job_sign(job["state"]), always], job["exit_code"], took, money(job["cost"]))
    return tag("tr", number, *[tag("td", cell) for cell in cells])


def _groups(asked: PageAsked, number: int) -> Html | None:
    found = asked.service.rules.reading.groups(asked.user, number, 0, {})["job_groups"]
    if not found:
        return None
    rows = [
        tag(
            "tr",
            tag("th", group["job_group_id"], scope="row"),
            *[tag("td", cell) for cell in (group.get("attributes", {}).get("name"), batch_sign(group), counts(group), money(group["cost"]))],
        )
        for group in found
    ]
    return tag("div", tag("h2", "Job groups"), table("Job groups of the batch", _GROUP_HEADS, rows), id="groups", data_part=True)

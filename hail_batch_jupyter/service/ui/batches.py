"""The page of batches."""

from __future__ import annotations

from typing import Any

from hail_batch_jupyter.service.api.reading import MOST_WHY
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.ui.html import Child, Html, table, tag
from hail_batch_jupyter.service.ui.layout import batch_sign, button, form, lasted, link, money, page, search, sure, when
from hail_batch_jupyter.service.ui.pages import PageAsked
from hail_batch_jupyter.service.web import Answer, Request

_HEADS = ("Batch", "Name", "Project", "User", "State", "Jobs", "Created (UTC)", "Took", "Cost", "What to do")


def show(asked: PageAsked) -> Answer:
    """Batches, newest first; a query that makes no sense is told above none."""
    request, query = asked.request, dict(asked.query)
    query.setdefault("q", f"user = {asked.user}")
    try:
        found, trouble = asked.service.rules.reading.batches(asked.user, 2, query), None
    except Refusal as refusal:
        found, trouble = {"batches": []}, tag("p", refusal.sentence, role="alert", class_="alert")
    rows = [_row(request, entry) for entry in found["batches"]]
    more = link("/batches", "Older batches", {"q": query["q"], "last_batch_id": found["last_batch_id"]}, rel="next") if "last_batch_id" in found else None
    none = None if rows else tag("p", "No batches. ", tag("code", "Batch(backend=ServiceBackend()).run()"), " makes one.")
    return page(
        request,
        "Batches",
        search("/batches", query["q"], "Show batches where", "state = running"),
        trouble,
        tag("div", table("Batches, newest first", _HEADS, rows) if rows else none, id="batches", data_part=True),
        more,
        tag("p", f"Jobs run {asked.service.rules.where.words}.", class_="muted"),
        live="",
    )


def _row(request: Request, entry: dict[str, Any]) -> Html:
    number, path = entry["id"], f"/batches/{entry['id']}"
    name = entry.get("attributes", {}).get("name", "")
    cells: list[Child] = [
        link(path, number, id=f"b{number}"),
        name,
        entry["billing_project"],
        entry["user"],
        batch_sign(entry),
        counts(entry),
        when(entry["time_created"]),
        took(entry),
        money(entry["cost"]),
        deeds(request, entry, f"b{number}"),
    ]
    return tag("tr", tag("th", cells[0], scope="row"), *[tag("td", cell) for cell in cells[1:]])


def took(entry: dict[str, Any]) -> Html | None:
    """How long a batch took, None while it goes on."""
    return None if entry["duration_ms"] is None else lasted(entry["duration_ms"])


def counts(entry: dict[str, Any]) -> str:
    """How many jobs there are, have ended, and how."""
    words = [f"{entry['n_completed']} of {entry['n_jobs']} ended"]
    words += [f"{entry[key]} {word}" for key, word in (("n_failed", "failed"), ("n_cancelled", "cancelled")) if entry[key]]
    return ", ".join(words)


def deeds(request: Request, entry: dict[str, Any], prefix: str, *, why: bool = False) -> list[Html]:
    """What can be done to a batch; `why` asks who cancels for a reason, too. Deleting is for good and is asked for twice."""
    path, name = f"/batches/{entry['id']}", f"batch {entry['id']}"
    end = button("Cancel", aria_label=f"Cancel {name}", id=f"{prefix}-cancel")
    cancel = form(request, f"{path}/cancel", _reason(prefix, "cancel", name) if why else None, end, class_="row") if not entry["complete"] else None
    gone = button(f"Delete {name}", id=f"{prefix}-delete")
    delete = form(request, f"{path}/delete", "Its logs are removed, too. ", _reason(prefix, "delete", name), gone, class_="row")
    return [tag("div", cancel, sure("Delete…", f"Delete… {name}", delete, id=f"{prefix}-sure"), class_="deeds")]


def _reason(prefix: str, deed: str, name: str) -> Html:
    """The box for a reason, which nobody has to give."""
    return tag("input", name="why", id=f"{prefix}-why-{deed}", maxlength=MOST_WHY, placeholder="why, if you like", aria_label=f"Why you {deed} {name}")

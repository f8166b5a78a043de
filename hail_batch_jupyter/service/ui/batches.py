"""The page of batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hail_batch_jupyter.service.api.reading import MOST_WHY
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.ui.html import Child, Html, joined, table, tag
from hail_batch_jupyter.service.ui.layout import batch_sign, button, choices, form, lasted, link, money, page, search, so_far, sure, when
from hail_batch_jupyter.service.ui.pages import PageAsked
from hail_batch_jupyter.service.web import Answer, Request

_HEADS = ("Batch", "State", "Name", "Jobs", "Created (UTC)", "Took", "Cost", "Project", "User", "What to do")


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
    mine = f"user = {asked.user}"
    questions = (("Yours", mine), ("All", ""), ("Running", "state = running"), ("Failed", "state = failure"))
    return page(
        request,
        "Batches",
        choices("/batches", query["q"], "Often asked for", questions),
        search("/batches", query["q"], "Show batches where", "state = running"),
        trouble,
        tag(
            "div",
            table("Batches, newest first", _HEADS, rows, class_="even") if rows else None if trouble else _none(query, mine),
            id="batches",
            data_part=True,
        ),
        more,
        tag("p", f"Jobs run {asked.service.rules.where.words}.", class_="muted"),
        live="",
    )


def _none(query: Mapping[str, str], mine: str) -> Html:
    """What is said where there are none: how one is made, or that the question found none."""
    if query["q"].strip() in ("", mine) and "last_batch_id" not in query:
        return tag("p", "No batches. ", tag("code", "Batch(backend=ServiceBackend()).run()"), " makes one.")
    return tag("p", "No batch matches.")


def _row(request: Request, entry: dict[str, Any]) -> Html:
    number, path = entry["id"], f"/batches/{entry['id']}"
    name = entry.get("attributes", {}).get("name", "")
    cells: list[Child] = [
        link(path, number, id=f"b{number}"),
        batch_sign(entry),
        link(path, name, id=f"n{number}") if name else None,
        counts(entry),
        when(entry["time_created"], short=True),
        took(entry),
        money(entry["cost"]),
        entry["billing_project"],
        entry["user"],
        deeds(request, entry, f"b{number}"),
    ]
    return tag("tr", tag("th", cells[0], scope="row"), *[tag("td", cell) for cell in cells[1:]])


def took(entry: dict[str, Any]) -> Html:
    """How long a batch took, or goes on."""
    return so_far(entry["time_created"]) if entry["duration_ms"] is None else lasted(entry["duration_ms"])


def counts(entry: dict[str, Any]) -> Html:
    """How many jobs there are, have ended, and how; a line breaks between these only."""
    words = [f"{entry['n_completed']:,} of {entry['n_jobs']:,} ended"] if entry["n_jobs"] else ["none"]
    words += [f"{entry[key]:,} {word}" for key, word in (("n_failed", "failed"), ("n_cancelled", "cancelled")) if entry[key]]
    parts = [tag("span", word, "," if place < len(words) else None, class_="lasted") for place, word in enumerate(words, 1)]
    return joined([part if place == 0 else [" ", part] for place, part in enumerate(parts)])


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

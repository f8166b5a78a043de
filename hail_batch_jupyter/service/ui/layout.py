"""What all pages have: head, navigation, forms with the word of their session, states and times as people read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.core.units import format_bytes
from hail_batch_jupyter.cost.money import dollars
from hail_batch_jupyter.jupyter.words import COLORS, GLYPHS, STATE_WORDS, took_text
from hail_batch_jupyter.service.people import CSRF_FIELD, csrf_of
from hail_batch_jupyter.service.ui.html import Child, Html, tag
from hail_batch_jupyter.service.web import Answer, Request

_POLICY = (
    "default-src 'self'; script-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = (("Content-Security-Policy", _POLICY), ("Referrer-Policy", "same-origin"), ("Cache-Control", "no-store"), ("X-Frame-Options", "DENY"))
_PLACES = (("/batches", "Batches"), ("/files", "Files"), ("/billing", "Billing"), ("/user", "You"))
_ADMIN_PLACES = (*_PLACES, ("/users", "Users"))
_TITLES = {400: "This cannot be done so", 401: "Not allowed", 403: "Not allowed", 404: "Not found", 405: "This is not done here"}
_WITHIN = re.compile(r"(/batches/(\d{1,18}))/")
_BATCH_WORDS = {"success": "succeeded", "open": "waiting"}


def page(request: Request, title: str, *main: Child, status: int = 200, live: str | None = None, above: Sequence[Html] = ()) -> Answer:
    """A whole page; `live` is the batch whose news change it, '' for a page that looks again every other second; `above` leads to what it is a part of."""
    places = _ADMIN_PLACES if request.admin else _PLACES
    links = [tag("a", name, href=path, aria_current="page" if request.path.partition("/")[2].split("/")[0] == path[1:] else None) for path, name in places]
    leave = form(request, "/logout", button("Log out", class_="quiet"))
    top = tag("header", tag("a", "Batch service", href="/batches", class_="home"), tag("nav", *links, aria_label="Pages"), leave) if request.session else None
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="csrf", content=csrf_of(request.session)) if request.session else None,
        tag("title", f"{title} · Batch service"),
        tag("link", rel="stylesheet", href="/static/widget.css"),
        tag("link", rel="stylesheet", href="/static/page.css"),
        tag("link", rel="icon", href="data:,"),
        tag("script", src="/static/page.js", type="module"),
    )
    said = tag("p", "", id="said", role="status", class_="said")
    around = tag("nav", *[[link_above, " / "] for link_above in above], aria_label="Part of", class_="above") if above else None
    inside = tag("main", around, tag("h1", title), said, *main, id="main", tabindex=-1)
    body = tag("body", tag("a", "To the content", href="#main", class_="skip"), top, inside, data_live=live)
    return Answer(f"<!doctype html>{tag('html', head, body, lang='en')}".encode(errors="replace"), "text/html; charset=utf-8", status, HEADERS)


def refused(request: Request, status: int, sentence: str) -> Answer:
    """A page that says why there is no other, and where to go on."""
    said = sentence[:1].upper() + sentence[1:] + ("" if sentence.endswith((".", "!")) else ".")
    around = _WITHIN.match(request.path) if request.user and "does not exist" not in said else None
    ways = [link(around[1], f"To batch {around[2]}"), " · "] if around else []
    on = tag("p", *ways, link("/batches", "To your batches") if request.user else link("/login", "Log in"))
    return page(request, _TITLES.get(status, "This was not done"), tag("p", said, role="alert", class_="alert"), on, status=status)


def moved(place: str, *headers: tuple[str, str]) -> Answer:
    """The way to another page."""
    return Answer(b"", "text/plain", 302, [("Location", place), *headers])


def form(request: Request, action: str, *children: Child, **attributes: Any) -> Html:
    """A form that posts."""
    word = tag("input", type="hidden", name=CSRF_FIELD, value=csrf_of(request.session))
    return tag("form", word, *children, method="post", action=action, **attributes)


def button(words: str, **attributes: Any) -> Html:
    """A button that sends its form."""
    return tag("button", words, type="submit", **attributes)


def sure(words: str, about: str, deed: Html, **attributes: Any) -> Html:
    """A deed that is not done by one press: the form shows when it is asked for."""
    return tag("details", tag("summary", words, aria_label=about), deed, class_="sure", **attributes)


def used_of(used_bytes: int, quota_bytes: int | None) -> list[Child]:
    """How much of the storage is used."""
    if quota_bytes is None:
        return [f"{format_bytes(used_bytes)} used; there is no quota."]
    scale = tag("meter", value=used_bytes, max=max(quota_bytes, 1), high=quota_bytes * 9 // 10, aria_label="Storage used")
    return [f"{format_bytes(used_bytes)} of {format_bytes(quota_bytes)} used. ", scale]


def search(action: str, query: str, about: str, example: str) -> Html:
    """The box for a query, and how one is written."""
    box = tag("textarea", query, name="q", id="q", rows=max(1, query.count("\n") + 1), spellcheck="false", aria_describedby="q-about", placeholder=example)
    return tag(
        "form",
        tag("label", about, for_="q"),
        box,
        button("Search"),
        tag("p", "One condition a line, such as ", tag("code", example), id="q-about", class_="muted"),
        method="get",
        action=action,
        class_="search",
        role="search",
    )


def link(path: str, words: Child, query: dict[str, Any] | None = None, **attributes: Any) -> Html:
    """A link to a page of the service."""
    return tag("a", words, href=f"{path}?{urlencode(query)}" if query else path, **attributes)


def batch_link(entry: dict[str, Any]) -> Html:
    """The way to a batch, by its number and name."""
    name = entry.get("attributes", {}).get("name")
    return link(f"/batches/{entry['id']}", f"Batch {entry['id']}: {name}" if name else f"Batch {entry['id']}")


def sign(word: str) -> Html:
    """A state as shape, colour and word."""
    return tag("span", tag("span", GLYPHS.get(word, ""), aria_hidden="true", style=f"color:{COLORS.get(word, 'inherit')}"), " ", word, class_="state")


def batch_sign(entry: dict[str, Any]) -> Html:
    """The state of a batch or group."""
    word = _BATCH_WORDS.get(entry["state"], entry["state"])
    if word == "failure":
        word = "failed" if entry["complete"] else "failing"
    return sign("cancelling" if word == "cancelled" and not entry["complete"] else word)


def job_sign(state: str) -> Html:
    """The state of a job."""
    return sign(STATE_WORDS[JobState(state)])


def money(usd: float) -> Html:
    """Dollars as people read them."""
    return tag("span", dollars(usd), class_="money")


def lasted(duration_ms: float) -> Html:
    """How long something took."""
    return tag("span", took_text(duration_ms / 1000), class_="lasted")


def so_far(created: str) -> Html:
    """How long something goes on that began at that time of the protocol, in whole minutes, so that it is not another text every second."""
    minutes = int((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds() // 60)
    words = [f"{count} {unit}" for count, unit in ((minutes // 1440, "d"), (minutes % 1440 // 60, "h"), (minutes % 60, "min")) if count]
    return tag("span", f"{' '.join(words[:2]) or '<1 min'} so far", class_="lasted")


def when(text: str | None, *, short: bool = False) -> Html | None:
    """A time of the protocol: UTC to the second, or to the minute where room is short, and exact for programs."""
    if text is None:
        return None
    shown = f"{text[:10]} {text[11:19]}"
    return tag("time", shown[:16], datetime=text, title=shown) if short else tag("time", shown, datetime=text)


def choices(path: str, query: str, about: str, questions: Sequence[tuple[str, str]]) -> Html:
    """Links to what people ask most; the one that is asked now is marked."""
    links = [link(path, word, {"q": asked}, aria_current="true" if asked == query.strip() else None) for word, asked in questions]
    return tag("nav", *links, aria_label=about, class_="choices")

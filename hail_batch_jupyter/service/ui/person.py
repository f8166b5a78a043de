"""The pages about who looks: logging in, and who one is."""

from __future__ import annotations

from typing import Any

from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.budget import low_budget
from hail_batch_jupyter.service.people import SESSION_COOKIE, SESSION_S
from hail_batch_jupyter.service.ui.html import Child, Html, facts, row, table, tag
from hail_batch_jupyter.service.ui.layout import button, link, money, moved, page, used_of
from hail_batch_jupyter.service.ui.pages import PageAsked
from hail_batch_jupyter.service.web import Answer

_FORGET = ("Set-Cookie", f"{SESSION_COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
_OWNERS_ACCOUNT = "none: gs:// addresses are reached by the credentials of the service"
_NO_ACCOUNT = "none: ask an administrator for one to reach gs:// addresses"
_HEADS = ("Project", "State", "Spent", "Limit")


def show(asked: PageAsked) -> Answer:
    """Who is logged in, and what that allows."""
    rules = asked.service.rules
    told, place = rules.roles.told(asked.user), rules.files.place(asked.user)
    has = rules.members.told(asked.user)
    most = "as many as the others leave" if has["max_cores"] is None else f"{has['max_cores']:g} at most"
    role = f"{told.role}, whose account the service runs under" if told.owner else told.role
    pairs = [
        ("Name", told.name),
        ("Role", role),
        ("Files", [link("/files", place["remote_tmpdir"].rpartition("/")[0]), ": ", used_of(place["used_bytes"], place["quota_bytes"])]),
        ("Jobs run", rules.where.words),
        *([("Jobs run as", told.login)] if told.login else []),
        ("Cores", f"{has['used_cores']:g} now, {most}"),
        ("Service account", has["hail_identity"] or (_OWNERS_ACCOUNT if told.owner else _NO_ACCOUNT)),
    ]
    rows = [_project(project) for project in rules.billing.own_projects(asked.user)]
    shown = (
        table("Your billing projects", _HEADS, rows, class_="narrow")
        if rows
        else tag("p", "None: ask an administrator for one, without which no batch is taken.")
    )
    return page(asked.request, "You", facts(pairs), tag("h2", "Your billing projects"), shown)


def _project(project: dict[str, Any]) -> Html:
    limit = "no limit" if project["limit"] is None else money(project["limit"])
    low = low_budget(project) if project["status"] == "open" else ""
    return row(
        project["billing_project"], project["status"], money(project["accrued_cost"]), [limit, tag("strong", f" {low}", class_="alert") if low else None]
    )


def login(asked: PageAsked, trouble: Child = None, status: int = 200) -> Answer:
    """The page that asks for a token."""
    wanted = _wanted(asked.query.get("next", ""))
    if asked.request.session:
        return moved(wanted)
    fields = tag(
        "form",
        tag("label", "Token", for_="token"),
        tag("input", type="password", name="token", id="token", autocomplete="current-password", required=True, aria_describedby="about"),
        tag("input", type="hidden", name="next", value=wanted),
        button("Log in"),
        method="post",
        action="/login",
        class_="row",
    )
    about = tag("p", "The service wrote it into the file ", tag("code", "token"), " of its data folder, which it named when it started.", id="about")
    alert = tag("p", trouble, role="alert", class_="alert") if trouble else None
    made = page(asked.request._replace(session=""), "Log in", alert, fields, about, status=status)
    return made._replace(headers=[*made.headers, _FORGET])  # one that is over would be asked for its word


def begin(asked: PageAsked, words: dict[str, str]) -> Answer:
    """Begin a session for who has a token."""
    try:
        session = asked.service.people.log_in(words.get("token", "").strip())
    except Refusal as refusal:
        return login(asked, refusal.sentence, 401)
    cookie = f"{SESSION_COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age={SESSION_S}{'; Secure' if asked.service.secure else ''}"
    return moved(_wanted(words.get("next", "")), ("Set-Cookie", cookie))


def end(asked: PageAsked) -> Answer:
    """End the session."""
    asked.service.people.log_out(asked.request.session)
    return moved("/login", _FORGET)


def _wanted(place: str) -> str:
    """A page of this service, whatever was asked for."""
    return place if place.startswith("/") and not place.startswith(("//", "/\\")) and place.isprintable() else "/batches"

"""The pages about who looks: logging in, and who one is."""

from __future__ import annotations

from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.people import SESSION_COOKIE, SESSION_S
from hail_batch_jupyter.service.ui.html import Child, facts, tag
from hail_batch_jupyter.service.ui.layout import button, moved, page
from hail_batch_jupyter.service.ui.pages import PageAsked
from hail_batch_jupyter.service.web import Answer


def show(asked: PageAsked) -> Answer:
    """Who is logged in."""
    found = asked.service.rules.reading.userinfo(asked.user)
    projects = ", ".join(project["billing_project"] for project in asked.service.rules.billing.projects(asked.user, {}))
    has = asked.service.rules.members.told(asked.user)
    most = "as many as the others leave" if has["max_cores"] is None else f"{has['max_cores']:g} at most"
    account = has["hail_identity"] or "none: gs:// addresses are reached by those only whom an administrator gave one"
    known = [("Name", found["username"]), ("State", found["state"]), ("Billing projects", projects), ("Jobs run", asked.service.rules.where.words)]
    return page(asked.request, "You", facts([*known, ("Cores", f"{has['used_cores']:g} now, {most}"), ("Service account", account)]))


def login(asked: PageAsked, trouble: Child = None, status: int = 200) -> Answer:
    """The page that asks for a token."""
    wanted = _wanted(asked.query.get("next", ""))
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
    return page(asked.request._replace(session=""), "Log in", alert, fields, about, status=status)


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
    return moved("/login", ("Set-Cookie", f"{SESSION_COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"))


def _wanted(place: str) -> str:
    """A page of this service, whatever was asked for."""
    return place if place.startswith("/") and not place.startswith(("//", "/\\")) and place.isprintable() else "/batches"

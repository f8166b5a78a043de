"""The page of administrators: who may use the service, in which role, and tokens that are shown once."""

from __future__ import annotations

from hail_batch_jupyter.service.api.roles import AccountTold
from hail_batch_jupyter.service.ui.html import Child, Html, row, table, tag
from hail_batch_jupyter.service.ui.layout import button, form, link, moved, page, sure
from hail_batch_jupyter.service.ui.pages import PageAsked
from hail_batch_jupyter.service.users import ROLES, USER
from hail_batch_jupyter.service.web import Answer

_HEADS = ("User", "Role", "Billing projects", "Token", "Access")
_RUNS_AS = "Jobs run as"


def show(asked: PageAsked) -> Answer:
    """All users, and the form for another."""
    found = asked.service.rules.roles.all(asked.user)
    rows = [_user(asked, each) for each in found]
    heads = (*_HEADS[:2], _RUNS_AS, *_HEADS[2:]) if _logins(asked) else _HEADS
    about = tag("p", "An administrator makes users, billing projects and limits. Which projects a user is in is changed at ", link("/billing", "Billing"), ".")
    return page(asked.request, "Users", about, table("Users of the service", heads, rows, class_="forms"), tag("h2", "New user"), _new(asked))


def make(asked: PageAsked, words: dict[str, str]) -> Answer:
    """Make a user and show the token."""
    name, role, project, login = (words.get(key, "").strip() for key in ("name", "role", "project", "login"))
    return _token(asked, name, asked.service.rules.roles.make(asked.user, name, role or USER, project, login))


def new_token(asked: PageAsked) -> Answer:
    """Change a token and show it."""
    name = asked.names["U"]
    return _token(asked, name, asked.service.rules.roles.new_token(asked.user, name))


def set_role(asked: PageAsked, words: dict[str, str]) -> Answer:
    """Change a role."""
    asked.service.rules.roles.set_role(asked.user, asked.names["U"], words.get("role", ""))
    return moved("/users")


def set_login(asked: PageAsked, words: dict[str, str]) -> Answer:
    """Change the account under which the jobs of a user run."""
    asked.service.rules.roles.set_login(asked.user, asked.names["U"], words.get("login", "").strip())
    return moved("/users")


def _logins(asked: PageAsked) -> bool:
    """Whether the jobs of users run under their own accounts."""
    return asked.service.rules.where.logins is not None


def remove(asked: PageAsked) -> Answer:
    """Let a user in no more."""
    asked.service.rules.roles.remove(asked.user, asked.names["U"])
    return moved("/users")


def _user(asked: PageAsked, told: AccountTold) -> Html:
    if told.owner:
        own = ["the service"] if _logins(asked) else []
        return row(told.name, told.role, *own, ", ".join(told.projects), "in the file token of the data folder", "runs the service")
    request, path, name = asked.request, f"/users/{told.name}", told.name
    roles = [tag("option", each, selected=each == told.role) for each in ROLES]
    pick = tag("select", *roles, name="role", aria_label=f"Role of {name}", id=f"role-{name}")
    box = tag("input", name="login", id=f"login-{name}", value=told.login, size=12, aria_label=f"Account for the jobs of {name}", autocomplete="off")
    login = form(request, f"{path}/login", box, button("Set", aria_label=f"Set the account of {name}"), class_="row")
    return row(
        name,
        form(request, f"{path}/role", pick, button("Set", aria_label=f"Set the role of {name}"), class_="row"),
        *([login] if _logins(asked) else []),
        ", ".join(told.projects),
        sure("New token…", f"New token… for {name}", form(request, f"{path}/token", "The old one ends. ", button(f"New token for {name}"))),
        sure("Remove…", f"Remove… {name}", form(request, f"{path}/remove", "Batches and files stay. ", button(f"Remove {name}"))),
    )


def _new(asked: PageAsked) -> Html:
    def box(word: str, name: str, about: str = "", **attributes: Child) -> Html:
        field = tag("input", name=name, id=f"new-{name}", autocomplete="off", **attributes)
        return tag("p", tag("label", word, for_=f"new-{name}"), field, tag("span", about, class_="muted") if about else None)

    roles = tag("select", *[tag("option", role, selected=role == USER) for role in ROLES], name="role", id="new-role")
    return form(
        asked.request,
        "/users/create",
        box("Name", "name", required=True, maxlength=64),
        tag("p", tag("label", "Role", for_="new-role"), roles),
        box("Billing project", "project", "a new one of the same name, if you leave it empty"),
        box("Jobs run as", "login", "the account of the same name, if you leave it empty", maxlength=64) if _logins(asked) else None,
        button("Make"),
        class_="fields",
    )


def _token(asked: PageAsked, name: str, token: str) -> Answer:
    """The token, which is kept nowhere and never shown again."""
    file = f'{{"default": "{token}"}}'
    return page(
        asked.request,
        f"Token of {name}",
        tag("p", "Hand it over now: it is shown this once, and the service keeps only a digest of it.", role="status"),
        tag("pre", token, tabindex=0, role="region", aria_label=f"Token of {name}", id="token"),
        tag("p", "It logs in to these pages. Clients read it from a file that HAIL_TOKENS_FILE names:"),
        tag("pre", file, tabindex=0, role="region", aria_label="File with the token"),
        tag("p", link("/users", "Back to the users")),
    )

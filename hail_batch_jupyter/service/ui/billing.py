"""The page of money: what was spent, and who may spend how much."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from urllib.parse import quote

from hail_batch_jupyter.cost.money import amount_text
from hail_batch_jupyter.service.api.billing import Spent
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.budget import low_budget
from hail_batch_jupyter.service.ui.html import Child, Html, joined, table, tag
from hail_batch_jupyter.service.ui.layout import button, form, link, money, page
from hail_batch_jupyter.service.ui.pages import PageAsked
from hail_batch_jupyter.service.web import Answer


def show(asked: PageAsked) -> Answer:
    """What was spent between two days, and the billing projects."""
    start, end = _days(asked)
    lines = asked.service.rules.billing.spent(asked.user, start, end)
    projects = asked.service.rules.billing.projects(asked.user, {})
    dates = tag(
        "form",
        *[
            joined([tag("label", word, for_=name), tag("input", type="date", name=name, id=name, value=day.isoformat())])
            for name, word, day in (("start", "From", start), ("end", "To", end))
        ],
        button("Show"),
        method="get",
        action="/billing",
        class_="row",
    )
    total = sum((line.usd for line in lines), Fraction(0))
    csv = link("/billing.csv", "As CSV", {"start": start.isoformat(), "end": end.isoformat()}, download="billing.csv")
    sums = [
        _sums("By project", "Project", lines, lambda line: line.project),
        _sums("By user", "User", lines, lambda line: line.user),
        _sums("By resource", "Resource", lines, lambda line: line.resource),
    ]
    shown = tag("div", *sums, class_="side") if lines else tag("p", "Nothing was charged in these days.")
    spent = [tag("p", f"${amount_text(total)} in all · ", csv), shown]
    return page(
        asked.request,
        "Billing",
        dates,
        *spent,
        tag("h2", "Projects"),
        *[_project(asked, project) for project in projects],
        _new(asked) if asked.request.admin else None,
    )


def table_file(asked: PageAsked) -> Answer:
    """The same as CSV."""
    return Answer(asked.service.rules.billing.table(asked.user, *_days(asked)).encode(), "text/csv; charset=utf-8")


def _days(asked: PageAsked) -> tuple[date, date]:
    today = datetime.now(UTC).date()
    try:
        start = date.fromisoformat(asked.query.get("start") or today.replace(day=1).isoformat())
        return start, date.fromisoformat(asked.query.get("end") or today.isoformat())
    except ValueError as error:
        raise Refusal(400, f"a day is not written as YYYY-MM-DD: {error}") from error


def _sums(caption: str, head: str, lines: list[Spent], key: Any) -> Html:
    sums: dict[str, Fraction] = {}
    for line in lines:
        sums[key(line)] = sums.get(key(line), Fraction(0)) + line.usd
    rows = [tag("tr", tag("th", name, scope="row"), tag("td", f"${amount_text(usd)}")) for name, usd in sorted(sums.items())]
    return table(caption, (head, "Dollars"), rows, class_="sums")


def _project(asked: PageAsked, project: dict[str, Any]) -> Html:
    """A project; what can be done to it is for administrators."""
    name, limit = project["billing_project"], project["limit"]
    path = f"/billing_projects/{quote(name, safe='')}"
    spent: list[Child] = [money(project["accrued_cost"]), " spent"]
    if project["status"] != "open":
        said, rest = ["closed, ", *spent], _closed_deeds(asked, path) if asked.request.admin else []
    else:
        most: list[Child] = ["no limit"] if limit is None else ["limit ", money(limit)]
        said, rest = [*spent, ", ", *most], _open_project(asked, project, path)
    alert = tag("p", tag("strong", f"{name} {low}", class_="alert")) if project["status"] == "open" and (low := low_budget(project)) else None
    return tag("section", tag("h3", name), tag("p", *said), alert, *rest)


def _closed_deeds(asked: PageAsked, path: str) -> list[Html]:
    deeds = [form(asked.request, f"{path}/reopen", button("Reopen")), form(asked.request, f"{path}/delete", button("Delete for good", class_="quiet"))]
    return [tag("div", *deeds, class_="deeds")]


def _open_project(asked: PageAsked, project: dict[str, Any], path: str) -> list[Html]:
    request, name = asked.request, project["billing_project"]
    if not request.admin:
        return [tag("ul", *[tag("li", user) for user in project["users"]], aria_label=f"Members of {name}")]
    quoted, slug = path.rpartition("/")[2], f"p-{name}"
    members = [tag("li", user, " ", _remove(asked, path, user, name)) for user in project["users"]]
    edit = form(
        request,
        f"/billing_limits/{quoted}/edit",
        tag("label", "Limit in dollars, empty for none", for_=f"{slug}-limit"),
        tag(
            "input",
            name="limit",
            id=f"{slug}-limit",
            inputmode="decimal",
            value=_plain(project["limit"]),
        ),
        button("Set"),
        class_="row",
    )
    box = tag("input", name="user", id=f"{slug}-user", required=True)
    add = form(request, f"{path}/users/add", tag("label", "Add a user", for_=f"{slug}-user"), box, button("Add"), class_="row")
    close = form(request, f"{path}/close", button("Close", class_="quiet", aria_label=f"Close {name}"))
    return [tag("ul", *members, aria_label=f"Members of {name}"), edit, add, close]


def _plain(limit: float | None) -> str:
    """A limit as people write it, never as 1e+06."""
    return "" if limit is None else format(Decimal(str(limit)).normalize(), "f")


def _remove(asked: PageAsked, path: str, user: str, name: str) -> Html:
    end = button("Remove", class_="quiet", aria_label=f"Remove {user} from {name}")
    return form(asked.request, f"{path}/users/{quote(user, safe='')}/remove", end)


def _new(asked: PageAsked) -> Html:
    box = tag("input", name="name", id="new-project", required=True)
    return form(asked.request, "/billing_projects/create", tag("label", "New project", for_="new-project"), box, button("Make"), class_="row")

"""Billing projects, their members and limits, and what was spent.

Source: the Batch Service's protocol, sections 13.4 to 13.6.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any, NamedTuple

from hail_batch_jupyter.cost.money import amount_text
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.pricing import Pricing
from hail_batch_jupyter.service.running.runs import Runs
from hail_batch_jupyter.service.store.billing import Charge, Project
from hail_batch_jupyter.service.store.tables import Store
from hail_batch_jupyter.service.users import ADMIN, check_admin

_STATUSES = ("open", "closed")
_NAME = 100
_FIRST_DAY = date(1970, 1, 1)
_DATE = "%m/%d/%Y"
_MOST_DIGITS = 40
_DOLLARS = re.compile(r"\+?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,2})?", re.ASCII | re.IGNORECASE)


class Spent(NamedTuple):
    """One line of a report."""

    project: str
    user: str
    resource: str
    usd: Fraction


class BillingRules:
    """Who pays, how much they may, and what they did; every method may be called from any thread."""

    def __init__(self, store: Store, runs: Runs, pricing: Pricing) -> None:
        self._store = store
        self._billing = store.billing
        self._runs = runs
        self._pricing = pricing

    # reading

    def projects(self, user: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """The billing projects that a user sees: all for an administrator, else those of the user."""
        wanted = query.get("status")
        if wanted is not None and wanted not in _STATUSES:
            raise Refusal(400, f"Invalid value for status '{wanted}'; must be 'open' or 'closed'.")
        found = self._billing.projects(None if self._sees_all(user) else user)
        return [self._told(project) for project in found if wanted in (None, project.status)]

    def own_projects(self, user: str) -> list[dict[str, Any]]:
        """The billing projects that a user is a member of."""
        return [self._told(project) for project in self._billing.projects(user)]

    def project(self, user: str, name: str) -> dict[str, Any]:
        """A billing project."""
        project = self._billing.project(name)
        if project is None or project.status == "deleted" or not (self._sees_all(user) or self._billing.is_member(name, user)):
            raise Refusal(403, f"Unknown Hail Batch billing project {name}.")
        return self._told(project)

    def _sees_all(self, user: str) -> bool:
        return self._store.role(user) == ADMIN

    def _told(self, project: Project) -> dict[str, Any]:
        limit = None if project.limit_usd is None else float(project.limit_usd)
        accrued = float(self._runs.spending.accrued(project.name))
        users = self._billing.members(project.name)
        return {"billing_project": project.name, "status": project.status, "users": users, "limit": limit, "accrued_cost": accrued}

    # changing; each raises Refusal for who is no administrator

    def create(self, who: str, name: str) -> str:
        """Make a project without members."""
        check_admin(self._store, who)
        check_project_name(name)
        with self._store.transaction():
            self._billing.create(name)
        return name

    def add(self, who: str, name: str, user: str) -> dict[str, str]:
        """Make a user a member."""
        check_admin(self._store, who)
        with self._store.transaction():
            project = self._there(name)
            if project.status == "closed":
                raise Refusal(403, f"Billing project {name} is closed and cannot be modified.")
            if not self._store.has_user(user):
                raise Refusal(403, f"User {user} does not exist.")
            self._billing.add(name, user)
        return {"billing_project": name, "user": user}

    def remove(self, who: str, name: str, user: str) -> dict[str, str]:
        """Make a user no member."""
        check_admin(self._store, who)
        with self._store.transaction():
            project = self._any(name)
            if project.status != "open":
                raise Refusal(403, f"Billing project {name} has been closed or deleted and cannot be modified.")
            self._billing.remove(name, user)
        return {"billing_project": name, "user": user}

    def close(self, who: str, name: str) -> str:
        """Let no new batches in."""
        check_admin(self._store, who)
        self._there(name)
        unsettled = set(self._store.unsettled())  # others are complete, which saves looking at each
        going = [batch_id for batch_id in self._billing.batches_of(name) if batch_id in unsettled and not self._runs.known(batch_id).complete()]
        with self._store.transaction():
            if self._there(name).status == "open":
                if going:
                    raise Refusal(403, f"Billing project {name} has running batches.")
                self._billing.set_status(name, "closed")
        return name

    def reopen(self, who: str, name: str) -> str:
        """Let batches in again."""
        check_admin(self._store, who)
        with self._store.transaction():
            if self._any(name).status == "deleted":
                raise Refusal(403, f"Billing project {name} has been deleted and cannot be reopened.")
            self._billing.set_status(name, "open")
        return name

    def delete(self, who: str, name: str) -> str:
        """Close a project for good; its name stays taken."""
        check_admin(self._store, who)
        with self._store.transaction():
            if self._any(name).status == "open":
                raise Refusal(403, f"Billing project {name} is open and cannot be deleted.")
            self._billing.set_status(name, "deleted")
        return name

    def set_limit(self, who: str, name: str, body: Any) -> dict[str, Any]:
        """Limit what may be spent; gives the limit as it was sent."""
        check_admin(self._store, who)
        if not isinstance(body, dict) or set(body) != {"limit"}:
            raise Refusal(400, "the body is not {'limit': dollars or null}; post it so")
        limit = _limit(body["limit"])
        with self._store.transaction():
            if self._there(name).status == "closed":
                raise Refusal(403, f"Billing project {name} is closed and cannot be modified.")
            self._billing.set_limit(name, limit)
        return {"billing_project": name, "limit": body["limit"]}

    def _any(self, name: str) -> Project:
        project = self._billing.project(name)
        if project is None:
            raise Refusal(404, f"Billing project {name} does not exist.")
        return project

    def _there(self, name: str) -> Project:
        project = self._any(name)
        if project.status == "deleted":
            raise Refusal(404, f"Billing project {name} does not exist.")
        return project

    # reports

    def report(self, user: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Dollars by project and user; nothing for dates that cannot be read."""
        today = datetime.now(UTC).date()
        start = _day(query["start"]) if "start" in query else today.replace(day=1)
        end = _day(query["end"]) if "end" in query else today
        if start is None or end is None or start > end:
            return []
        sums: Counter[tuple[str, str]] = Counter()
        for line in self.spent(user, start, end):
            sums[line.project, line.user] += line.usd  # type: ignore[assignment]  # a Fraction is a number too
        return [{"billing_project": project, "user": user, "total_spent": float(usd)} for (project, user), usd in sorted(sums.items())]

    def breakdown(self, user: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Dollars by project, user and resource."""
        days = []
        for key in ("start", "end"):
            if key not in query:
                raise Refusal(400, f"{key} is required.")
            day = _day(query[key])
            if day is None:
                raise Refusal(400, f"Invalid {key} '{query[key]}'; must be MM/DD/YYYY.")
            days.append(day)
        if days[0] > days[1]:
            raise Refusal(400, "start must be earlier than or equal to end.")
        lines = self.spent(user, days[0], days[1])
        return [{"billing_project": line.project, "user": line.user, "resource": line.resource, "cost": float(line.usd)} for line in lines]

    def table(self, user: str, start: date, end: date) -> str:
        """The breakdown as CSV, with six decimals."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["billing_project", "user", "resource", "cost_usd"])
        writer.writerows([_cell(line.project), _cell(line.user), _cell(line.resource), amount_text(line.usd)] for line in self.spent(user, start, end))
        return out.getvalue()

    def spent(self, user: str, start: date, end: date) -> list[Spent]:
        """What a user was charged for, and everybody for an administrator, between two days in UTC, both included; what goes on now is of today."""
        days = ((start - _FIRST_DAY).days, (end - _FIRST_DAY).days)
        charges = self._billing.charged(days=days)
        if start <= datetime.now(UTC).date() <= end:
            charges = [*charges, *self._runs.spending.going_on()]
        sees_all = self._sees_all(user)
        return self._summed([charge for charge in charges if sees_all or charge.user == user])

    def _summed(self, charges: list[Charge]) -> list[Spent]:
        used: dict[tuple[str, str, int], Counter[str]] = {}
        for charge in charges:
            used.setdefault((charge.project, charge.user, charge.card_id), Counter())[charge.grant] += charge.ms
        sums: dict[tuple[str, str, str], Fraction] = {}
        for (project, user, card_id), by_grant in used.items():
            for resource, usd in self._pricing.by_resource(card_id, by_grant).items():
                sums[project, user, resource] = sums.get((project, user, resource), Fraction(0)) + usd
        return [Spent(*key, usd) for key, usd in sorted(sums.items())]


def check_project_name(name: str) -> None:
    """Refuse what no billing project may be called."""
    if not 0 < len(name) <= _NAME or not name.isprintable() or set(name) & {":", "/", " "}:
        raise Refusal(400, f"billing project {name!r} has no good name; take 1 to {_NAME} characters without blanks, ':' and '/'")


def _limit(value: Any) -> Fraction | None:
    """Dollars from a number, a numeric text, null or 'None'."""
    if value is None or value == "None":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or len(str(value)) > _MOST_DIGITS:
        raise Refusal(400, f"Invalid billing_limit {str(value)[:_MOST_DIGITS]}.")
    text = str(value).strip()
    if _DOLLARS.fullmatch(text) is None or (limit := Fraction(text)) >= 1 << 60:
        raise Refusal(400, f"Invalid billing_limit {value}.")
    return limit


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, _DATE).replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text

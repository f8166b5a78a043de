"""Billing projects and what was charged to them, in the database.

A bill is the milliseconds that one run was charged for, by day and by what its jobs were granted: whole numbers, so that sums of them are exact.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from hail_batch_jupyter.service.store.database import Database


class Project(NamedTuple):
    """A billing project; `status` is 'open', 'closed' or 'deleted', and None is no limit."""

    name: str
    status: str
    limit_usd: Fraction | None


class Charge(NamedTuple):
    """Milliseconds that attempts with one grant were charged for."""

    project: str
    user: str
    card_id: int
    grant: str
    ms: int


_PROJECT = "SELECT name, status, limit_usd FROM billing_projects"


class Billing:
    """Every method may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # projects

    def project(self, name: str) -> Project | None:
        """The billing project of exactly this name."""
        row = self._database.one(f"{_PROJECT} WHERE name = ?", name)
        return None if row is None else _project(row)

    def projects(self, user: str | None) -> list[Project]:
        """The billing projects of a user, or all, that are not deleted."""
        if user is None:
            return [_project(row) for row in self._database.all(f"{_PROJECT} WHERE status != 'deleted' ORDER BY name")]
        sql = f"{_PROJECT} JOIN members ON project = name WHERE user = ? AND status != 'deleted' ORDER BY name"
        return [_project(row) for row in self._database.all(sql, user)]

    def create(self, name: str) -> None:
        """Make a project; one of that name in any case stays as it is."""
        if self._database.one("SELECT 1 FROM billing_projects WHERE name = ? COLLATE NOCASE", name) is None:
            self._database.run("INSERT INTO billing_projects (name) VALUES (?)", name)

    def set_status(self, name: str, status: str) -> None:
        """Open, close or delete a project."""
        self._database.run("UPDATE billing_projects SET status = ? WHERE name = ?", status, name)

    def set_limit(self, name: str, limit_usd: Fraction | None) -> None:
        """Limit what may be charged to a project."""
        self._database.run("UPDATE billing_projects SET limit_usd = ? WHERE name = ?", None if limit_usd is None else str(limit_usd), name)

    def members(self, project: str) -> list[str]:
        """The users of a project."""
        return [user for (user,) in self._database.all("SELECT user FROM members WHERE project = ? ORDER BY user", project)]

    def is_member(self, project: str, user: str) -> bool:
        """Whether a user is one of a project."""
        return self._database.one("SELECT 1 FROM members WHERE project = ? AND user = ?", project, user) is not None

    def add(self, project: str, user: str) -> None:
        """Make a user a member; again does nothing."""
        self._database.run("INSERT OR IGNORE INTO members VALUES (?, ?)", project, user)

    def remove(self, project: str, user: str) -> None:
        """Make a user no member; again does nothing."""
        self._database.run("DELETE FROM members WHERE project = ? AND user = ?", project, user)

    def batches_of(self, project: str) -> list[int]:
        """The batches of a project that are not deleted."""
        return [batch_id for (batch_id,) in self._database.all("SELECT id FROM batches WHERE project = ? AND NOT deleted ORDER BY id DESC", project)]

    # cards

    def card_id(self, data: Mapping[str, Any]) -> int:
        """The number of a rate card, which is kept as it is now."""
        text = json.dumps(data, sort_keys=True)
        row = self._database.one("SELECT id FROM cards WHERE data = ?", text)
        return int(row[0]) if row else self._database.run("INSERT INTO cards (data) VALUES (?)", text)

    def cards(self) -> dict[int, dict[str, Any]]:
        """All cards that anything was charged by."""
        return {card_id: json.loads(data) for card_id, data in self._database.all("SELECT id, data FROM cards")}

    # bills

    def put_bill(self, run_id: str, batch_id: int, card_id: int, lines: Iterable[tuple[int, str, int]]) -> None:
        """Note (day, grant, ms) of an ended run; again changes nothing."""
        sql = "INSERT OR IGNORE INTO bills (run_id, batch_id, day, card_id, granted, ms) VALUES (?, ?, ?, ?, ?, ?)"
        self._database.run_many(sql, [(run_id, batch_id, day, card_id, grant, ms) for day, grant, ms in lines])

    def charged(self, project: str | None = None, days: tuple[int, int] | None = None) -> list[Charge]:
        """What was charged for ended runs: to one project or to all that are not deleted, between two days (numbers since 1970), both included."""
        first, last = days if days is not None else (-(1 << 60), 1 << 60)
        sql = """SELECT batches.project, batches.user, bills.card_id, granted, SUM(ms) FROM bills JOIN batches ON batches.id = batch_id
                 JOIN billing_projects ON billing_projects.name = batches.project
                 WHERE day BETWEEN ? AND ? AND (batches.project = ? OR (? IS NULL AND status != 'deleted'))
                 GROUP BY batches.project, batches.user, bills.card_id, granted"""
        return [Charge(*row) for row in self._database.all(sql, first, last, project, project)]


def _project(row: tuple[Any, ...]) -> Project:
    name, status, limit_usd = row
    return Project(name, status, None if limit_usd is None else Fraction(limit_usd))

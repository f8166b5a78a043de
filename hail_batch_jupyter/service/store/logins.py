"""Under which accounts the jobs of users run, in the database."""

from __future__ import annotations

from hail_batch_jupyter.service.store.database import Database


class LoginNames:
    """Every method may be called from any thread; what another process sets counts for the next run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, user: str) -> str:
        """The account of a user, the one of the same name where none is set; '' for whose account the service has, and for nobody."""
        row = self._database.one("SELECT coalesce(login, name) FROM users WHERE name = ? AND NOT owner", user)
        return str(row[0]) if row else ""

    def other(self, login: str, user: str) -> str:
        """Another user whose jobs have that account, '' for nobody."""
        row = self._database.one("SELECT name FROM users WHERE name != ? AND NOT owner AND coalesce(login, name) = ?", user, login)
        return str(row[0]) if row else ""

    def put(self, user: str, login: str | None) -> None:
        """Set the account of a user, None for the one of the same name."""
        self._database.run("UPDATE users SET login = ? WHERE name = ?", login, user)

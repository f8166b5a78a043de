"""How many cores users and billing projects may have at once, in the database."""

from __future__ import annotations

from hail_batch_jupyter.service.running.division import Caps
from hail_batch_jupyter.service.store.database import Database

USER, PROJECT = "user", "project"


class Quotas:
    """Every method may be called from any thread; what another process sets counts at once. A user who is removed keeps the quota, as the batches go on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def caps(self) -> Caps:
        """All that are set."""
        found: dict[str, dict[str, int]] = {USER: {}, PROJECT: {}}
        for kind, name, max_mcpu in self._database.all("SELECT kind, name, max_mcpu FROM quotas"):
            found[kind][name] = max_mcpu
        return Caps(found[USER], found[PROJECT])

    def put(self, kind: str, name: str, max_mcpu: int | None) -> None:
        """Limit the jobs of a user or a billing project, None for no limit."""
        if max_mcpu is None:
            self._database.run("DELETE FROM quotas WHERE kind = ? AND name = ?", kind, name)
        else:
            self._database.run("INSERT OR REPLACE INTO quotas VALUES (?, ?, ?)", kind, name, max_mcpu)

"""What is set for single users and billing projects: how many cores their jobs may have at once."""

from __future__ import annotations

from typing import Any

from hail_batch_jupyter.service.api.posts import quota
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.runs import Runs
from hail_batch_jupyter.service.store.quotas import PROJECT, USER
from hail_batch_jupyter.service.store.tables import Store
from hail_batch_jupyter.service.users import check_admin, cores


class Members:
    """Every method may be called from any thread."""

    def __init__(self, store: Store, runs: Runs) -> None:
        self._store = store
        self._runs = runs

    def told(self, user: str) -> dict[str, Any]:
        """What a user has of the machine: `max_cores`, None for all, and `used_cores`."""
        return {"max_cores": cores(self._store.quotas.caps().users.get(user)), "used_cores": cores(self._runs.used_mcpu(user))}

    def set_user_quota(self, asker: str, name: str, body: Any) -> dict[str, Any]:
        """Limit the cores of a user, or not; jobs that run go on."""
        check_admin(self._store, asker)
        if not self._store.has_user(name):
            raise Refusal(404, f"User {name} does not exist.")
        return self._set(USER, name, body)

    def set_project_quota(self, asker: str, name: str, body: Any) -> dict[str, Any]:
        """Limit the cores of a billing project, or not; jobs that run go on."""
        check_admin(self._store, asker)
        if self._store.billing.project(name) is None:
            raise Refusal(404, f"Billing project {name} does not exist.")
        return self._set(PROJECT, name, body)

    def _set(self, kind: str, name: str, body: Any) -> dict[str, Any]:
        quota(body, "quota")
        given = body["max_cores"]
        self._store.quotas.put(kind, name, None if given is None else max(1, round(given * 1000)))
        return {kind: name, "max_cores": given}

"""What is set for single users and billing projects: how many cores their jobs may have at once, and service accounts."""

from __future__ import annotations

from typing import Any

from hail_batch_jupyter.errors import ConfigError
from hail_batch_jupyter.service.accounts import Accounts
from hail_batch_jupyter.service.api.posts import account_key, quota
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.journal import note
from hail_batch_jupyter.service.running.runs import Runs
from hail_batch_jupyter.service.store.quotas import PROJECT, USER
from hail_batch_jupyter.service.store.tables import Store
from hail_batch_jupyter.service.users import ADMIN, check_admin, cores

PERMISSIONS = (
    "read_all_billing_projects",
    "create_billing_projects",
    "assign_users_to_all_billing_projects",
    "update_all_billing_projects",
    "delete_all_billing_projects",
)
"""Source: the Batch Service's protocol, section 3.4."""


class Members:
    """Every method may be called from any thread."""

    def __init__(self, store: Store, runs: Runs, accounts: Accounts) -> None:
        self._store = store
        self._runs = runs
        self._accounts = accounts

    def told(self, user: str) -> dict[str, Any]:
        """What a user has: the name of the service account, what the role allows, cores at most, None for all, and cores that are used."""
        most, used = cores(self._store.quotas.caps().users.get(user)), cores(self._runs.used_mcpu(user))
        allowed = {name: self.has_permission(user, name) for name in PERMISSIONS}
        return {"hail_identity": self._accounts.name(user), "system_permissions": allowed, "max_cores": most, "used_cores": used}

    def has_permission(self, user: str, name: str) -> bool:
        """Whether the role of a user allows what the protocol calls so: administrators may do all of that, others nothing."""
        return name in PERMISSIONS and self._store.role(user) == ADMIN

    def names(self, asker: str) -> list[str]:
        """All users, for administrators."""
        check_admin(self._store, asker)
        return [name for name, _ in self._store.users()]

    def seen(self, asker: str, name: str) -> str:
        """The name of a user of whom who asks may be told."""
        self._check_own(asker, name)
        return name

    # service accounts

    def account(self, asker: str, name: str) -> dict[str, Any]:
        """The name of a user's account; the key is told to nobody."""
        self._check_own(asker, name)
        return {"user": name, "hail_identity": self._accounts.name(name)}

    def put_account(self, asker: str, name: str, body: Any) -> dict[str, Any]:
        """Keep the key of an account for a user, in place of another."""
        self._check_own(asker, name)
        account_key(body, "account")
        try:
            identity = self._accounts.put(name, body["key"], anywhere=self._store.role(asker) == ADMIN)
        except ConfigError as error:
            raise Refusal(400, str(error)) from None
        note("account", of=name, user=asker, identity=identity)
        return {"user": name, "hail_identity": identity}

    def remove_account(self, asker: str, name: str) -> dict[str, Any]:
        """Forget the key of a user; again does nothing more."""
        self._check_own(asker, name)
        self._accounts.remove(name)
        note("account", of=name, user=asker, identity=None)
        return {"user": name, "hail_identity": None}

    def _check_own(self, asker: str, name: str) -> None:
        """Of users other than who asks only administrators are told anything."""
        if asker != name:
            check_admin(self._store, asker)
        if not self._store.has_user(name):
            raise Refusal(404, f"User {name} does not exist.")

    # cores

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

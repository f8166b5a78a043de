"""Who may use the service, as administrators see and change it; and what everybody may know of oneself."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hail_batch_jupyter.errors import ConfigError
from hail_batch_jupyter.service import users
from hail_batch_jupyter.service.accounts import Accounts
from hail_batch_jupyter.service.api.billing import check_project_name
from hail_batch_jupyter.service.api.refusal import Refusal, not_found
from hail_batch_jupyter.service.journal import note
from hail_batch_jupyter.service.running.where import Where
from hail_batch_jupyter.service.store.tables import Store


class AccountTold(NamedTuple):
    """A user; `owner` is whose account the service runs under. `login` is the account of the machine for the jobs, '' for that of the service."""

    name: str
    role: str
    projects: tuple[str, ...]
    owner: bool
    login: str


class Roles:
    """Users and roles; every method may be called from any thread.

    data    the folder of the service        where   jobs run, and whether users are kept apart there, without which there is one only
    """

    def __init__(self, store: Store, data: Path, where: Where) -> None:
        self._store = store
        self._data = data
        self._where = where

    def is_admin(self, user: str) -> bool:
        """Whether a user keeps the service; '' is nobody."""
        return bool(user) and self._store.role(user) == users.ADMIN

    def told(self, user: str) -> AccountTold:
        """What there is to know of a user."""
        projects = tuple(project.name for project in self._store.billing.projects(user))
        login = self._store.logins.of(user) if self._where.logins is not None else ""
        return AccountTold(user, self._store.role(user), projects, user not in self._store.others(), login)

    def all(self, who: str) -> list[AccountTold]:
        """All users; this and all below raise Refusal for who is no administrator."""
        users.check_admin(self._store, who)
        return [self.told(name) for name, _ in self._store.users()]

    def make(self, who: str, name: str, role: str, project: str, login: str = "") -> str:
        """Make a user, whose jobs run under the account `login` where users have their own, '' for the one of the same name; gives the token."""
        users.check_admin(self._store, who)
        _check_role(role)
        if not self._where.apart:
            raise Refusal(403, f"user {name!r} is not added: {users.APART}")
        self._check_project(project or name)
        try:
            users.check_name(name)
            self._check_login(name, login or name)
            token = users.made(self._store, name, role, project or name)
        except ConfigError as error:
            raise Refusal(400, str(error)) from error
        self._store.logins.put(name, login or None)
        note("user added", user=name, role=role, login=login or name, by=who)
        return token

    def set_login(self, who: str, name: str, login: str) -> None:
        """Change the account under which the jobs of a user run, '' for the one of the same name; what runs goes on as it is."""
        users.check_admin(self._store, who)
        self._check_other(name)
        try:
            self._check_login(name, login or name)
        except ConfigError as error:
            raise Refusal(400, str(error)) from error
        self._store.logins.put(name, login or None)
        note("login changed", user=name, login=login or name, by=who)

    def _check_login(self, name: str, login: str) -> None:
        if self._where.logins is not None:
            self._where.logins.check(login, self._store.logins.other(login, name))

    def set_role(self, who: str, name: str, role: str) -> None:
        """Change the role of a user, who stays logged in."""
        users.check_admin(self._store, who)
        _check_role(role)
        self._check_other(name)
        self._store.set_role(name, role)
        note("role changed", user=name, role=role, by=who)

    def new_token(self, who: str, name: str) -> str:
        """Another token for a user; the old one and all sessions end."""
        users.check_admin(self._store, who)
        self._check_other(name)
        token, kept = users.new_token()
        self._store.set_token(name, kept)
        self._forget_file(name)
        note("token changed", user=name, by=who)
        return token

    def remove(self, who: str, name: str) -> None:
        """Let a user in no more; batches and files stay, the key of the service account does not."""
        users.check_admin(self._store, who)
        self._check_other(name)
        self._store.remove_user(name)
        self._forget_file(name)
        Accounts(self._data).remove(name)
        note("user removed", user=name, by=who)

    def _check_project(self, name: str) -> None:
        """A project that is open, or a name for a new one."""
        project = self._store.billing.project(name)
        if project is None:
            check_project_name(name)
        elif project.status != "open":
            raise Refusal(403, f"billing project {name} is {project.status}; name one that is open, or leave it empty")

    def _check_other(self, name: str) -> None:
        if not self._store.has_user(name):
            raise not_found(f"there is no user {name!r}")
        if name not in self._store.others():
            raise Refusal(403, f"user {name!r} is whose account the service runs under, and stays as it is")

    def _forget_file(self, name: str) -> None:
        """The token that was written to be handed over is of no use any more."""
        (self._data / f"tokens-{name}.json").unlink(missing_ok=True)


def _check_role(role: str) -> None:
    if role not in users.ROLES:
        raise Refusal(400, f"role {role!r} is none; choose {' or '.join(users.ROLES)}")

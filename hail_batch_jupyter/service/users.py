"""Who may use the service: made, listed and removed in its data folder, whether the service runs or not."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hail_batch_jupyter.backends import own_service
from hail_batch_jupyter.core.units import parse_cpu
from hail_batch_jupyter.errors import ConfigError, UnitError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.service.accounts import Accounts
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.logins import Logins
from hail_batch_jupyter.service.store.database import FILE, Database
from hail_batch_jupyter.service.store.quotas import USER as USER_QUOTA
from hail_batch_jupyter.service.store.tables import Store

ADMIN, USER = "admin", "user"
ROLES = (ADMIN, USER)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
APART = (
    "jobs that run as processes of one account would read each other's files; run jobs in containers, which needs docker or podman, "
    "and start the service without --no-images (on Slurm with --logins, so that the jobs of each have an account of their own, "
    "or with --container-engine podman: apptainer may show jobs more than their own)"
)


def new_token() -> tuple[str, bytes]:
    """A token, and the digest that is kept of it."""
    token = secrets.token_urlsafe(32)
    return token, digest(token)


def digest(token: str) -> bytes:
    """What the database has of a token."""
    return hashlib.sha256(token.encode()).digest()


def add(data: Path, name: str, role: str, project: str, login: str | None = None) -> str:
    """Make a user, a member of a billing project; gives what to hand over. The token is nowhere else.

    `login` is the account of the machine for the jobs, the one of the same name if it is None.
    Raises ConfigError for a name that is taken or is none, where jobs of several users would meet, and for an account that jobs cannot have.
    """
    running = own_service.find(data)
    if running is not None and not running.apart:
        raise ConfigError(f"user {name!r} is not added: {APART}")
    check_name(name)
    with _store(data) as store:
        _check_login(running, store, name, login or name)
        token = made(store, name, role, project)
        store.logins.put(name, login)
    path = data / f"tokens-{name}.json"
    rundir.write_private(path, json.dumps({"default": token}) + "\n")
    return f"user {name!r}, {role}, of the billing project {project!r}; hand over {path}, for HAIL_TOKENS_FILE, and remove it here: only its digest is kept"


def made(store: Store, name: str, role: str, project: str) -> str:
    """Make a user, a member of a billing project; gives the token, of which a digest is kept.

    Raises ConfigError for a name that is taken or is none.
    """
    check_name(name)
    token, kept = new_token()
    with store.transaction():
        if any(each.lower() == name.lower() for each, _ in store.users()):
            raise ConfigError(f"there is a user {name!r} already; remove it first for a new token, which keeps its batches and files")
        store.put_user(name, kept, project, role)
    return token


def check_name(name: str) -> None:
    """Raise ConfigError for what is no name of a user."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name of a user; take 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first")


def _check_login(running: own_service.Address | None, store: Store, name: str, login: str) -> None:
    """Become the account once, if the service runs and does so with jobs."""
    if running is not None and running.logins:
        Logins(running.logins).check(login, store.logins.other(login, name))


def set_login(data: Path, name: str, login: str | None) -> str:
    """Have the jobs of a user run under an account of the machine, or of the cluster; None: the one of the user's name.

    Raises ConfigError for somebody unknown, for whose account the service has, and for an account that jobs cannot have.
    """
    with _store(data) as store:
        _check_other(store, name)
        _check_login(own_service.find(data), store, name, login or name)
        store.logins.put(name, login)
    return f"jobs of {name!r} run as {login or name!r} from now on, where the service is started with --logins; what runs goes on as it is"


def _check_other(store: Store, name: str) -> None:
    if name not in dict(store.users()):
        raise ConfigError(f"there is no user {name!r}; `serve user list` names them")
    if name not in store.others():
        raise ConfigError(f"user {name!r} is whose account the service runs under; it stays")


def remove(data: Path, name: str) -> str:
    """Let a user in no more; batches and files stay.

    Raises ConfigError for somebody unknown, and for the account of the service itself.
    """
    with _store(data) as store:
        _check_other(store, name)
        store.remove_user(name)
    (data / f"tokens-{name}.json").unlink(missing_ok=True)
    Accounts(data).remove(name)
    return f"user {name!r} is let in no more; batches and files stay"


def listed(data: Path) -> str:
    """A line for each user: name, role, billing projects, how many cores at once where that is limited, and the account where it has another name."""
    with _store(data) as store:
        users = store.users()
        most = store.quotas.caps().users
        told = {name: f"\t{cores(most[name]):g} cores" if name in most else "" for name, _ in users}
        told = {name: f"{words}\tas {login}" if (login := store.logins.of(name)) not in ("", name) else words for name, words in told.items()}
        return "\n".join(f"{name}\t{role}\t{','.join(project.name for project in store.billing.projects(name))}{told[name]}" for name, role in users)


def set_account(data: Path, name: str, key: Path | None) -> str:
    """Keep the key in a file for a user, whose batches then reach object stores by it; without a file, say whose account there is.

    Raises ConfigError for somebody unknown and for a file that is no key.
    """
    _check_user(data, name)
    accounts = Accounts(data)
    if key is not None:
        try:
            given = json.loads(key.read_text())
        except (OSError, ValueError):
            raise ConfigError(f"{str(key)!r} cannot be read as JSON; name the key file of a Google service account") from None
        accounts.put(name, given if isinstance(given, dict) else {}, anywhere=True)
    found = accounts.name(name)
    return f"user {name!r} has no service account" if found is None else f"files of object stores are copied for {name!r} by {found}"


def remove_account(data: Path, name: str) -> str:
    """Forget the key of a user. Raises ConfigError for somebody unknown."""
    _check_user(data, name)
    there = Accounts(data).remove(name)
    return f"the service account of {name!r} is forgotten" if there else f"user {name!r} had no service account"


def _check_user(data: Path, name: str) -> None:
    with _store(data) as store:
        if not store.has_user(name):
            raise ConfigError(f"there is no user {name!r}; `serve user list` names them")


def cores(mcpu: int | None) -> float | None:
    """Thousandths of cores as cores; None is None."""
    return None if mcpu is None else mcpu / 1000


def set_quota(data: Path, kind: str, name: str, words: str) -> str:
    """Limit the cores that the jobs of a user, or of a billing project, have at once; 'none' is no limit.

    Raises ConfigError for somebody unknown and for what is no number of cores.
    """
    try:
        most = None if words == "none" else parse_cpu(words)
    except UnitError as error:
        raise ConfigError(f"{error}, or none for no limit") from error
    with _store(data) as store:
        there = store.has_user(name) if kind == USER_QUOTA else store.billing.project(name) is not None
        if not there:
            raise ConfigError(f"there is no {kind} {name!r}; `serve user list` names users and their billing projects")
        store.quotas.put(kind, name, most)
    who = f"jobs of the {kind} {name!r}"
    return f"{who} have as many cores as they get" if most is None else f"{who} have {most / 1000:g} cores at once at most; what runs goes on"


@contextmanager
def _store(data: Path) -> Iterator[Store]:
    if not (data / FILE).is_file():
        raise ConfigError(f"{str(data)!r} is no data folder of a service; start one with `hail-batch-jupyter serve` first, or name its folder with --data")
    store = Store(Database(data / FILE))
    try:
        yield store
    finally:
        store.close()


def check_admin(store: Store, user: str) -> None:
    """Refuse what only who keeps the service may do; the status is the protocol's."""
    if store.role(user) != ADMIN:
        raise Refusal(401, "Unauthorized: only administrators of this service may do that")

"""The process of the service: its data folder, its token, and its life."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import getpass
import json
import os
import re
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from ssl import SSLContext
from typing import Any

from hail_batch_jupyter.backends import own_service
from hail_batch_jupyter.backends.machine import Machine
from hail_batch_jupyter.backends.own_service import PROJECT, Address
from hail_batch_jupyter.config import configured
from hail_batch_jupyter.cost.card import SETTING, load_card
from hail_batch_jupyter.cost.rates import Card
from hail_batch_jupyter.errors import ConfigError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.sharing import Amount
from hail_batch_jupyter.service import users
from hail_batch_jupyter.service.accounts import Accounts
from hail_batch_jupyter.service.api.billing import BillingRules
from hail_batch_jupyter.service.api.filing import Filing
from hail_batch_jupyter.service.api.members import Members
from hail_batch_jupyter.service.api.reading import Reading
from hail_batch_jupyter.service.api.roles import Roles
from hail_batch_jupyter.service.api.submitting import Submitting
from hail_batch_jupyter.service.door import Door
from hail_batch_jupyter.service.http import listen
from hail_batch_jupyter.service.journal import note, open_log
from hail_batch_jupyter.service.people import People
from hail_batch_jupyter.service.pricing import Pricing
from hail_batch_jupyter.service.routes import Service
from hail_batch_jupyter.service.running.runs import Runs
from hail_batch_jupyter.service.running.sender import Sender
from hail_batch_jupyter.service.running.shares import Shares
from hail_batch_jupyter.service.running.where import Where, chosen
from hail_batch_jupyter.service.running.worker import Worker
from hail_batch_jupyter.service.shelf import Shelf
from hail_batch_jupyter.service.site import Site
from hail_batch_jupyter.service.store.database import FILE, Database
from hail_batch_jupyter.service.store.tables import Store
from hail_batch_jupyter.service.ui.graph import Graphs
from hail_batch_jupyter.service.ui.pages import Pages

DEFAULT_CARD = "this-machine"
_TOKEN = "token"
_GRACE_S = 5.0
_LOOK_S = 0.02
_COLLECTED = (100_000, 20, 100)
"""So rarely unused objects are looked for: what is posted and known is large, and none of it refers to itself."""

Say = Callable[[str], None]
Options = Mapping[str, Any]


def serve(door: Door, data: Path, *, images: bool, slurm: Options | None, rate_card: str | None, quota_bytes: int | None, say: Say) -> None:
    """Serve until the process is told to end; `say` gets the lines for whoever started it. No user keeps files of more than `quota_bytes`.

    With options for `slurm` jobs run there. Raises ConfigError for a place that cannot be served, CapabilityError when jobs are to run in containers and no
    engine is there.
    """
    tls = door.context()
    card = load_card(configured(*SETTING, rate_card) or DEFAULT_CARD)
    data = data.expanduser().absolute()
    if "," in str(data) or " " in str(data):
        raise ConfigError(f"the data folder {str(data)!r} has a comma or a blank in its name, which containers cannot mount; choose another")
    with _held(data):
        where = chosen(data, slurm, images=images)
        os.environ[rundir.RUNS_VARIABLE] = str(data / "runs")
        os.umask(0o077)
        open_log(data)
        gc.set_threshold(*_COLLECTED)
        store = Store(Database(data / FILE))
        user = _user()
        token = _token(data)
        store.put_user(user, users.digest(token), PROJECT, users.ADMIN, owner=True)
        others = store.others()
        if others and not where.apart:
            store.close()
            raise ConfigError(f"the service has other users ({', '.join(others)}) and does not start: {users.APART}")
        pricing = Pricing(card, store.billing)
        shelf = Shelf(data, user, quota_bytes)
        shares = Shares(store.quotas, Amount(*where.place.capacity()[:2]) if isinstance(where.place, Machine) else None)
        accounts = Accounts(data)
        sender = None if where.logins is None else Sender(where.logins, store, accounts, where.place)
        runs = Runs(store, Worker(data, user, where, sender), pricing, shares)
        posting, reading = Submitting(store, runs, pricing, shelf, accounts, where), Reading(store, runs, pricing)
        rules = Service(posting, reading, BillingRules(store, runs, pricing), Filing(shelf), Members(store, runs, accounts), Roles(store, data, where), where)

        def ready(found: int) -> None:
            cert, logins = str(Path(door.cert).expanduser().absolute()) if door.cert else "", "" if where.logins is None else where.logins.way
            address = Address(door.place(found), door.scheme, user, os.getpid(), where.apart, cert, logins)
            own_service.note(data, address)
            if sender is not None:
                sender.answers_at(address.url, Path(address.cert).read_text() if address.cert else "")
            say(_told(address, data, card, where, proxied=door.behind_proxy))

        try:
            asyncio.run(_serve(door, tls, Site(Pages(rules, People(store), Graphs(runs), door.secure)), runs, ready))
        finally:
            own_service.forget(data)
            runs.close()
            store.close()


async def _serve(door: Door, tls: SSLContext | None, site: Site, runs: Runs, ready: Callable[[int], None]) -> None:
    try:
        server, port = listen(site, door.host, door.port, tls)
    except OSError as error:
        raise ConfigError(f"port {door.port} of {door.host} cannot be served ({error.strerror}); choose another with --port, or 0 for any") from error
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ready(port)
    runs.begin()
    note("began", host=door.host, port=port)
    await stop.wait()
    server.stop()
    site.closing = True
    await _finished(site)
    await server.close_all_connections()
    note("ended")


async def _finished(site: Site) -> None:
    """Wait until all that was asked is answered, for a while."""
    until_s = time.monotonic() + _GRACE_S
    while site.n_open and time.monotonic() < until_s:
        await asyncio.sleep(_LOOK_S)


@contextmanager
def _held(data: Path) -> Iterator[None]:
    """The data folder, made if need be, closed to others, and held by this process alone."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = data.stat()
    if facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise ConfigError(f"the data folder {str(data)!r} is open to other users; close it with `chmod 700`, or choose another with --data")
    lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ConfigError(f"another service works on {str(data)!r}; stop it first, or choose another folder with --data") from None
    try:
        yield
    finally:
        os.close(lock)


def _token(data: Path) -> str:
    """The user's token, made when there is none; also in a file as clients keep their tokens in."""
    path = data / _TOKEN
    try:
        token = path.read_text().strip()
    except FileNotFoundError:
        token = secrets.token_urlsafe(32)
        rundir.write_private(path, token + "\n")
    if not token:
        raise ConfigError(f"the file {str(path)!r} is empty; remove it, and the service makes a new token")
    rundir.write_private(data / "tokens.json", json.dumps({"default": token}) + "\n")
    return token


def _user() -> str:
    """A name without signs that mean something in queries."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", getpass.getuser()) or "user"


def _told(address: Address, data: Path, card: Card, where: Where, *, proxied: bool) -> str:
    """The address, and what points clients at it."""
    return "\n".join(
        [
            f"Batch service at {address.url}, user {address.user!r}, data in {data}",
            f"Jobs run {where.words}.",
            *([where.warning] if where.warning else []),
            f"They are granted and charged by the rate card {card.label}.",
            f"Look at it in a browser: log in with the token in {data}/{_TOKEN}.",
            "",
            f"Point clients at it with:{' (HAIL_DOMAIN is for this machine; from elsewhere it is the name of the proxy, see the guide)' if proxied else ''}",
            *(f"  export {name}={value}" for name, value in own_service.environment(data, address).items()),
            f"Files are kept at hbj://{address.user}/…, which hail_batch_jupyter finds by itself; hailtop stages no files here.",
        ]
    )

"""Runs of users under their own accounts: they begin there, and a process here follows each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hail_batch_jupyter.backends.begin import Facts, Made, Place, Seen, orders_of
from hail_batch_jupyter.backends.far import sending
from hail_batch_jupyter.backends.far.mirror import FOLLOWER
from hail_batch_jupyter.backends.far.sending import Parcel, own_folder
from hail_batch_jupyter.backends.launch import Launch
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.service.accounts import Accounts
from hail_batch_jupyter.service.logins import Logins
from hail_batch_jupyter.service.store.tables import Store

Note = Callable[[str], None]


class Sender:
    """Every method may be called from any thread.

    place   where jobs run: Slurm's nodes, as the account has them
    """

    def __init__(self, logins: Logins, store: Store, accounts: Accounts, place: Place) -> None:
        self._logins = logins
        self._store = store
        self._accounts = accounts
        self._place = place
        self._address: dict[str, str] = {}

    def answers_at(self, url: str, certificate: str) -> None:
        """Where runs reach the service, and the text of the certificate that it shows."""
        self._address = {"url": url, "certificate": certificate}

    def login(self, user: str) -> str:
        """The account of a user, '' for whose account the service has."""
        return self._store.logins.of(user)

    def begin(self, spec: BatchSpec, made: Made, login: str, note: Note) -> None:
        """Have a run begin under an account; `note` hears its id before anything can have started.

        Raises SubmitError for an account that jobs cannot have, which may have been named while the service was away.
        """
        user = spec.attributes["user"]
        problem = self._logins.problem(login, self._store.logins.other(login, user))
        if problem:
            raise SubmitError(f"no job of {user!r} begins: {problem}")
        told = Facts({job.job_id: job.env for job in spec.jobs if job.env}, {}, Seen(own_folder(spec)))
        orders = orders_of(spec, self._place, told)
        directory = sending.make(spec, made, self._logins.protocol(login))
        try:
            service = {**self._address, "token": self._store.run_tokens.make(directory.name, user)}
            parcel = Parcel(orders, self._logins.directory_of(login), self._logins.setup, self._key(user), service)
            with NotingLaunch(note, FOLLOWER) as launch:
                sending.send(directory, parcel, launch)
        except SubmitError:
            rundir.remove(directory)
            raise

    def _key(self, user: str) -> str:
        try:
            return self._accounts.key_file(user).read_text()
        except FileNotFoundError:
            return ""


class NotingLaunch(Launch):
    """A process for a run of which the service takes a note before it gets its orders: what starts is known, whenever the service is killed."""

    def __init__(self, note: Note, *script: Path) -> None:
        super().__init__(*script)
        self._note = note

    def give(self, directory: Path, orders: dict[str, Any], *, tied: bool) -> None:
        """Note the run, then let it run."""
        self._note(directory.name)
        super().give(directory, orders, tied=tied)

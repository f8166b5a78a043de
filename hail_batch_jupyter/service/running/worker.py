"""Jobs of the service as a run of the engine, wherever jobs run."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from hail_batch_jupyter.backends.begin import Facts, Made, Place, Seen, begin
from hail_batch_jupyter.backends.far.mirror import Elsewhere, read_note, remove_there
from hail_batch_jupyter.backends.far.sending import own_folder
from hail_batch_jupyter.backends.machine import Machine
from hail_batch_jupyter.backends.pricing import with_card
from hail_batch_jupyter.compile.remote import REMOVE
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.core.spec import BatchSpec, Edge, JobSpec, Transfer
from hail_batch_jupyter.engine.localize import Localizer
from hail_batch_jupyter.engine.stores import Stores
from hail_batch_jupyter.errors import BatchException, RunLostError, SubmitError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.service.accounts import Accounts
from hail_batch_jupyter.service.api.resources import REGION
from hail_batch_jupyter.service.running.sender import NotingLaunch, Sender
from hail_batch_jupyter.service.running.where import Where
from hail_batch_jupyter.service.shelf import SCHEME
from hail_batch_jupyter.service.store.rows import BatchRow, JobRow
from hail_batch_jupyter.storage.tools import on_node, own_tool

_INSIDE = re.compile(r"(?<![\w.~/}$-])/io(?=[/\s\"';:,)]|$)")
"""The folder of a job's files, where it is the beginning of a path."""
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 6
_LOGIN = "login"
"""Attribute of a run under the account of its user: which that is."""

Note = Callable[[str], None]


class Worker:
    """Runs jobs of the service; what they ask for was looked at when they were posted.

    data    the folder of the service           where   jobs run, and their own folders lie
    owner   whose account the service has: containers of that user see all files of the storage, those of others the job's own folder and inputs
    sender  begins the runs of others under their own accounts, None where they have none
    """

    name = "service"

    def __init__(self, data: Path, owner: str, where: Where, sender: Sender | None = None) -> None:
        self.where = where
        self._sender = sender
        self._io, self._files = where.io, data / "files"
        self._owner = owner
        self._accounts = Accounts(data)
        for folder in (self._io, self._files):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._cleaner = ThreadPoolExecutor(1, "cleaner")

    def confined(self, spec: BatchSpec) -> str | None:
        """Where all outputs of a run must lie, None where the jobs may read what the service may."""
        return None if spec.attributes.get("user") == self._owner else str(self._io / spec.lineage)

    def key_file(self, user: str) -> str | None:
        """Of whose account object stores are asked for a user: the user's own. Only the owner may do without, with what the service itself has."""
        path = self._accounts.key_file(user)
        return None if user == self._owner and not path.exists() else str(path)

    @contextmanager
    def copier(self, spec: BatchSpec, scratch: str) -> Iterator[Localizer]:
        """What copies the files of a run whose runner is gone, as that did."""
        stores = Stores(sys.executable, [os.path.abspath(entry) for entry in sys.path], None, os.environ, self.key_file(spec.attributes["user"]))
        try:
            yield Localizer(scratch, stores=stores, confined=self.confined(spec))
        finally:
            stores.close()

    def _place_of(self, spec: BatchSpec) -> Place:
        """The place, where containers have the key of their user and no other."""
        if not isinstance(self.where.place, Machine):
            return self.where.place
        path = self._accounts.key_file(spec.attributes["user"])
        own = self.where.place.key_file if spec.attributes["user"] == self._owner else None
        return self.where.place._replace(key_file=str(path) if path.exists() else own)

    def begin_run(self, spec: BatchSpec, note: Note) -> None:
        """Start a run of `spec`; `note` hears its id when all is written and nothing has started yet.

        Nothing of it is looked at: a file may be made by a job before it is read, a job larger than the machine runs alone, and the variables of a job
        stay, as the client said in them where its files are.
        """
        login = spec.attributes.get(_LOGIN)
        if login is not None and self._sender is not None:
            self._sender.begin(with_card(spec, self.name), Made(self.name, {}), login, note)
            return
        (self._io / spec.lineage).mkdir(mode=0o700)
        confined = self.confined(spec)
        seen = Seen(str(self._io / spec.lineage), (str(self._files),) if confined is None else ())
        told = Facts({job.job_id: job.env for job in spec.jobs if job.env}, {}, seen, confined, self.key_file(spec.attributes["user"]))
        with NotingLaunch(note) as launch:
            begin(with_card(spec, self.name), SubmitOptions(detach=True, begun=launch), self._place_of(spec), Made(self.name, {}), told)

    def describe(self, batch: BatchRow, rows: Sequence[JobRow], specs: Iterable[Mapping[str, Any]], done: Mapping[int, str]) -> BatchSpec:
        """A run of these jobs of a batch with the attempts that they have left, numbered from 1 in this order.

        `done` are the states of their parents that are not among them.

        A parent outside has its number with a minus, as the numbers of a run are its own.
        """
        lineage = f"service-{batch.batch_id}-{os.urandom(4).hex()}"
        numbers = {row.job_id: number for number, row in enumerate(rows, 1)}
        head = BatchSpec(f"batch-{batch.batch_id}", (), {"user": batch.user}, lineage=lineage, done={-job_id: state for job_id, state in done.items()})
        specs = iter(specs)
        first = next(specs, None)
        login = self._login(batch, first)
        if login:
            head = head._replace(attributes={**head.attributes, _LOGIN: login})
        io = Path(own_folder(head)) if login else self._io / lineage
        told = zip(rows, [] if first is None else chain([first], specs), strict=True)
        return head._replace(jobs=tuple(self._job(batch, row, spec, numbers, io, sent=bool(login)) for row, spec in told))

    def together(self, batch: BatchRow, rows: Sequence[JobRow], posted: Iterable[Mapping[str, Any]]) -> tuple[Sequence[JobRow], Iterable[Mapping[str, Any]]]:
        """Those jobs of a plan that begin in one run: all, but what the service does itself is never in a run under the account of a user."""
        if not self._account(batch.user):
            return rows, posted
        here: bool | None = None
        left: set[int] = set()
        found = []
        for row, spec in zip(rows, posted, strict=True):
            own = self._is_own(batch, spec)
            here = own if here is None else here
            if own is here and left.isdisjoint(row.facts.parents):
                found.append((row, spec))
            else:
                left.add(row.job_id)
        return [row for row, _ in found], [spec for _, spec in found]

    def _account(self, user: str) -> str:
        """The account of a user, '' where jobs have that of the service."""
        return "" if self._sender is None else self._sender.login(user)

    def _login(self, batch: BatchRow, spec: Mapping[str, Any] | None) -> str:
        """The account for a run that has this job, '' for that of the service."""
        return "" if spec is None or self._is_own(batch, spec) else self._account(batch.user)

    def _is_own(self, batch: BatchRow, spec: Mapping[str, Any]) -> bool:
        """Whether the service does a job itself; one that copies files besides runs as any other, for the service reads what the user may not."""
        return bool(self._tool(batch, spec["process"]["command"])) and not (spec.get("input_files") or spec.get("output_files"))

    def _job(self, batch: BatchRow, row: JobRow, spec: Mapping[str, Any], numbers: Mapping[int, int], io: Path, *, sent: bool) -> JobSpec:
        """A job of a run; in one that is `sent` to an account the files of the storage keep their addresses, by which the account asks for them."""
        number = numbers[row.job_id]
        own = str(io / str(number))
        payer = spec.get("requester_pays_project") or ""
        if not sent and batch.user != self._owner and not self._is_own(batch, spec):
            _check_apart(batch, row, spec, images=self.where.images)
        reached = str if sent else self._reached
        tool, env = () if sent else self._tool(batch, spec["process"]["command"]), {pair["name"]: _moved(pair["value"], own) for pair in spec["env"]}
        return JobSpec(
            number,
            "",
            row.facts.name,
            "bash",
            tool or tuple(_moved(word, own) for word in spec["process"]["command"]),
            f"w{number}",
            env={**({} if tool else env), **_told(batch.batch_id, row)},
            image=(spec["process"]["image"] or None) if self.where.images and not tool else None,
            inputs=tuple(Transfer(reached(pair["from"]), _moved(pair["to"], own), payer=payer) for pair in spec.get("input_files", ())),
            outputs=tuple(Transfer(_moved(pair["from"], own), reached(pair["to"]), payer=payer) for pair in spec.get("output_files", ())),
            parents=tuple(Edge(numbers.get(parent, -parent)) for parent in row.facts.parents),
            request=self.where.request(spec["resources"]),
            always_run=row.facts.always_run,
            always_copy_output=spec["always_copy_output"],
            n_max_attempts=row.facts.n_max_attempts,
            timeout_s=spec.get("timeout"),
        )

    def _tool(self, batch: BatchRow, command: Sequence[str]) -> tuple[str, ...]:
        """What the service does itself instead of a job, without a container and without the job's variables; () for every other command.

        Storage is cleared for everybody, object stores are used with the user's account; that of the service is for the owner only.
        """
        if command[0] == REMOVE:
            return ("rm", "-rf", "--", self._reached(command[1]))
        tool = own_tool(command, self.key_file(batch.user))
        return tool if isinstance(self.where.place, Machine) else on_node(tool)

    def _reached(self, address: str) -> str:
        """Where a file of the storage lies on this machine; other addresses stay as they are."""
        return f"{self._files}/{address.removeprefix(SCHEME)}" if address.startswith(SCHEME) else address

    def clear(self, lineage: str) -> None:
        """Remove the files that the jobs of an ended run had of their own, in the time to come: a thousand folders take seconds."""
        self._cleaner.submit(shutil.rmtree, self._io / lineage, ignore_errors=True)

    def remove(self, directory: Path) -> None:
        """Remove a run that has ended; where it lived elsewhere that is removed there in the time to come, or goes by the rule of old runs."""
        with suppress(RunLostError):
            if (directory / rundir.ELSEWHERE).exists():
                self._cleaner.submit(_remove_there, read_note(directory))
            rundir.remove(directory)

    def clear_all_but(self, lineages: Collection[str]) -> None:
        """Remove such files of all other runs."""
        for folder in self._io.iterdir():
            if folder.name not in lineages:
                self.clear(folder.name)

    def close(self) -> None:
        """Leave what is not removed to the next service."""
        self._cleaner.shutdown(cancel_futures=True)


def _check_apart(batch: BatchRow, row: JobRow, spec: Mapping[str, Any], *, images: bool) -> None:
    """Raise SubmitError for a job of another user that was taken for an account of its own, and would now run with the rights of the service."""
    addresses = [pair[end] for files, end in (("input_files", "from"), ("output_files", "to")) for pair in spec.get(files, ())]
    if not images or not spec["process"]["image"] or any(address.startswith("file:") for address in addresses):
        words = f"job {row.job_id} of batch {batch.batch_id} is to run under the account of {batch.user!r}"
        raise SubmitError(f"{words}, and the service was started without --logins; start it so again, or cancel the batch")


def _remove_there(elsewhere: Elsewhere) -> None:
    with suppress(BatchException, OSError):
        remove_there(elsewhere)


def _moved(text: str, own: str) -> str:
    """The text with the job's own folder where it names /io, which without a container would be the same for all jobs."""
    return _INSIDE.sub(lambda _: own, text)


def _told(batch_id: int, row: JobRow) -> dict[str, str]:
    """What every job is told about itself."""
    return {
        "HAIL_REGION": REGION,
        "HAIL_BATCH_ID": str(batch_id),
        "HAIL_JOB_ID": str(row.job_id),
        "HAIL_JOB_GROUP_ID": str(row.group_id),
        "HAIL_ATTEMPT_ID": attempt_id(batch_id, row.job_id, len(row.earlier), 1),
    }


def attempt_id(batch_id: int, job_id: int, nth_run: int, attempt: int) -> str:
    """Six letters and digits for an attempt in the run of that order, from 0, that the job is in."""
    value = int.from_bytes(hashlib.sha256(f"{batch_id}/{job_id}/{nth_run}/{attempt}".encode()).digest())
    return "".join(_LETTERS[value // 62**place % 62] for place in range(_ID_LENGTH))

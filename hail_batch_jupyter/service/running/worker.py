"""Jobs of the service as a run of the engine, wherever jobs run."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hail_batch_jupyter.backends.begin import Facts, Made, Place, Seen, begin
from hail_batch_jupyter.backends.launch import Launch
from hail_batch_jupyter.backends.machine import Machine
from hail_batch_jupyter.backends.pricing import with_card
from hail_batch_jupyter.compile.remote import REMOVE
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.core.spec import BatchSpec, Edge, JobSpec, Transfer
from hail_batch_jupyter.engine.localize import Localizer
from hail_batch_jupyter.engine.stores import Stores
from hail_batch_jupyter.service.accounts import Accounts
from hail_batch_jupyter.service.api.resources import REGION
from hail_batch_jupyter.service.running.where import Where
from hail_batch_jupyter.service.shelf import SCHEME
from hail_batch_jupyter.service.store.rows import BatchRow, JobRow
from hail_batch_jupyter.storage.tools import on_node, own_tool

_INSIDE = re.compile(r"(?<![\w.~/}$-])/io(?=[/\s\"';:,)]|$)")
"""The folder of a job's files, where it is the beginning of a path."""
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 6

Note = Callable[[str], None]


class Worker:
    """Runs jobs of the service; what they ask for was looked at when they were posted.

    data    the folder of the service           where   jobs run, and their own folders lie
    owner   whose account the service has: containers of that user see all files of the storage, those of others the job's own folder and inputs
    """

    name = "service"

    def __init__(self, data: Path, owner: str, where: Where) -> None:
        self.where = where
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
        (self._io / spec.lineage).mkdir(mode=0o700)
        confined = self.confined(spec)
        seen = Seen(str(self._io / spec.lineage), (str(self._files),) if confined is None else ())
        told = Facts({job.job_id: job.env for job in spec.jobs if job.env}, {}, seen, confined, self.key_file(spec.attributes["user"]))
        with _NotingLaunch(note) as launch:
            begin(with_card(spec, self.name), SubmitOptions(detach=True, begun=launch), self._place_of(spec), Made(self.name, {}), told)

    def describe(self, batch: BatchRow, rows: Sequence[JobRow], specs: Iterable[Mapping[str, Any]], done: Mapping[int, str]) -> BatchSpec:
        """A run of these jobs of a batch with the attempts that they have left, numbered from 1 in this order.

        `done` are the states of their parents that are not among them.

        A parent outside has its number with a minus, as the numbers of a run are its own.
        """
        lineage = f"service-{batch.batch_id}-{os.urandom(4).hex()}"
        numbers = {row.job_id: number for number, row in enumerate(rows, 1)}
        jobs = tuple(self._job(batch, row, spec, numbers, self._io / lineage) for row, spec in zip(rows, specs, strict=True))
        return BatchSpec(f"batch-{batch.batch_id}", jobs, {"user": batch.user}, lineage=lineage, done={-job_id: state for job_id, state in done.items()})

    def _job(self, batch: BatchRow, row: JobRow, spec: Mapping[str, Any], numbers: Mapping[int, int], io: Path) -> JobSpec:
        number = numbers[row.job_id]
        own = str(io / str(number))
        payer = spec.get("requester_pays_project") or ""
        tool, env = self._tool(batch, spec["process"]["command"]), {pair["name"]: _moved(pair["value"], own) for pair in spec["env"]}
        return JobSpec(
            number,
            "",
            row.facts.name,
            "bash",
            tool or tuple(_moved(word, own) for word in spec["process"]["command"]),
            f"w{number}",
            env={**({} if tool else env), **_told(batch.batch_id, row)},
            image=(spec["process"]["image"] or None) if self.where.images and not tool else None,
            inputs=tuple(Transfer(self._reached(pair["from"]), _moved(pair["to"], own), payer=payer) for pair in spec.get("input_files", ())),
            outputs=tuple(Transfer(_moved(pair["from"], own), self._reached(pair["to"]), payer=payer) for pair in spec.get("output_files", ())),
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

    def clear_all_but(self, lineages: Collection[str]) -> None:
        """Remove such files of all other runs."""
        for folder in self._io.iterdir():
            if folder.name not in lineages:
                self.clear(folder.name)

    def close(self) -> None:
        """Leave what is not removed to the next service."""
        self._cleaner.shutdown(cancel_futures=True)


class _NotingLaunch(Launch):
    """A runner of whose run the service takes a note before it gets its orders: what starts is known, whenever the service is killed."""

    def __init__(self, note: Note) -> None:
        super().__init__()
        self._note = note

    def give(self, directory: Path, orders: dict[str, Any], *, tied: bool) -> None:
        """Note the run, then let it run."""
        self._note(directory.name)
        super().give(directory, orders, tied=tied)


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

"""Which files of a batch lie here and which on the cluster, and bringing there what jobs read.

A file that is the same from both sides is linked. Another one that is here is sent, once for each content; one that is only there is linked.
What is written out comes here, unless the cluster has more of the folders of its path, or the deepest one is the same folder on both sides.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hail_batch_jupyter.backends.far.site import Site, host_of, shell_script
from hail_batch_jupyter.backends.remote_inputs import all_there, readers_of
from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec, JobSpec, Transfer
from hail_batch_jupyter.engine.contents import digest
from hail_batch_jupyter.engine.shipped import deepest, facts_of
from hail_batch_jupyter.engine.stores import is_remote
from hail_batch_jupyter.errors import CapabilityError, SubmitError
from hail_batch_jupyter.observe.uploads import FILES, USED

OUT = "out"
"""In the run directory there: what is to be brought here."""
_TRIES = 3
_HAVE = f'cd "$1" && shift && mkdir -p ../{USED} && for name; do touch "../{USED}/$name"; [ ! -e "$name" ] || echo "$name"; done'
"""Says that these are used before it looks whether they are there: see `observe.uploads`."""
_MANY = 500
PACKAGES = {"gs": ("google.cloud.storage", "google-cloud-storage"), "https": ("azure.storage.blob", "azure-storage-blob")}
"""Scheme of an address -> the module that reaches it, and the distribution that has this."""


class Fetch(NamedTuple):
    """A file or folder of the run directory there that belongs here; job 0 is the batch itself."""

    job_id: int
    source: str
    dest: str


class Stored(NamedTuple):
    """The interpreter there that copies files of object stores, '' where no file is in one, and what tells whether inputs of these have changed."""

    python: str
    versions: dict[str, str]


class Loaded(NamedTuple):
    """The spec as the cluster runs it, and what is to be fetched when its jobs have ended."""

    spec: BatchSpec
    fetches: tuple[Fetch, ...]
    stores: Stored


def load(spec: BatchSpec, site: Site, run_id: str, python: str | None) -> Loaded:
    """Send what is missing there, and name everything as it is called there.

    Raises SubmitError for an input that is on neither side or in no store, CapabilityError for addresses of stores that are not reached from there.
    """
    stored = _stored(spec, site, python)
    sources = sorted({plain(path) for path in _inputs(spec)})
    dests = sorted({plain(path) for path in _outputs(spec)})
    told = site.hand("facts", {"paths": sources, "above": dests}) if sources or dests else {"paths": [], "above": []}
    places = _places(spec, site, sources, told["paths"])
    here = {dest for dest, there in zip(dests, told["above"], strict=True) if _belongs_here(dest, there)}
    return _Renaming(f"{site.post.work}/{run_id}/{OUT}", places, here).apply(spec, stored)


def plain(path: str) -> str:
    """The whole path, without the scheme of local files."""
    return os.path.abspath(path[len("file://") :] if path.startswith("file://") else path)


def _inputs(spec: BatchSpec) -> Iterable[str]:
    transfers = [*spec.external, *(transfer for job in spec.jobs for transfer in job.inputs)]
    return (transfer.source for transfer in transfers if not (transfer.source.startswith(SCRATCH) or is_remote(transfer.source)))


def _outputs(spec: BatchSpec) -> Iterable[str]:
    return (transfer.dest for transfer in _written_out(spec) if not is_remote(transfer.dest))


def _written_out(spec: BatchSpec) -> list[Transfer]:
    return [*spec.external, *(transfer for job in spec.jobs for transfer in job.outputs)]


def _stored(spec: BatchSpec, site: Site, python: str | None) -> Stored:
    """What reaches there the object stores that the batch names."""
    readers = readers_of(spec)
    named = [*readers, *(transfer.dest for transfer in _written_out(spec) if is_remote(transfer.dest))]
    if not named:
        return Stored("", {})
    packages = {}
    for uri in named:
        scheme, shown = uri.partition("://")[0], uri.partition("?")[0]
        if scheme not in PACKAGES:
            raise CapabilityError(f"{shown!r} is not reached from a cluster; name a place at gs://, in Azure's blob storage, or a path")
        packages[PACKAGES[scheme]] = shown
    asked = {"python": python, "packages": [name for name, _ in packages], "uris": list(readers), "project": spec.requester_pays_project}
    told = site.hand("stores", asked)
    if not told["python"]:
        wanted, where = " and ".join(distribution for _, distribution in packages), host_of(site.protocol)
        found = f"no Python on {where} has {wanted}, neither {python or 'python3'!r} nor another one on PATH"
        remedy = "install it there, name an interpreter that has it with SlurmBackend(…, python='/path/to/python3'), or copy the file in the job's own command"
        raise CapabilityError(f"the batch names {next(iter(packages.values()))!r}, and {found}; {remedy}")
    return Stored(told["python"], all_there(told["versions"], readers))


def _places(spec: BatchSpec, site: Site, sources: list[str], told: list[list[object] | None]) -> dict[str, str]:
    """Each input -> where it lies there; those that are here only are sent."""
    sent = []
    for path, there in zip(sources, told, strict=True):
        here = facts_of(path)
        if here is None and there is None:
            reader = next((job.display_name for job in spec.jobs if any(plain(transfer.source) == path for transfer in job.inputs)), "the batch")
            where = host_of(site.protocol)
            raise SubmitError(f"{reader!r} reads {path!r}, which is neither here nor on {where}; make the file or mend the path, nothing was started")
        if here is not None and not _same(here, there):
            sent.append(path)
    return {path: path for path in sources} | send(sent, site)


def _same(here: list[object], there: list[object] | None) -> bool:
    """A file of the same size and time is the same, or a copy of it; a folder is so only by its number."""
    if there is None or here[3] != there[3]:
        return False
    return here[1:3] == there[1:3] if here[3] else here[:2] == there[:2]


def send(paths: list[str], site: Site) -> dict[str, str]:
    """Bring files and folders there, each whole or not at all; gives where they are. What is there with that content is not sent again.

    Raises SubmitError for what cannot be read here, or did not arrive as it was.
    """
    try:
        digests = {path: digest(path) for path in paths}
    except OSError as error:
        raise SubmitError(f"{error.filename!r} cannot be read ({error.strerror}); nothing was started") from error
    files = f"{site.own}/{FILES}"
    missing = {found: path for path, found in digests.items()}
    for name in _there(site, files, sorted(missing)):
        missing.pop(name, None)
    for tried in range(_TRIES):
        if not missing:
            break
        broken = _upload(missing, site, files)
        missing = {name: path for name, path in missing.items() if name in broken}
        if missing and tried == _TRIES - 1:
            raise SubmitError(f"{next(iter(missing.values()))!r} did not arrive on {host_of(site.protocol)} as it is here; does it change? Nothing was started")
    return {path: f"{files}/{found}" for path, found in digests.items()}


def _there(site: Site, folder: str, names: list[str]) -> set[str]:
    parts = (names[first : first + _MANY] for first in range(0, len(names), _MANY))
    return {name for part in parts for name in site.protocol.run(shell_script(_HAVE, folder, *part)).split()}


def _upload(missing: dict[str, str], site: Site, files: str) -> list[str]:
    """One copy for all, into a folder of their own; gives those that are not what they were."""
    token = secrets.token_hex(8)
    with tempfile.TemporaryDirectory() as folder:
        staged = Path(folder) / token
        staged.mkdir()
        for name, path in missing.items():
            _stage(path, staged / name)
        site.upload(staged, site.own, f"{site.own}/{token}")
    broken: list[str] = site.hand("keep", {"folder": files, "parts": f"{site.own}/{token}", "digests": {name: name for name in missing}})["broken"]
    return broken


def _stage(path: str, place: Path) -> None:
    """Files as links to where they are, in real folders: not every copying program follows a link to a folder."""
    if not os.path.isdir(path):
        place.symlink_to(os.path.realpath(path))
        return
    for folder, _, names in os.walk(path, followlinks=True):
        below = place / os.path.relpath(folder, path)
        below.mkdir()
        for name in names:
            (below / name).symlink_to(os.path.realpath(os.path.join(folder, name)))


def _belongs_here(dest: str, there: list[int]) -> bool:
    here = deepest(dest)
    return here != there if here[0] == there[0] else here[0] > there[0]


class _Renaming:
    """Paths of this machine -> those of the cluster."""

    def __init__(self, out: str, places: dict[str, str], here: set[str]) -> None:
        self._out = out
        self._places = places
        self._here = here
        self._fetches: list[Fetch] = []

    def apply(self, spec: BatchSpec, stored: Stored) -> Loaded:
        external = tuple(self._written(0, number, self._read(transfer)) for number, transfer in enumerate(spec.external))
        jobs = tuple(self._job(job) for job in spec.jobs)
        return Loaded(spec._replace(external=external, jobs=jobs), tuple(self._fetches), stored)

    def _job(self, job: JobSpec) -> JobSpec:
        inputs = tuple(map(self._read, job.inputs))
        return job._replace(inputs=inputs, outputs=tuple(self._written(job.job_id, number, transfer) for number, transfer in enumerate(job.outputs)))

    def _read(self, transfer: Transfer) -> Transfer:
        return transfer if transfer.source.startswith(SCRATCH) or is_remote(transfer.source) else transfer._replace(source=self._places[plain(transfer.source)])

    def _written(self, job_id: int, number: int, transfer: Transfer) -> Transfer:
        if is_remote(transfer.dest):
            return transfer
        dest = plain(transfer.dest)
        if dest not in self._here:
            return transfer._replace(dest=dest)
        place = f"{self._out}/{job_id}/{number}/{os.path.basename(dest.rstrip('/'))}"
        self._fetches.append(Fetch(job_id, place, dest))
        return transfer._replace(dest=place)

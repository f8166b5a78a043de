"""Where the jobs of the service run, as whoever starts it says: on this machine, or on a cluster whose Slurm commands are here."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hail_batch_jupyter.backends.begin import Place
from hail_batch_jupyter.backends.machine import Machine, container_options
from hail_batch_jupyter.backends.nodes import Nodes, missing_command
from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.errors import CapabilityError, ConfigError
from hail_batch_jupyter.executors.container.engine import find_engine
from hail_batch_jupyter.observe.slurm_jobs import Client
from hail_batch_jupyter.service.api.resources import request_of, reservation_of
from hail_batch_jupyter.service.logins import Logins

_SHARED = ("nfs", "lustre", "gpfs", "mmfs", "beegfs", "ceph", "cifs", "smb", "gluster", "orangefs", "pvfs", "panfs", "wekafs", "afs", "9p", "virtiofs", "fuse.")
"""Beginnings of the kinds of file systems that several machines may have."""
_WITHOUT = "or start it with --no-images, and jobs run as processes of yours whatever image they name"
_NEEDS = "the service runs jobs in containers"


class Where(NamedTuple):
    """A place with what the service does there.

    images  whether jobs run in the images that they name, else as processes
    apart   whether users are kept apart: by accounts of their own, or by what runs jobs; apptainer shows whatever its site lets it, under one account of all
    logins  how users other than the owner have jobs under their own accounts, None where all have that of the service
    io      folder for the jobs' own folders
    request what the engine is told that a job needs, from the resources that it was granted
    words   as in 'jobs run WORDS'
    labels  the same for programs
    warning what whoever starts it should look at, '' for nothing
    """

    place: Place
    images: bool
    apart: bool
    io: Path
    request: Callable[[Mapping[str, Any]], Request]
    words: str
    labels: Mapping[str, str]
    warning: str = ""
    logins: Logins | None = None


def chosen(data: Path, slurm: Mapping[str, Any] | None, *, images: bool) -> Where:
    """This machine, or with options of `Nodes.configured` a cluster.

    Raises ConfigError for a cluster that is not there or options that it does not know, CapabilityError when jobs are to run in containers and no engine
    is there.
    """
    return _here(data, images=images) if slurm is None else _on_slurm(data, slurm, images=images)


def _here(data: Path, *, images: bool) -> Where:
    if images:
        _check_engine()
    place = Machine(str(data), None, None, None, False, *container_options())
    return Where(place, images, images, data / "io", request_of, f"on this machine, {_how(images, 'in containers of their images')}", {"place": "this machine"})


def _check_engine() -> None:
    try:
        find_engine(_NEEDS)
    except CapabilityError as error:
        raise CapabilityError(f"{error}; {_WITHOUT}") from error


def _how(images: bool, contained: str) -> str:
    return contained if images else "as processes of this user; their images are not used"


def _on_slurm(data: Path, given: Mapping[str, Any], *, images: bool) -> Where:
    options = dict(given)
    logins = Logins.of(options)
    try:
        nodes = Nodes.configured(**options)
    except ValueError as error:
        raise ConfigError(f"jobs cannot be given to Slurm so: {error}") from error
    missing = missing_command()
    if missing is not None:
        raise ConfigError(f"the service is to run jobs on Slurm, and {missing!r} is not on PATH; start it on a login node of the cluster, or without --slurm")
    engine = nodes.engine_for(_NEEDS, f"where the nodes have one, name it with --container-engine, {_WITHOUT}") if images else ""
    client = Client(os.environ)
    _check_partition(client, nodes.settings.partition)
    folder = _own_folder(nodes.work_directory, data)
    words = f"{nodes.words()}, {_how(images, f'in containers of their images by {engine}')}{f'; {logins.words()}' if logins else ''}"
    labels = {"place": "slurm", "partition": nodes.settings.partition or "", "account": nodes.settings.account or ""}
    nodes = nodes._replace(work_directory=None if folder == data else folder / "runs")
    unseen = _unseen(client, dict.fromkeys((data, folder)))
    return Where(nodes, images, engine == "podman" or logins is not None, folder / "io", reservation_of, words, labels, unseen, logins)


def _own_folder(work_directory: Path | None, data: Path) -> Path:
    """Where runs and the jobs' own folders lie: in the data folder, or in one of this service's own below the work directory, which others may have too."""
    if work_directory is None:
        return data
    folder = work_directory.expanduser().absolute() / f"service-{hashlib.sha256(os.fsencode(data)).hexdigest()[:8]}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = os.lstat(folder)
    except OSError as error:
        raise ConfigError(f"the work directory {str(work_directory)!r} cannot be written ({error.strerror}); choose another that every node sees") from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise ConfigError(f"the folder {str(folder)!r} is not yours alone; remove it, or choose another --work-directory")
    return folder


def _check_partition(client: Client, partition: str | None) -> None:
    """A controller that does not answer now may do so later."""
    answer = client.ask(["sinfo", "--noheader", "--format=%R"])
    known = sorted(set(answer.out.split()))
    unknown = [name for name in (partition or "").split(",") if name and name not in known]
    if answer.code == 0 and known and unknown:
        raise ConfigError(f"the cluster has no partition {unknown[0]!r}; choose one of {', '.join(known)}")


def _unseen(client: Client, folders: Iterable[Path]) -> str:
    """A sentence where nodes may not see what jobs read and write: folders on a disk of this machine, while there are other machines among the nodes."""
    answer = client.ask(["sinfo", "--noheader", "--Node", "--format=%o"])
    others = [address for address in sorted(set(answer.out.split())) if not _is_here(address)]
    kinds = {folder: kind for folder in folders if (kind := file_system(folder, Path("/proc/self/mountinfo").read_text())) and not kind.startswith(_SHARED)}
    return "" if answer.code != 0 or not others else warning(kinds)


def warning(kinds: Mapping[Path, str]) -> str:
    """What to look at where these folders are on file systems of such kinds, '' where there are none."""
    if not kinds:
        return ""
    named = " and ".join(f"{folder} ({kind})" for folder, kind in kinds.items())
    they, them = ("it is", "it") if len(kinds) == 1 else ("they are", "them")
    what = f"Every node must see {named} under the same path, and {they} on a disk of this machine"
    return f"{what}: share {them}, or name folders that nodes see with --data and --work-directory."


def file_system(folder: Path, mounts: str) -> str:
    """The kind of the file system that has the folder, in the words of /proc/self/mountinfo; '' where that does not say."""
    real = os.path.realpath(folder)
    best, kind = "", ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].encode().decode("unicode_escape")
        if len(point) >= len(best) and f"{real}/".startswith(f"{point.rstrip('/')}/"):
            best, kind = point, after.split(" ")[0]
    return kind


def _is_here(address: str) -> bool:
    """Whether a node is this machine."""
    names = {socket.gethostname(), socket.gethostname().partition(".")[0], "localhost"}
    if address in names:
        return True
    try:
        return any(_bindable(found[4][0]) for found in socket.getaddrinfo(address, None, type=socket.SOCK_DGRAM))
    except OSError:
        return False


def _bindable(address: Any) -> bool:
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
            return True
    except OSError:
        return False

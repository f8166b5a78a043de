"""Beginning a run elsewhere from the process that follows it: who wants the run waits for no connection, and may be killed meanwhile.

Its files are taken as they are called there; nothing is sent but the run itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hail_batch_jupyter.backends.begin import Made, make_run
from hail_batch_jupyter.backends.far.cargo import PACKAGES
from hail_batch_jupyter.backends.far.mirror import Elsewhere, note
from hail_batch_jupyter.backends.far.site import Post, Site, open_site
from hail_batch_jupyter.backends.launch import Launch
from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.cluster.protocols.record import protocol_record
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.core.spec import BatchSpec, from_json, to_json
from hail_batch_jupyter.engine.stores import is_remote
from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.observe import rundir

_SCRATCH = "scratch"


class Parcel(NamedTuple):
    """What goes with a run; it is never written to a disk of this machine.

    orders          for its runner, see `begin.orders_of`
    work_directory  folder there for run directories, '' for one in the home directory
    setup           lines of shell before the runner is started by a login shell
    key             content of the key file of a service account, '' for none
    service         how the runner asks the batch service for files, see `storage.of_service.service_of_run`; None for not at all
    """

    orders: Mapping[str, Any]
    work_directory: str = ""
    setup: str = ""
    key: str = ""
    service: Mapping[str, str] | None = None


def own_folder(spec: BatchSpec) -> str:
    """Stands in paths, commands and orders for the folder of the run's intermediate files, which is not known before the other machine was asked."""
    return f"/{spec.lineage}"


def make(spec: BatchSpec, made: Made, protocol: GenericProtocol) -> Path:
    """The run directory of a run that is to begin elsewhere, which nobody follows yet.

    Raises SubmitError when it cannot be written.
    """
    directory = make_run(spec, SubmitOptions(detach=True), made)
    try:
        rundir.write_private(directory / "spec.json", json.dumps(to_json(spec), separators=(",", ":")))
        note(directory, Elsewhere(protocol_record(protocol), "", Post("", ()), (), is_foreign=True))
    except OSError as error:
        rundir.remove(directory)
        raise SubmitError(f"the run directory {str(directory)!r} cannot be written ({error.strerror}); free space") from error
    return directory


def send(directory: Path, parcel: Parcel, launch: Launch) -> None:
    """Have the process that `launch` starts begin the run, however long that takes, and follow it."""
    orders = {"sys_path": [os.path.abspath(entry) for entry in sys.path], "password": None, "begin": parcel._asdict()}
    launch.give(directory, orders, tied=False)


def begin(directory: Path, protocol: GenericProtocol, parcel: Parcel) -> Elsewhere:
    """Begin the run there and note where it lives, before it can have begun; again does nothing more.

    Raises ClusterError where it cannot be reached, SubmitError where nothing of ours can run.
    """
    site = open_site(protocol, parcel.work_directory, "", parcel.setup)
    there = f"{site.post.work}/{directory.name}"
    elsewhere = Elsewhere(protocol_record(protocol), there, site.post, (), is_foreign=True)
    note(directory, elsewhere)
    facts, told = (json.loads((directory / name).read_text()) for name in ("run.json", "spec.json"))
    spec = from_json(told)
    named = own_folder(spec)
    orders = {**parcel.orders, "sys_path": [], "service": parcel.service, **_stores(site, spec)}
    asked = {
        "place": site.post.work,
        "spec": _placed(told, named, f"{there}/{_SCRATCH}"),
        "uploads": [],
        "description": {**facts, "maker": {}},
        "orders": _placed(orders, named, f"{there}/{_SCRATCH}"),
        "job": None,
        "versions": {},
        "key": parcel.key,
    }
    site.hand("begin", asked)
    return elsewhere


def _stores(site: Site, spec: BatchSpec) -> dict[str, Any]:
    """Which interpreter there copies files of stores: one that has the packages for it; where none has, one that says what is missing."""
    named = [path for job in spec.jobs for path in (*(each.source for each in job.inputs), *(each.dest for each in job.outputs)) if is_remote(path)]
    packages = {PACKAGES[scheme][0] for path in named if (scheme := path.partition("://")[0]) in PACKAGES}
    python = site.hand("stores", {"python": None, "packages": sorted(packages), "uris": [], "project": None})["python"] if packages else ""
    return {"stores": (python or site.post.python, site.post.call[-1])} if named else {}


def _placed(value: Any, named: str, folder: str) -> Any:
    """The value with the folder in all its texts; a longer name that begins alike is another one."""
    if isinstance(value, str):
        return value.replace(f"{named}/", f"{folder}/") if not value.endswith(named) else f"{value[: -len(named)].replace(f'{named}/', f'{folder}/')}{folder}"
    if isinstance(value, Mapping):
        return {key: _placed(each, named, folder) for key, each in value.items()}
    return [_placed(each, named, folder) for each in value] if isinstance(value, (list, tuple)) else value

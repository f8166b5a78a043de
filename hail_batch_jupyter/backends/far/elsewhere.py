"""Beginning a run on a cluster behind a protocol, where its runner then lives, and coming back to it."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hail_batch_jupyter.backends.far.cargo import Fetch, Loaded, load
from hail_batch_jupyter.backends.far.mirror import Elsewhere, follow, know, note, open_mirror, read_note
from hail_batch_jupyter.backends.far.site import Site, host_of, open_site
from hail_batch_jupyter.cluster.parameter import ConnectionParameters
from hail_batch_jupyter.cluster.protocols.local import LocalProtocol
from hail_batch_jupyter.cluster.protocols.paramiko import ParamikoProtocol
from hail_batch_jupyter.cluster.protocols.ssh import SshProtocol
from hail_batch_jupyter.cluster.protocols.sudo import SudoProtocol
from hail_batch_jupyter.core.spec import BatchSpec, from_json, to_json
from hail_batch_jupyter.engine.localize import write_uploads
from hail_batch_jupyter.errors import ClusterError, RunLostError, SubmitError
from hail_batch_jupyter.observe import procfs, rundir
from hail_batch_jupyter.observe.running import RunningBatch

Protocol = LocalProtocol | SshProtocol | ParamikoProtocol | SudoProtocol
_DILL = "import sys, dill; print('\\n%d.%d %s' % (*sys.version_info[:2], dill.__version__))"


class Orders(NamedTuple):
    """How a run is made there.

    job  more words of sbatch for the Slurm job of the runner; None for a runner on the machine that the protocol leads to
    """

    orders: dict[str, Any]
    job: Sequence[str] | None
    tied: bool


def protocol_of(given: Protocol | ConnectionParameters | None) -> Protocol | None:
    """The protocol for what the user gave; raises TypeError for anything else."""
    if isinstance(given, ConnectionParameters):
        return ParamikoProtocol(given) if given.password is not None else SshProtocol(given)
    if given is None or isinstance(given, Protocol):
        return given
    raise TypeError(f"protocol {given!r} is none; use SshProtocol(ConnectionParameters('HOST')), ParamikoProtocol, LocalProtocol, or ConnectionParameters")


def opened(protocol: Protocol, work_directory: str, python: str, setup: str) -> Site:
    """The cluster; raises SubmitError where it cannot be reached or cannot run anything of ours."""
    try:
        return open_site(protocol, work_directory, python, setup)
    except (ClusterError, OSError) as error:
        raise SubmitError(f"the cluster cannot be reached, nothing was started: {error}") from error


def fitting_python(site: Site, setup: str, wanted: str | None = None) -> str:
    """An interpreter there, the wanted one if one is, after the lines of `setup`, that can read functions of this one, and has dill.

    Raises SubmitError naming what was found.
    """
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    seen = []
    for name in (wanted,) if wanted else ("python3", f"python{version}"):
        try:
            found = site.protocol.run(["bash", "-lc", f'{setup}\nexec "$@"', "bash", name, "-c", _DILL]).strip().splitlines()[-1]
        except (ClusterError, IndexError):
            continue
        if found.split()[0] == version:
            return name
        seen.append(f"{name} is Python {found}")
    where, words = host_of(site.protocol), "; ".join(seen) or (f"{wanted!r} is none or has no dill" if wanted else "none of its interpreters on PATH has dill")
    remedy = "name one by SlurmBackend(…, python='/path/to/python3') or load it by login_setup='module load …'; there, `pip install dill` may be missing"
    raise SubmitError(f"Python jobs need Python {version} with dill on {where}, and {words}; {remedy}")


def begin(site: Site, directory: Path, spec: BatchSpec, how: Orders) -> RunningBatch:
    """Begin the run whose directory here is made; it is removed where the run could not begin.

    Raises SubmitError, which names the run where nobody knows whether it began.
    """
    try:
        loaded = load(spec, site, directory.name, how.orders["slurm"]["python"])
        _write_mirror(site, directory, spec, loaded)
    except (ClusterError, OSError) as error:
        rundir.remove(directory)
        raise SubmitError(f"the connection to {host_of(site.protocol)} failed before the run began, nothing was started: {error}") from error
    except BaseException:
        rundir.remove(directory)
        raise
    _begin_there(site, directory, loaded, how)
    follow(directory, tied=how.tied)
    return open_mirror(directory, spec)


def _write_mirror(site: Site, directory: Path, spec: BatchSpec, loaded: Loaded) -> None:
    scratch = rundir.info(directory).scratch
    Path(scratch).mkdir(mode=0o700)
    write_uploads(scratch, spec.uploads)
    rundir.write_private(directory / "spec.json", json.dumps(to_json(spec), separators=(",", ":")))
    there = f"{site.post.work}/{directory.name}"
    note(directory, Elsewhere(know(site.protocol), there, site.post, loaded.fetches))


def _begin_there(site: Site, directory: Path, loaded: Loaded, how: Orders) -> None:
    spec, stored = loaded.spec, loaded.stores
    orders = {**how.orders, "stores": (stored.python, site.post.call[-1])} if stored.python else how.orders
    uploads = [[upload.dest, base64.b64encode(upload.data).decode(), upload.mode] for upload in spec.uploads]
    noted = {**json.loads((directory / "run.json").read_text()), "made_on": procfs.host(), "fetches": read_note(directory).fetches}
    asked = {
        "place": site.post.work,
        "spec": to_json(spec),
        "uploads": uploads,
        "description": noted,
        "orders": orders,
        "job": how.job,
        "versions": stored.versions,
    }
    try:
        site.hand("begin", asked)
    except SubmitError:
        rundir.remove(directory)
        raise
    except (ClusterError, OSError) as error:
        words = f"the connection to {host_of(site.protocol)} was lost while run {directory.name} began ({error})"
        raise SubmitError(f"{words}; attach({directory.name!r}) tells whether it did, and goes on with it") from error


def attach_there(site: Site, run_id: str) -> RunningBatch:
    """The handle on a run of the cluster's work directory, also one that was begun on another machine or whose directory here is gone.

    Raises RunLostError when there is no such run.
    """
    mine = rundir.runs_folder() / run_id
    if not (mine / "run.json").exists():
        _make_mirror(site, run_id)
    know(site.protocol)
    running = open_mirror(mine, _read_spec(mine))
    running.attached = True
    running.close_if_dead()
    return running


def _read_spec(directory: Path) -> BatchSpec:
    from hail_batch_jupyter.observe.attach import read_spec

    return read_spec(directory)


def _make_mirror(site: Site, run_id: str) -> None:
    there = f"{site.post.work}/{run_id}"
    try:
        facts = json.loads(site.protocol.read(f"{there}/run.json"))
        spec = from_json(json.loads(site.protocol.read(f"{there}/spec.json")))
    except (ClusterError, OSError, ValueError) as error:
        raise RunLostError(
            f"there is no run {run_id!r} in {site.post.work!r} on {host_of(site.protocol)} ({error}); list_runs() lists those begun here"
        ) from error
    description = {
        name: facts.get(name) for name in ("created_ms", "name", "lineage", "n_jobs", "kept", "previous", "notebook", "backend", "settings", "maker")
    }
    directory = rundir.create(spec.name, description, run_id=run_id)
    scratch = directory / "scratch"
    scratch.mkdir(mode=0o700)
    rundir.describe(directory, {**json.loads((directory / "run.json").read_text()), "scratch": str(scratch)})
    rundir.write_private(directory / "spec.json", json.dumps(to_json(spec), separators=(",", ":")))
    fetches = facts.get("fetches", ()) if facts.get("made_on") == procfs.host() else ()  # what was to come to another machine is fetched by that
    note(directory, Elsewhere(know(site.protocol), there, site.post, tuple(Fetch(*one) for one in fetches)))

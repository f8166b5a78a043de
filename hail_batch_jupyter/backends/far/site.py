"""A cluster behind a protocol: what is found there, and asking the runner's zipapp on it."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hail_batch_jupyter.backends.far.ship import shipment
from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.engine.shipped import MARK
from hail_batch_jupyter.errors import ClusterError, SubmitError
from hail_batch_jupyter.observe.uploads import OWN

_FOUND = "hail-batch-jupyter-found:"
_TRIES = 3
_CALL = 'exec "$@"'

_ROOM = 'f="$1/room-$$"; { head -c 65536 /dev/zero > "$f"; } 2>&1 | tail -n 1; rm -rf -- "$f" "$2"'
"""Tries whether there is room, before what could not be written whole is removed; prints why not."""

_PROBE = r"""
wanted=$1 work=$2 file=$3 mark=$4
fits() { command -v "$1" >/dev/null 2>&1 && "$1" -I -c 'import sys; sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1; }
say() { printf '%s%s=%s\n' "$mark" "$1" "$2"; }
case $work in
    '') work=${XDG_STATE_HOME:-$HOME/.local/state}/hail_batch_jupyter/cluster ;;
    '~'|'~/'*) work=$HOME${work#'~'} ;;
    /*) ;;
    *) work=$HOME/$work ;;
esac
umask 077
if told=$(mkdir -p -- "$work/.hbj/files" 2>&1) && [ -w "$work" ]; then say work "$work"; else say refused "$work: ${told:-not writable}"; exit 0; fi
[ ! -e "$work/.hbj/$file" ] || say shipped yes
for command in sbatch squeue scancel scontrol; do command -v $command >/dev/null 2>&1 || { say missing $command; break; }; done
for engine in apptainer singularity podman; do if command -v $engine >/dev/null 2>&1; then say engine $engine; break; fi; done
for python in ${wanted:+"$wanted"} python3 python3.13 python3.12 python3.11 python3.10 python3.9 /usr/bin/python3 /usr/libexec/platform-python; do
    if fits "$python"; then say python "$(command -v "$python")"; exit 0; fi
done
if command -v module >/dev/null 2>&1; then
    for name in python3 python Python; do
        if module load $name >/dev/null 2>&1 && fits python3; then say module $name; say python "$(command -v python3)"; exit 0; fi
    done
fi
say old "$(python3 -V 2>&1 | head -n 1)"
"""
"""What a login shell there is asked at first: arguments are the wanted interpreter, the work directory, the zipapp's name and the mark of answers."""


class Post(NamedTuple):
    """How the zipapp is called there, and where the runs lie; plain enough for JSON."""

    work: str
    call: Sequence[str]

    @property
    def python(self) -> str:
        """The interpreter that runs it."""
        return self.call[-4]


class Site:
    """The other machine; raises ClusterError where it cannot be reached."""

    def __init__(self, protocol: GenericProtocol, post: Post, engine: str = "") -> None:
        """`engine` is what runs images there, '' where none is on PATH or it was not looked for."""
        self.protocol = protocol
        self.post = post
        self.engine = engine

    @property
    def own(self) -> str:
        """The folder for what runs share."""
        return f"{self.post.work}/{OWN}"

    def ask(self, command: str, argument: str) -> dict[str, Any]:
        """What the zipapp answers to a command about a path there.

        Raises SubmitError with its words when it refuses, ClusterError when it cannot be asked.
        """
        return _answer(self.protocol.run([*self.post.call, command, argument]))

    def hand(self, command: str, asked: Any) -> dict[str, Any]:
        """As `ask`, with a value instead of a path, which goes through a private file; a call that is lost with the connection is made again."""
        for tried in range(_TRIES):
            parcel = f"{self.own}/{secrets.token_hex(8)}.json"
            try:
                self._create(parcel, json.dumps(asked))
                return self.ask(command, parcel)
            except ClusterError as error:
                if error.exit_code is not None or tried == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _create(self, path: str, text: str) -> None:
        """Raises SubmitError where there is no room for it, which is not a matter of the connection."""
        try:
            self.protocol.create(path, text)
        except (ClusterError, OSError) as error:
            if isinstance(error, OSError) or error.exit_code is not None:
                self.check_room(path)
            raise

    def upload(self, source: Path, dest: str, made: str) -> None:
        """Send a file or folder; `made` is what is there afterwards. Raises SubmitError where there is no room for it."""
        try:
            self.protocol.upload([source], dest)
        except (ClusterError, OSError):
            self.check_room(made)
            raise

    def check_room(self, left: str) -> None:
        """After something could not be written there: raise SubmitError if that is for want of room. What it `left` is removed."""
        try:
            told = self.protocol.run(shell_script(_ROOM, self.own, left)).strip()
        except (ClusterError, OSError):
            return
        if told:
            words = f"nothing more can be written to the work directory {self.post.work!r} on {host_of(self.protocol)} ({told.rpartition(': ')[2]})"
            raise SubmitError(f"{words}; free space there or choose another work_directory, nothing was started")


def open_site(protocol: GenericProtocol, work_directory: str, python: str, setup: str) -> Site:
    """Look what is there, and send the zipapp where it is missing.

    Raises SubmitError for a cluster that cannot run it, ClusterError for one that cannot be reached.
    """
    ship = shipment()
    shell = ["bash", "-lc", f"{setup}\n{_PROBE}", "bash", python, work_directory, ship.name, _FOUND]
    found = _found(protocol.run(shell))
    where = host_of(protocol)
    if "refused" in found:
        raise SubmitError(
            f"the work directory cannot be made on {where} ({found['refused']}); name another work_directory that you may write and every node sees"
        )
    if "work" not in found:
        raise SubmitError(f"the login shell of {where} ended before it said what is there; look at what its start files and login_setup do")
    if "missing" in found:
        raise SubmitError(f"Slurm's {found['missing']!r} is not on the PATH of {where}; name a login node, or give login_setup='module load slurm'")
    if "python" not in found:
        old = f" ({found['old']} is too old)" if found.get("old", "").startswith("Python ") else ""
        remedy = "name one with SlurmBackend(…, python='/path/to/python3') or login_setup='module load …'"
        raise SubmitError(f"no Python 3.9 or later is on {where}, on PATH{old} or as module python3, python or Python; {remedy}")
    work = found["work"]
    lines = [setup, *([f"module load {found['module']} >/dev/null 2>&1"] if "module" in found else []), _CALL]
    call = ("bash", "-lc", "\n".join(lines), "bash", found["python"], "-I", "-S", f"{work}/{OWN}/{ship.name}")
    site = Site(protocol, Post(work, call), found.get("engine", ""))
    if "shipped" not in found:
        _send(site, f"{work}/{OWN}/{ship.name}", ship.data)
    return site


def _found(text: str) -> dict[str, str]:
    lines = [line.partition(_FOUND)[2] for line in text.splitlines() if _FOUND in line]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _send(site: Site, path: str, data: bytes) -> None:
    """The zipapp, there whole or not at all; never another one in its place, for somebody may be reading it."""
    part = f"{path}.{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder) / "file"
        held.write_bytes(data)
        site.upload(held, part, part)
    _answer(site.protocol.run([*site.post.call[:-1], part, "settle", path]))


def _answer(text: str) -> dict[str, Any]:
    lines = [line for line in text.splitlines() if line.startswith(MARK)]
    if not lines:
        raise SubmitError(f"the runner's file gave no answer there, but {text.strip()[-300:]!r}; look at what the login shell's start files do")
    try:
        found: dict[str, Any] = json.loads(lines[-1][len(MARK) :])
    except ValueError as error:
        raise SubmitError(f"the runner's file gave an answer there that is none, {lines[-1][-300:]!r}") from error
    if "error" in found:
        raise SubmitError(str(found["error"]))
    return found


def host_of(protocol: GenericProtocol) -> str:
    """What the machine is called for people."""
    params = getattr(protocol, "params", None)
    return str(getattr(params, "host", "") or "this machine")


def shell_script(script: str, *arguments: str) -> list[str]:
    """A command for a protocol that runs a script of POSIX's sh."""
    return ["sh", "-c", script, "sh", *arguments]

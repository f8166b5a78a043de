"""A run that lives elsewhere, as a run directory here: what is noted of it, and the handle on it.

The directory here is like that of a run of this machine. A process of its own, the follower, keeps its journal a copy of the one there.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple, cast

from hail_batch_jupyter.backends.far.cargo import Fetch
from hail_batch_jupyter.backends.far.site import Post, Site, host_of, shell_script
from hail_batch_jupyter.backends.launch import Launch
from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.cluster.protocols.record import protocol_from, protocol_record
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.core.registry import backend_class
from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec
from hail_batch_jupyter.errors import ClusterError, RunLostError
from hail_batch_jupyter.observe import owner, rundir
from hail_batch_jupyter.observe.local_port import LocalPort
from hail_batch_jupyter.observe.rundir import ELSEWHERE, PAUSED
from hail_batch_jupyter.observe.running import RunningBatch

FOLLOWER = Path(__file__).resolve().parent / "follower.py"
_RESTART_S = 5.0
_DELETE_S = 60.0
_PAUSE_S = 0.05
_FIND = 'for n in $(seq "$2" -1 "$6"); do f="$1.$n.$3.log"; [ ! -e "$f" ] || break; done; [ -f "$f" ] || exit 0'
_PART = _FIND + '\nsize=$(wc -c < "$f"); start=$4; [ "$start" -ge 0 ] || start=$((size + start)); [ "$start" -ge 0 ] || start=0\n'
_SIZE = _FIND + '\nwc -c < "$f"'
"""Prints the size of such a log: the same arguments."""
_READ = _PART + '{ if [ "$5" -ge 0 ]; then tail -c "+$((start + 1))" "$f" | head -c "$5"; else tail -c "+$((start + 1))" "$f"; fi; } | base64'
"""Prints a part of the log of the last attempt that has one: path to the job's number, attempt, container, start, length and the first attempt."""


class Elsewhere(NamedTuple):
    """Where a run lives: how to connect, the run directory there, how its zipapp is called, and what belongs here; never a password.

    The directory is '' before it is known, which it is before the run can have begun. What a run `is_foreign` tells is not believed unseen: the
    account there is not that of this process.
    """

    protocol: dict[str, Any]
    directory: str
    post: Post
    fetches: tuple[Fetch, ...]
    is_foreign: bool = False


def note(directory: Path, elsewhere: Elsewhere) -> None:
    """Write down where the run lives."""
    rundir.write_private(directory / f"{ELSEWHERE}.new", json.dumps({"format": 1, **elsewhere._asdict()}))
    os.replace(directory / f"{ELSEWHERE}.new", directory / ELSEWHERE)


def read_note(directory: Path) -> Elsewhere:
    """Where the run lives; raises RunLostError when that cannot be read."""
    try:
        found = json.loads((directory / ELSEWHERE).read_text())
        fetches = tuple(Fetch(*one) for one in found["fetches"])
        return Elsewhere(found["protocol"], found["directory"], Post(*found["post"]), fetches, found.get("is_foreign", False))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunLostError(
            f"the note where run {directory.name!r} lives cannot be read ({error}); SlurmBackend(…).attach({directory.name!r}) finds it"
        ) from error


_CONNECTIONS: dict[str, GenericProtocol] = {}
"""The protocols of this process, by what is noted of them: logs of several runs come through one connection."""
_LOCK = threading.Lock()


def connection(record: dict[str, Any]) -> GenericProtocol:
    """The protocol of this process for what was noted."""
    with _LOCK:
        key = json.dumps(record, sort_keys=True)
        if key not in _CONNECTIONS:
            _CONNECTIONS[key] = protocol_from(record)
        return _CONNECTIONS[key]


def know(protocol: GenericProtocol) -> dict[str, Any]:
    """Use this protocol, which may have a password, wherever its record is met in this process; gives the record."""
    record = protocol_record(protocol)
    with _LOCK:
        _CONNECTIONS[json.dumps(record, sort_keys=True)] = protocol
    return record


def follow(directory: Path, *, tied: bool) -> None:
    """Start the follower of the run in `directory`."""
    elsewhere = read_note(directory)
    params = getattr(connection(elsewhere.protocol), "params", None)
    orders = {"sys_path": [os.path.abspath(entry) for entry in sys.path], "password": getattr(params, "password", None)}
    with Launch(FOLLOWER) as launch:
        launch.give(directory, orders, tied=tied)


def remove_there(elsewhere: Elsewhere) -> None:
    """Remove what is kept of a run that has ended, where it lived; raises ClusterError, SubmitError."""
    if elsewhere.directory:
        Site(connection(elsewhere.protocol), elsewhere.post).ask("remove", elsewhere.directory)


class MirrorPort(LocalPort):
    """The mirror as a BatchPort; logs are read where they are."""

    def __init__(self, directory: Path, elsewhere: Elsewhere) -> None:
        super().__init__(directory)
        self._elsewhere = elsewhere
        self._restarted = 0.0

    @property
    def elsewhere(self) -> Elsewhere:
        """Where the run lives, as it is known now."""
        if not self._elsewhere.directory:
            self._elsewhere = read_note(self.directory)
        return self._elsewhere

    @property
    def site(self) -> Site:
        """The cluster, by the connection of this process."""
        return Site(connection(self.elsewhere.protocol), self.elsewhere.post)

    def alive(self) -> bool:
        """Whether the run goes on as far as is known; a follower that was killed is started anew."""
        if (self.directory / "ended").exists():
            return False
        if not owner.owner_alive(self.directory) and time.monotonic() - self._restarted > _RESTART_S:
            self._restarted = time.monotonic()
            follow(self.directory, tied=False)
        return True

    def log(self, job_id: int, container: str = "main", attempt: int | None = None, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of a log there; where the cluster cannot be reached a line that says so."""
        try:
            return base64.b64decode(self._of_log(_READ, job_id, container, attempt, start, -1 if length is None else length))
        except (ClusterError, OSError) as error:
            return f"the log is on {host_of(self.site.protocol)}, which cannot be reached now: {error}\n".encode()

    def log_size(self, job_id: int, container: str, attempt: int | None) -> int:
        """Bytes of a log there, 0 where it is not known."""
        try:
            return int(self._of_log(_SIZE, job_id, container, attempt, 0, -1).strip() or 0)
        except (ClusterError, OSError):
            return 0

    def _of_log(self, script: str, job_id: int, container: str, attempt: int | None, start: int, length: int) -> str:
        last = max((event.attempt for event in self.events(0, 0) if event.job_id == job_id), default=1) or 1
        number, first = (last, 1) if attempt is None else (attempt, attempt)
        if not self.elsewhere.directory:
            return ""
        asked = map(str, (number, container, start, length, first))
        return self.site.protocol.run(shell_script(script, f"{self.elsewhere.directory}/logs/{job_id}", *asked))

    def delete(self) -> None:
        """Cancel, wait for the end, remove what is kept there and here."""
        self.cancel()
        deadline = time.monotonic() + _DELETE_S
        while self.alive() and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)
        remove_there(self.elsewhere)
        rundir.remove(self.directory)


class MirroredRun(RunningBatch):
    """The handle on a run that lives on a cluster."""

    @property
    def paused(self) -> str:
        """Why nothing is heard of the run now, '' while all is well; it goes on there, and its news come when it can be reached again."""
        assert self.directory is not None
        try:
            return (self.directory / PAUSED).read_text()
        except OSError:
            return ""

    def log_size(self, job_id: int, container: str = "main", attempt: int | None = None) -> int:
        """Bytes of a log as it is now, 0 where there is none, or none can be asked for."""
        assert isinstance(self._port, MirrorPort)
        return self._port.log_size(job_id, container, attempt)

    def file(self, relative: str) -> Path:
        """The file at a path below scratch, fetched when it is first asked for.

        Raises RunLostError with a remedy when it is not there any more, ClusterError when the cluster cannot be reached.
        """
        inside = relative.replace(SCRATCH + "/", "", 1)
        assert self.scratch is not None
        assert isinstance(self._port, MirrorPort)
        path = self.scratch / inside
        if not path.exists():
            source = f"{self._port.elsewhere.directory}/scratch/{inside}"
            protocol = self._port.site.protocol
            if protocol.run(shell_script('[ ! -e "$1" ] || echo yes', source)).strip() == "yes":
                bring(protocol, source, path)
        return super().file(relative)

    def cost_text(self) -> str:
        """What the run cost, in words that say what they count."""
        return f"no charge known on {self.runs_on}"


def bring(protocol: GenericProtocol, source: str, dest: Path) -> None:
    """Fetch a file or folder, whole or not at all; folders above it are made. Raises ClusterError, and OSError where it cannot be written."""
    import shutil
    import tempfile

    from hail_batch_jupyter.engine.localize import copy

    dest.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{dest.name[:100]}.", suffix=".part", dir=dest.parent) as folder:
        protocol.download([source], folder)
        got = Path(folder) / os.path.basename(source)
        if got.is_dir():
            shutil.copytree(got, dest, dirs_exist_ok=True, copy_function=copy)
        elif dest.is_dir():
            raise IsADirectoryError(21, "is a folder, so no file can be written there; name a file in it", str(dest))
        else:
            os.replace(got, dest)


def open_mirror(directory: Path, spec: BatchSpec, *, detach: bool | None = None) -> RunningBatch:
    """The handle on the run whose mirror is in that directory; with `detach` a retry goes on when this process ends, as in a notebook."""
    facts = rundir.info(directory)
    elsewhere = read_note(directory)
    port = MirrorPort(directory, elsewhere)
    where = host_of(connection(elsewhere.protocol))
    scratch = Path(facts.scratch)
    running = MirroredRun(facts.run_id, spec, port, directory=directory, scratch=scratch, kept=facts.kept, backend=facts.backend, runs_on=where)
    running.remote_scratch = f"{elsewhere.directory}/scratch" if elsewhere.directory else None

    def close_if_dead() -> bool:
        port.alive()
        return False

    def resubmit(again: BatchSpec) -> RunningBatch:
        noted = rundir.settings_of(directory)
        backend = backend_class(noted["backend"])(connection(elsewhere.protocol), **noted["settings"])
        return cast(RunningBatch, backend.submit(again, SubmitOptions(keep_files=facts.kept, detach="ipykernel" in sys.modules if detach is None else detach)))

    running.close_if_dead = close_if_dead
    running.resubmit = resubmit
    return running

"""A worker of a pool as a Slurm job of its own: takes calls from the relay that asked for it, as long as the pool is there.

It finds in the pool's folder `N.pilot` (where the relay listens, what to import), `N.key`, and leaves `N.status` when its worker has ended.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from hail_batch_jupyter.executors.pool.pilot_link import FileWay, SocketWay, connected, join
from hail_batch_jupyter.executors.pool.worker import PoolWorker
from hail_batch_jupyter.executors.process.job_process import become_job, leave
from hail_batch_jupyter.executors.process.subreaper import become_subreaper, kill_strays

_CONNECT_S = 5.0
_LOOK_S = 0.1
_GRACE_S = 1.0
_SILENT_S = 120.0
_POLLRDHUP = 0x2000


class Heartbeat:
    """Tells that the relay is gone, where only files lead to it: what it writes down does not change any more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = ""
        self._seen = time.monotonic()

    def gone(self) -> bool:
        """Whether nothing was heard for two minutes, or the folder is not there any more."""
        try:
            now = self._path.read_text()
        except OSError:
            return not self._path.parent.is_dir()
        if now != self._last:
            self._last, self._seen = now, time.monotonic()
        return time.monotonic() > self._seen + _SILENT_S


def run(folder: Path, name: str) -> int:
    """Serve until the relay is gone; gives the exit status of the worker."""
    if (folder / f"{name}.down.end").exists() or not folder.exists():
        return 0  # nobody waits for it any more
    facts = json.loads((folder / f"{name}.pilot").read_text())
    key = (folder / f"{name}.key").read_bytes()
    channel = connected(facts["host"], facts["port"], key, _CONNECT_S) if facts["port"] else None
    joined: socket.socket | None = None
    if channel is None:
        channel, joined = socket.socketpair()
    become_subreaper()
    pid = os.fork()
    if not pid:
        if joined is not None:
            joined.close()
        _become_worker(channel, facts)
    if joined is not None:
        _carry_by_files(joined, folder, name)
    signal.signal(signal.SIGTERM, lambda *_: _kill(pid))
    status = _watch(pid, channel)
    code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    _kill(pid)
    kill_strays(())
    part = folder / f"{name}.status.new"
    try:
        part.write_text(str(code))
        part.rename(folder / f"{name}.status")
    except OSError:  # the pool has ended, and nobody wants to know
        pass
    channel.close()
    if joined is not None:
        _wait_for(folder / f"{name}.up.end")
    return code


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + _GRACE_S
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(_LOOK_S / 10)


def _carry_by_files(joined: socket.socket, folder: Path, name: str) -> None:
    """In threads: what comes in files goes to the worker's socket, and back."""
    way = FileWay(folder / f"{name}.down", folder / f"{name}.up", Heartbeat(folder / f"{name}.beat").gone)
    (folder / f"{name}.files").touch()
    threading.Thread(target=join, args=(SocketWay(joined), way), daemon=True).start()


def _become_worker(channel: socket.socket, facts: dict[str, Any]) -> None:
    status = 1
    try:
        if facts["sys_path"] is not None:  # else where it runs has its own
            sys.path[:] = facts["sys_path"]
        become_job(facts["directory"], facts["log"], {**os.environ, **facts["env"]})
        PoolWorker(channel, facts["log"]).serve()
        status = 0
    except Exception:  # noqa: BLE001 - the edge of a process; its log is where the user looks
        sys.excepthook(*sys.exc_info())
    finally:
        leave(status)


def _watch(pid: int, channel: socket.socket) -> int:
    """The wait status of the worker, which is ended when the relay hangs up."""
    poll = select.poll()
    poll.register(channel, _POLLRDHUP | select.POLLHUP | select.POLLERR)
    deadline: float | None = None
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if deadline is None and poll.poll(_LOOK_S * 1000):
            deadline = time.monotonic() + _GRACE_S
        elif deadline is not None:
            time.sleep(_LOOK_S)
            if time.monotonic() > deadline:
                _kill(pid)


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def main() -> None:
    """Entry of the process; argv[2:] are the pool's folder and the number of the worker."""
    sys.exit(run(Path(sys.argv[2]), sys.argv[3]))

"""The fork server of a pool: its processes are workers that stay, and none outlives the process that made the pool."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections import deque
from typing import Any

from hail_batch_jupyter.executors.pool.worker import PoolWorker
from hail_batch_jupyter.executors.process.forkserver import ForkServer
from hail_batch_jupyter.executors.process.subreaper import become_subreaper, die_with_parent, kill_strays


class PoolServer(ForkServer):
    """Forks workers; each gets a socket of its own, which comes with the request for it."""

    def __init__(self, channel: socket.socket) -> None:
        super().__init__(channel)
        self._passed: deque[int] = deque()
        self._folder = ""

    def _read(self) -> bytes:
        data, fds, _, _ = socket.recv_fds(self._channel, 1 << 18, 64)
        self._passed.extend(fds)
        return data

    def _obey(self, request: dict[str, Any]) -> None:
        if request["op"] == "stop":
            self._stop(request["id"])
        elif request["op"] == "folder":
            self._folder = request["remove"]
        else:
            super()._obey(request)

    def _start(self, request: dict[str, Any]) -> None:
        try:
            super()._start(request)
        finally:
            os.close(self._passed.popleft())

    def _work(self, request: dict[str, Any]) -> int:
        die_with_parent()
        channel = socket.socket(fileno=self._passed[0])
        channel.set_inheritable(False)
        for fd in list(self._passed)[1:]:
            os.close(fd)
        PoolWorker(channel, request["log"]).serve()
        return 0

    def _stop(self, name: str) -> None:
        for pid, known in self._attempts.items():
            if known == name:
                _kill_group(pid)
                os.kill(pid, signal.SIGKILL)  # one that was just forked has no group yet

    def _reap(self) -> None:
        """As the base class; nothing that a worker started in its group outlives it."""
        before = set(self._attempts)
        super()._reap()
        for pid in before - self._attempts.keys():
            _kill_group(pid)

    def end(self) -> None:
        """Kill every worker and all that came from them, and remove what was left to remove."""
        for pid in self._attempts:
            _kill_group(pid)
        kill_strays(())
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def serve_pool(kind: type[PoolServer]) -> None:
    """Be a server until the pool ends; argv[2] is the number of the inherited socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    become_subreaper()
    server = kind(socket.socket(fileno=int(sys.argv[2])))
    try:
        server.serve()
    finally:
        server.end()


def main() -> None:
    """Entry of the process."""
    serve_pool(PoolServer)

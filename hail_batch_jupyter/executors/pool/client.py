"""The side of a pool's fork server that asks for workers."""

from __future__ import annotations

import array
import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from hail_batch_jupyter.executors.process.forkclient import ForkClient


class PoolClient(ForkClient):
    """One fork server of a pool; its outcomes are those of workers, by their names."""

    server = "pool.server"

    def __init__(self, python: str, env: Mapping[str, str], sys_path: Sequence[str], log: str, remove: str) -> None:
        """`remove` is a folder that the server removes at its end, '' for none."""
        super().__init__(python, env, sys_path, log, preload=False)
        self._send({"op": "folder", "remove": remove})

    def start_worker(self, name: str, channel: socket.socket, directory: str, log: str) -> None:
        """Ask for a worker at the other end of `channel`; 'started' and 'ended' come through `outcomes`."""
        self.attempts.add(name)
        request = {"op": "start", "id": name, "directory": directory, "log": log, "env": self._env}
        self._send(request, channel)

    def stop_worker(self, name: str) -> None:
        """Kill a worker; without effect on one that has ended."""
        self._send({"op": "stop", "id": name})

    def _send(self, message: dict[str, Any], *passed: socket.socket) -> None:
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        fds = array.array("i", [channel.fileno() for channel in passed])
        sent = self._channel.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if passed else [])
        self._channel.sendall(data[sent:])

    def reap(self) -> None:
        """Wait for the end of the server, after `close`."""
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:  # somebody else of this process waited for all children
            return

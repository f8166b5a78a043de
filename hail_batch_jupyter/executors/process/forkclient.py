"""The runner's side of the fork server."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from hail_batch_jupyter.core.events import Usage
from hail_batch_jupyter.core.ports import Attempt, Outcome
from hail_batch_jupyter.executors.process.forkserver import ONE_THREAD
from hail_batch_jupyter.executors.process.spawn import encode, spawn

MAIN = "import os, sys; os.chdir('/'); sys.path[0] = sys.argv[1]; from hail_batch_jupyter.executors.{} import main; main()"
"""Leaves the caller's directory before it imports anything: Python 3.13 cannot do that in one that was removed."""
PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


class ForkClient:
    """One fork server and the attempts it was given."""

    server = "process.forkserver"
    """The module whose `main` is the server."""
    server_words = "the Python server ended"
    """Why attempts are lost when it does."""

    def __init__(self, python: str, env: Mapping[str, str], sys_path: Sequence[str], log: str, preload: bool) -> None:
        self._env = {**ONE_THREAD, **env} if preload else dict(env)
        self.attempts: set[str] = set()
        self.retired = False
        self._pending = b""
        here, there = socket.socketpair()
        there.set_inheritable(True)
        self.pid = spawn([python, "-c", MAIN.format(self.server), PACKAGE_PARENT, str(there.fileno())], encode(self._env), None, log)
        there.close()
        self._channel = here
        self._send({"op": "configure", "sys_path": list(sys_path), "preload": preload})

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._channel.fileno()

    def start(self, attempt: Attempt, scratch: str, done: str) -> None:
        """Ask for a process; 'started' and 'ended' come through `outcomes`."""
        self.attempts.add(attempt.attempt_id)
        env = {**self._env, **attempt.env}
        calls = f"{scratch}/{attempt.job.calls}"
        request = {"op": "start", "id": attempt.attempt_id, "calls": calls, "scratch": scratch, "done": done}
        self._send({**request, "directory": attempt.directory, "log": attempt.log, "env": env})

    def outcomes(self) -> list[Outcome]:
        """What the server has said since the last call; if it died its attempts are lost."""
        try:
            data = self._channel.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        if not data:
            self.retired = True
            return [Outcome(attempt_id, "lost", reason=self.server_words) for attempt_id in self._forget_all()]
        *lines, self._pending = (self._pending + data).split(b"\n")
        found = [self._outcome(json.loads(line)) for line in lines]
        return [outcome for outcome in found if outcome is not None]

    def _outcome(self, message: dict[str, Any]) -> Outcome | None:
        kind = message["kind"]
        if kind == "retire":
            self.retired = True
            return None
        if kind == "ended":
            self.attempts.discard(message["id"])
            return Outcome(message["id"], kind, message["exit_code"], pid=message["pid"], usage=Usage(*message["usage"]))
        return Outcome(message["id"], kind, pid=message["pid"])

    def _forget_all(self) -> list[str]:
        names = list(self.attempts)
        self.attempts.clear()
        return names

    def _send(self, message: dict[str, Any]) -> None:
        self._channel.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Let the server end."""
        self._channel.close()

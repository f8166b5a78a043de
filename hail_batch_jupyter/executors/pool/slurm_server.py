"""The server of a pool whose workers are Slurm jobs: each process that it forks is a relay between the pool and one of these."""

from __future__ import annotations

import json
import os
import select
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from hail_batch_jupyter.executors.pool.pilot_link import FileWay, SocketWay, Way, join, proved
from hail_batch_jupyter.executors.pool.server import PoolServer, serve_pool
from hail_batch_jupyter.executors.process.forkclient import MAIN, PACKAGE_PARENT
from hail_batch_jupyter.executors.process.subreaper import die_with_parent
from hail_batch_jupyter.executors.slurm.words import Order, Shape, SlurmSettings, array_of, said, sbatch_command
from hail_batch_jupyter.observe.slurm_jobs import Client

_POLLRDHUP = 0x2000
_LOOK_S = 0.2
_ASK_S = 30.0
"""So often Slurm is asked whether a pilot that has not come is still there."""
_STATUS_S = 5.0
_SUBMIT_S = 300.0


class SlurmPoolServer(PoolServer):
    """Forks relays; what is told to the last of them holds for all."""

    def __init__(self, channel: socket.socket) -> None:
        super().__init__(channel)
        self._orders: dict[str, Any] = {}

    def _obey(self, request: dict[str, Any]) -> None:
        if request["op"] == "slurm":
            self._orders = request
        else:
            super()._obey(request)

    def _configure(self, request: dict[str, Any]) -> None:
        """Relays call nothing, and may run where there is no dill."""
        sys.path[:] = request["sys_path"]

    def _work(self, request: dict[str, Any]) -> int:
        die_with_parent()
        channel = socket.socket(fileno=self._passed[0])
        for fd in list(self._passed)[1:]:
            os.close(fd)
        return Relay(channel, self._orders, request["id"], request["log"], request["directory"]).run()

    def _reap(self) -> None:
        """As the base class; a pilot whose relay has ended is told so, for one that comes to it by files, or comes late, would not know."""
        before = dict(self._attempts)
        super()._reap()
        for pid, name in before.items():
            if pid not in self._attempts and self._orders:
                Path(self._orders["folder"], f"{name}.down.end").touch()

    def end(self) -> None:
        """As the base class; no job of the pool stays in the queue."""
        folder, self._folder = self._folder, ""
        super().end()
        if self._orders:
            Client(os.environ).ask(["scancel", "--full", "--name", self._orders["name"], "--user", str(os.getuid())])
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


class Relay:
    """One worker, seen from here: submits its pilot, waits until that comes, and carries calls to it and answers back."""

    def __init__(self, channel: socket.socket, orders: dict[str, Any], name: str, log: str, directory: str) -> None:
        self._channel = channel
        self._orders = orders
        self._settings = SlurmSettings(**orders["settings"])
        self._name = name
        self._log = log
        self._directory = directory
        self._folder = Path(orders["folder"])
        self._client = Client(os.environ)
        self._job = 0

    def run(self) -> int:
        """Until the pool or the pilot ends; gives the exit status of the worker, and says in the log what went wrong before there was one."""
        listener = self._listen()
        key = os.urandom(32)
        self._write("key", key)
        place = listener.getsockname() if listener is not None else ("", 0)
        told = {name: self._orders[name] for name in ("sys_path", "env")}
        facts = {"host": place[0], "port": place[1], **told, "log": self._log, "directory": self._directory}
        self._write("pilot", json.dumps(facts).encode())
        answer = self._client.ask(self._command(), _SUBMIT_S)
        self._job = array_of(answer.out) or 0
        if not self._job:
            sys.stderr.write(f"the worker could not be submitted: {said(answer)}\n")
            return 1
        way = self._wait(listener, key)
        if way is None:
            self._client.ask(["scancel", str(self._job)])
            return 1
        join(SocketWay(self._channel), way)
        return self._status()

    def _listen(self) -> Optional[socket.socket]:
        """At the address by which this machine reaches the cluster, None where the orders say that nodes cannot connect to it."""
        if not self._orders["host"]:
            return None
        return socket.create_server((self._orders["host"], 0))

    def _write(self, end: str, data: bytes) -> None:
        fd = os.open(self._folder / f"{self._name}.{end}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)

    def _command(self) -> Sequence[str]:
        argv = [self._settings.python or sys.executable, "-c", MAIN.format("pool.pilot"), PACKAGE_PARENT, str(self._folder), self._name]
        self._write("sh", "\n".join(["#!/bin/bash", *self._settings.setup, f"exec {shlex.join(argv)}", ""]).encode())
        order = Order(Shape(*self._orders["shape"]), 1, 1, self._orders["name"], f"{self._orders['name']}-{self._name}")
        return sbatch_command(self._settings, order, [str(self._folder / f"{self._name}.sh")])

    def _wait(self, listener: Optional[socket.socket], key: bytes) -> Optional[Way]:
        """The way to the pilot; None when the pool does not want it any more, or Slurm has ended it."""
        poll = select.poll()
        poll.register(self._channel, _POLLRDHUP)
        if listener is not None:
            poll.register(listener, select.POLLIN)
        asked = time.monotonic()
        while True:
            ready = dict(poll.poll(_LOOK_S * 1000))
            if self._channel.fileno() in ready:
                return None
            if listener is not None and listener.fileno() in ready:
                channel, _ = listener.accept()
                if proved(channel, key):
                    return SocketWay(channel)
                channel.close()
            if (self._folder / f"{self._name}.files").exists():
                return FileWay(self._folder / f"{self._name}.up", self._folder / f"{self._name}.down", self._beat)
            if time.monotonic() > asked + _ASK_S:
                asked = time.monotonic()
                if self._ended():
                    return None

    def _ended(self) -> bool:
        """Whether Slurm has no such job any more, and says so."""
        answer = self._client.ask(["squeue", "--noheader", f"--jobs={self._job}", "--format=%T"])
        ended = (answer.code == 0 and not answer.out.strip()) or "Invalid job id" in answer.err
        if ended:
            sys.stderr.write(f"Slurm job {self._job}, which was to be the worker, ended before it came\n")
        return ended

    def _beat(self) -> bool:
        """Where files are the only way: tell the pilot that somebody is here; whether it has ended itself."""
        self._write("beat", str(time.time()).encode())
        return (self._folder / f"{self._name}.status").exists()

    def _status(self) -> int:
        deadline = time.monotonic() + _STATUS_S
        while time.monotonic() < deadline:
            try:
                return int((self._folder / f"{self._name}.status").read_text())
            except (OSError, ValueError):
                time.sleep(_LOOK_S / 4)
        sys.stderr.write(f"Slurm job {self._job}, which was the worker, ended without a word, as when its time is over or its node fails\n")
        return 1


def main() -> None:
    """Entry of the process; argv[2] is the number of the inherited socket."""
    serve_pool(SlurmPoolServer)

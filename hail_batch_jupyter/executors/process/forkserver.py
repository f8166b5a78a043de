"""The warm Python process: has dill and installed packages loaded, forks a fresh process for each Python job.

It speaks JSON lines over a socket with its client (`forkclient`) and stays single-threaded, so that forking is safe.
It never runs anything of the user itself: jobs unpickle and run in their own process only.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys
from typing import Any, NoReturn

from hail_batch_jupyter.executors.process.job_process import become_job, leave
from hail_batch_jupyter.executors.process.reaper import Reaper, readable

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
"""Numerical libraries start their threads when they are loaded, and threads do not survive a fork."""


class ForkServer:
    """Serves one client until the socket closes."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._reaper = Reaper()
        self._attempts: dict[int, str] = {}
        self._reports: dict[int, int] = {}
        self._preloads = False
        self._pending = b""

    def serve(self) -> None:
        """Answer until the client is gone; jobs that still run are the guard's or the client's to end."""
        fds = [self._channel.fileno(), self._reaper.listen()]
        while True:
            ready = readable(fds, 3600.0)
            if fds[1] in ready:
                self._reap()
            if fds[0] in ready and not self._receive():
                return

    def _receive(self) -> bool:
        data = self._read()
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return bool(data)

    def _read(self) -> bytes:
        return self._channel.recv(1 << 18)

    def _obey(self, request: dict[str, Any]) -> None:
        if request["op"] == "start":
            self._start(request)
        else:
            self._configure(request)

    def _configure(self, request: dict[str, Any]) -> None:
        sys.path[:] = request["sys_path"]
        self._preloads = request["preload"]
        importlib.import_module("dill")
        importlib.import_module("hail_batch_jupyter.compile.call_runner")
        _freeze()

    def _start(self, request: dict[str, Any]) -> None:
        reads, writes = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reads)
            self._become(request, writes)
        os.close(writes)
        self._attempts[pid] = request["id"]
        self._reports[pid] = reads
        self._send({"id": request["id"], "kind": "started", "pid": pid})

    def _become(self, request: dict[str, Any], report: int) -> NoReturn:
        status = 1
        try:
            self._reaper.close()
            self._channel.close()
            known = set(sys.modules) if self._preloads else None
            become_job(request["directory"], request["log"], request["env"])
            status = self._work(request)
            if known is not None:
                os.write(report, json.dumps(installed_modules(known)).encode()[: 1 << 16])
        except Exception:  # noqa: BLE001 - the edge of a process; its log is where the user looks
            sys.excepthook(*sys.exc_info())
        finally:
            leave(status)

    def _work(self, request: dict[str, Any]) -> int:
        """What the forked process is for; gives its exit status."""
        status: int = importlib.import_module("hail_batch_jupyter.compile.call_runner").run_calls(request["calls"], request["scratch"])
        if not status:
            _append(request["done"], request["id"] + "\n")
        return status

    def _reap(self) -> None:
        self._reaper.drain()
        while (ended := self._reaper.peek()) is not None:
            self._reaper.forget(ended.pid)
            attempt_id = self._attempts.pop(ended.pid, None)
            if attempt_id is not None:  # else a loaded package started it
                self._send({"id": attempt_id, "kind": "ended", "pid": ended.pid, "exit_code": ended.exit_code, "usage": list(ended.usage)})
                self._learn(self._reports.pop(ended.pid))

    def _learn(self, report: int) -> None:
        os.set_blocking(report, False)
        try:
            data = os.read(report, 1 << 17)
        except BlockingIOError:
            data = b""
        os.close(report)
        try:
            names = json.loads(data) if data else []
        except json.JSONDecodeError:
            names = []
        if names:
            preload(names)
            if _threads() > 1:
                self._preloads = False
                self._send({"id": "", "kind": "retire"})

    def _send(self, message: dict[str, Any]) -> None:
        self._channel.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n")


def installed_modules(known: set[str]) -> list[str]:
    """Modules loaded since `known` that come from installed packages, [] if a thread runs; never what a user may edit."""
    if _threads() > 1:
        return []
    found = []
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None) or ""
        if name not in known and ("/site-packages/" in origin or "/dist-packages/" in origin) and not name.startswith("__"):
            found.append(name)
    return found


def preload(names: list[str]) -> None:
    """Import the modules here, so that later jobs find them loaded; what cannot be imported is left to the jobs."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001 - any package may raise anything; then jobs import it themselves
            continue
    _freeze()


def _append(path: str, line: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, line.encode())
    os.close(fd)


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def _freeze() -> None:
    """Keep the collector from touching, and so copying, pages that all jobs share."""
    gc.collect()
    gc.freeze()


def main() -> None:
    """Entry of the process; argv[2] is the number of the inherited socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ForkServer(socket.socket(fileno=int(sys.argv[2]))).serve()

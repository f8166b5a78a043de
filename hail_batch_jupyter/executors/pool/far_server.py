"""The server of a pool whose workers are on a cluster behind ssh: one connection, over which it talks with the hub on the login node.

It has a connection of its own, so it goes on whatever the program of the user does with its own, and its end is the end of the pool there.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from typing import Any

from hail_batch_jupyter.cluster.generic_protocol import GenericProtocol
from hail_batch_jupyter.cluster.protocols.record import protocol_from
from hail_batch_jupyter.cluster.shell import Stream
from hail_batch_jupyter.errors import ClusterError
from hail_batch_jupyter.executors.pool.frames import BEAT_S, HELLO, SILENT_S, WINDOW, Frame, Frames, Kind, packed

_CHUNK = 1 << 18
_START_S = 120.0
_LAST_WORDS_S = 5.0
_NO_USAGE = [0, 0.0]


class Caller:
    """One worker, seen from here: the pool's end of its socket, its log, and how many more bytes may go to it."""

    def __init__(self, channel: socket.socket, log: str) -> None:
        self.channel = channel
        self.log = log
        self.room = WINDOW
        self.said_all = False


class FarPoolServer:
    """Serves one pool: a thread listens to the cluster, this one to the pool."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._pending = b""
        self._passed: deque[int] = deque()
        self._callers: dict[int, Caller] = {}
        self._lock = threading.Lock()
        self._bell, self._ringer = os.pipe()
        self._stream: Stream | None = None
        self._protocol: GenericProtocol | None = None
        self._over = False
        self._heard_all = threading.Event()
        self._beaten = time.monotonic()

    def serve(self) -> None:
        """Until the pool ends, or the connection does; then what is wrong stands in the log."""
        try:
            while not self._over and self._step():
                pass
        finally:
            if self._stream is not None:
                self._stream.close()

    # the pool's side

    def _step(self) -> bool:
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        with self._lock:
            callers = {caller.channel.fileno(): (number, caller) for number, caller in self._callers.items() if caller.room > 0 and not caller.said_all}
        for fd in callers:
            poll.register(fd, select.POLLIN)
        ready = dict(poll.poll(BEAT_S * 1000))
        if self._bell in ready:
            os.read(self._bell, 4096)
        for fd in ready:
            if fd in callers:
                self._hand_on(*callers[fd])
        if time.monotonic() > self._beaten + BEAT_S:
            self._beaten = time.monotonic()
            self._say(packed(Kind.BEAT))
        return self._channel.fileno() not in ready or self._receive()

    def _hand_on(self, number: int, caller: Caller) -> None:
        try:
            data = caller.channel.recv(min(_CHUNK, caller.room))
        except OSError:
            data = b""
        caller.said_all = not data
        with self._lock:
            caller.room -= len(data)
        self._say(packed(Kind.DATA if data else Kind.END, number, data))

    def _receive(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._channel, 1 << 18, 64)
        self._passed.extend(fds)
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return bool(data)

    def _obey(self, request: dict[str, Any]) -> None:
        if request["op"] == "far":
            self._connect(request)
        elif request["op"] == "start":
            number = int(request["id"])
            with self._lock:
                self._callers[number] = Caller(socket.socket(fileno=self._passed.popleft()), request["log"])
            self._say(packed(Kind.START, number))
        elif request["op"] == "stop":
            self._say(packed(Kind.STOP, int(request["id"])))

    def _say(self, data: bytes) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(data)
        except OSError as error:
            self._heard_all.wait(_LAST_WORDS_S)  # the other thread hears why
            self._fail(f"the connection was lost ({error.strerror or error})")

    def _fail(self, why: str) -> None:
        """Nothing can be done any more; the first reason is the one that counts."""
        if not self._over:
            self._over = True
            sys.stderr.write(f"{why}\n")
            os.write(self._ringer, b"!")

    # the cluster's side

    def _connect(self, orders: dict[str, Any]) -> None:
        protocol = self._protocol = protocol_from(orders["protocol"])  # with its last name its connection would go, too
        if orders["password"] is not None:
            protocol.params.password = orders["password"]  # type: ignore[attr-defined]  # only protocols with parameters have one
        try:
            stream = protocol.converse(orders["command"])  # type: ignore[attr-defined]  # all that can be recorded have it
            left = _greeted(stream)
            stream.write(packed(Kind.ORDERS, 0, json.dumps(orders["hub"]).encode()))
        except (ClusterError, OSError, EOFError) as error:
            self._fail(str(error) or "the login shell there ended before the pool began; look at what its start files do")
            return
        self._stream = stream
        threading.Thread(target=self._listen, args=(stream, left), name="cluster", daemon=True).start()

    def _listen(self, stream: Stream, data: bytes) -> None:
        frames = Frames()
        try:
            while not self._over:
                for frame in frames.feed(data):
                    self._hear(frame)
                data, told = stream.receive(SILENT_S)
                sys.stderr.write(told.decode(errors="replace"))
        except (OSError, EOFError, ValueError) as error:
            self._fail(f"the connection was lost ({error})")
        finally:
            self._heard_all.set()

    def _hear(self, frame: Frame) -> None:
        if frame.kind == Kind.FAILED:
            self._fail(frame.data.decode())
        with self._lock:
            caller = self._callers.get(frame.worker)
        if caller is None:
            return
        if frame.kind == Kind.DATA:
            with contextlib.suppress(OSError):  # the pool has ended
                caller.channel.sendall(frame.data)
        elif frame.kind == Kind.TAKEN:
            with self._lock:
                caller.room += int(frame.data)
            os.write(self._ringer, b"!")
        elif frame.kind == Kind.ENDED:
            self._bury(frame.worker, caller, json.loads(frame.data))

    def _bury(self, number: int, caller: Caller, ended: dict[str, Any]) -> None:
        """What it wrote is here before its end is told; its socket is let go by the other thread."""
        with contextlib.suppress(OSError), open(caller.log, "w") as log:
            log.write(ended["log"])
        with self._lock:
            del self._callers[number]
        with contextlib.suppress(OSError):
            caller.channel.shutdown(socket.SHUT_RDWR)
        told = {"id": str(number), "kind": "ended", "pid": 0, "exit_code": ended["exit_code"], "usage": _NO_USAGE}
        with contextlib.suppress(OSError):
            self._channel.sendall(json.dumps(told, separators=(",", ":")).encode() + b"\n")


def _greeted(stream: Stream) -> bytes:
    """What came behind the hub's greeting; what came before is thrown away, but for errors. Raises EOFError, and TimeoutError."""
    heard, deadline = b"", time.monotonic() + _START_S
    while HELLO not in heard:
        out, told = stream.receive(max(0.0, deadline - time.monotonic()))
        heard = (heard + out)[-(1 << 20) :]
        sys.stderr.write(told.decode(errors="replace"))
    return heard.partition(HELLO)[2]


def main() -> None:
    """Entry of the process; argv[2] is the number of the inherited socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    FarPoolServer(socket.socket(fileno=int(sys.argv[2]))).serve()

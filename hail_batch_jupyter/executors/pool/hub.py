"""The login node's end of a pool whose calls come by ssh: it has the server of the pool's Slurm jobs, and carries what goes to them and comes back.

It talks by frames over its standard input and output, and ends, with every job of the pool, when these do.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import sys
import tempfile
import time
from collections.abc import Iterable
from typing import Any

from hail_batch_jupyter.executors.pool.end import tail
from hail_batch_jupyter.executors.pool.frames import BEAT_S, HELLO, SILENT_S, WINDOW, Frame, Frames, Kind, packed
from hail_batch_jupyter.executors.pool.slurm_client import SlurmPoolClient, reached_at
from hail_batch_jupyter.observe.procfs import RUN_VARIABLE
from hail_batch_jupyter.observe.slurm_jobs import Client, job_name

_CHUNK = 1 << 18


class Passage:
    """The way to one worker's relay: bytes that wait until it takes them, how many it took since that was told last, and whether no more will come."""

    def __init__(self, number: int, channel: socket.socket) -> None:
        channel.setblocking(False)
        self.number = number
        self.channel = channel
        self.unsent = bytearray()
        self.taken = 0
        self.said_all = False
        self.heard_all = False

    def push(self) -> None:
        """Hand on what can be handed on now."""
        try:
            while self.unsent:
                sent = self.channel.send(self.unsent[:_CHUNK])
                del self.unsent[:sent]
                self.taken += sent
            if self.said_all:
                self.channel.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:  # the relay is gone, which its server tells
            self.unsent.clear()

    def events(self) -> int:
        """What to wait for on its socket."""
        return (0 if self.heard_all else select.POLLIN) | (select.POLLOUT if self.unsent else 0)


class Hub:
    """Serves one pool."""

    def __init__(self, orders: dict[str, Any], frames: Frames) -> None:
        """Make the folder of the pool; raises OSError when that cannot be done."""
        os.makedirs(orders["place"], exist_ok=True)
        self._folder = tempfile.mkdtemp(prefix=re.sub(r"[^\w.-]", "_", orders["name"]) + "-", dir=orders["place"]) + os.sep
        name = os.path.basename(self._folder[:-1])
        env = {**os.environ, RUN_VARIABLE: name}
        host = "" if orders["by_files"] else reached_at(Client(env))
        words = {name: orders[name] for name in ("settings", "shape", "env")}
        told = {**words, "sys_path": None, "name": job_name(name), "folder": self._folder, "host": host}
        self._client = SlurmPoolClient(sys.executable, env, sys.path, f"{self._folder}server.log", "" if orders["keep"] else self._folder, told)
        self._passages: dict[int, Passage] = {}
        self._frames = frames
        self._heard = self._beaten = time.monotonic()

    def serve(self, heard: Iterable[Frame]) -> None:
        """Obey what was heard, and what comes until the other end hangs up, or says nothing for too long."""
        try:
            self._obey(heard)
            while self._step():
                pass
        finally:
            self._client.close()
            self._client.reap()

    def _step(self) -> bool:
        poll = select.poll()
        poll.register(0, select.POLLIN)
        poll.register(self._client.fileno(), select.POLLIN)
        by_fd = {passage.channel.fileno(): passage for passage in self._passages.values()}
        for fd, passage in by_fd.items():
            if passage.events():
                poll.register(fd, passage.events())
        ready = dict(poll.poll(BEAT_S * 1000))
        for fd, event in ready.items():
            if fd in by_fd:
                self._serve_worker(by_fd[fd], event)
        if self._client.fileno() in ready and not self._hear_server():
            return False
        if 0 in ready and not self._hear():
            return False
        return self._beat()

    def _beat(self) -> bool:
        now = time.monotonic()
        if now > self._beaten + BEAT_S:
            self._beaten = now
            say(packed(Kind.BEAT))
        return now < self._heard + SILENT_S

    def _serve_worker(self, passage: Passage, event: int) -> None:
        if event & select.POLLOUT:
            self._push(passage)
        if event & ~select.POLLOUT and not passage.heard_all:
            self._take(passage)

    def _take(self, passage: Passage) -> bool:
        try:
            data = passage.channel.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            say(packed(Kind.DATA, passage.number, data))
        passage.heard_all = not data
        return bool(data)

    def _push(self, passage: Passage) -> None:
        passage.push()
        if passage.taken >= WINDOW // 4:
            say(packed(Kind.TAKEN, passage.number, str(passage.taken).encode()))
            passage.taken = 0

    def _hear(self) -> bool:
        data = os.read(0, _CHUNK)
        self._heard = time.monotonic()
        self._obey(self._frames.feed(data))
        return bool(data)

    def _obey(self, frames: Iterable[Frame]) -> None:
        for kind, number, content in frames:
            passage = self._passages.get(number)
            if kind == Kind.START:
                self._start(number)
            elif kind == Kind.STOP:
                self._client.stop_worker(str(number))
            elif passage is not None and kind in (Kind.DATA, Kind.END):
                passage.unsent += content
                passage.said_all |= kind == Kind.END
                self._push(passage)

    def _start(self, number: int) -> None:
        here, there = socket.socketpair()
        with there:
            self._passages[number] = Passage(number, here)
            self._client.start_worker(str(number), there, self._folder, self._log(number))

    def _log(self, number: int) -> str:
        return f"{self._folder}worker-{number}.log"

    def _hear_server(self) -> bool:
        for outcome in self._client.outcomes():
            passage = self._passages.get(int(outcome.attempt_id))
            if outcome.kind == "started" or passage is None or outcome.exit_code is None:
                continue
            while self._take(passage):  # all that it answered is told before its end
                pass
            del self._passages[passage.number]
            passage.channel.close()
            ended = {"exit_code": outcome.exit_code, "log": tail(self._log(passage.number)).decode(errors="replace")}
            say(packed(Kind.ENDED, passage.number, json.dumps(ended).encode()))
        if self._client.retired:
            words = tail(f"{self._folder}server.log").decode(errors="replace").strip().splitlines()
            say(packed(Kind.FAILED, 0, f"the pool's server there ended: {words[-1] if words else 'it said nothing'}".encode()))
        return not self._client.retired


def say(data: bytes) -> None:
    """To the other end; raises OSError when it is gone."""
    while data:
        data = data[os.write(1, data) :]


def main() -> None:
    """Entry of the process: orders come first, when the other end has heard the greeting."""
    say(b"\n" + HELLO)
    frames, heard = Frames(), list[Frame]()
    while not heard:
        data = os.read(0, _CHUNK)
        if not data:
            return
        heard = list(frames.feed(data))
    orders = json.loads(heard[0].data)
    try:
        hub = Hub(orders, frames)
    except OSError as error:
        say(
            packed(
                Kind.FAILED, 0, f"the pool's folder below {orders['place']!r} cannot be made there ({error.strerror}); choose another work_directory".encode()
            )
        )
        return
    hub.serve(heard[1:])

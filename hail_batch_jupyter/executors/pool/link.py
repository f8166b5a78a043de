"""The pool's end of the socket to one worker."""

from __future__ import annotations

import socket
from typing import Optional

from hail_batch_jupyter.core.ports import PoolOutcome, PoolTask
from hail_batch_jupyter.executors.pool.worker import ANSWER, HEADER, VALUE, remember

_CHUNK_BYTES = 64 * 1024
_LARGE_CHUNK_BYTES = 1 << 20


class WorkerLink:
    """One worker: what it is doing, and what is on the way from and to it.

    silent   the other end is closed
    refused  it was closed before it took anything of the call
    watched  the pool's thread waits for its socket
    """

    def __init__(self, name: str, channel: socket.socket, log: str) -> None:
        channel.setblocking(False)
        self.name = name
        self.log = log
        self.fd = channel.fileno()
        self.task: Optional[PoolTask] = None
        self.silent = False
        self.refused = False
        self.watched = True
        self.unsent: list[memoryview] = []
        self.n_answered = 0
        self._small = True
        self._channel = channel
        self._known: dict[int, None] = {}
        self._received = bytearray()

    def send(self, task: PoolTask) -> None:
        """Begin to send a call, with its function if the worker does not have that."""
        self.task = task
        number, data, _ = task.function
        function = b"" if number in self._known else data
        remember(self._known, number, None)
        head = HEADER.pack(number, len(function), len(task.arguments))
        self._small = len(function) + len(task.arguments) < _CHUNK_BYTES // 2
        parts = [head + function + task.arguments] if self._small else [head, function, task.arguments]
        self.unsent = [memoryview(part) for part in parts if part]
        self.refused = not self.send_more()

    def send_more(self) -> bool:
        """Send what can be sent now; False if the worker is gone (its server says so, too, and why) before it took a part."""
        parts = len(self.unsent)
        try:
            while self.unsent:
                sent = self._channel.send(self.unsent[0])
                if sent == len(self.unsent[0]):
                    del self.unsent[0]
                else:
                    self.unsent[0] = self.unsent[0][sent:]
        except BlockingIOError:
            return True
        except OSError:
            taken = len(self.unsent) < parts
            self.unsent = []
            return taken
        return True

    def receive(self) -> Optional[PoolOutcome]:
        """The answer to the call, None while it is not complete."""
        return self._answer() if self._read() else None

    def receive_all(self) -> Optional[PoolOutcome]:
        """As `receive`, to the last byte that a worker sent that has ended."""
        while self._read():
            outcome = self._answer()
            if outcome is not None:
                return outcome
        return None

    def _read(self) -> bool:
        """Take what can be taken now; whether there was anything."""
        try:
            data = self._channel.recv(_LARGE_CHUNK_BYTES if len(self._received) > _CHUNK_BYTES else _CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            data = b""
            # The other end was closed with something unread: a small call is read in one piece, so none of it was.
            self.refused |= isinstance(error, ConnectionResetError) and self._small
        self.silent = not data
        self._received += data
        return bool(data)

    def _answer(self) -> Optional[PoolOutcome]:
        received = self._received
        if len(received) < ANSWER.size:
            return None
        kind, value_bytes, output_bytes = ANSWER.unpack_from(received)
        end = ANSWER.size + value_bytes
        if len(received) < end + output_bytes:
            return None
        with memoryview(received) as view:
            outcome = PoolOutcome("value" if kind == VALUE else "error", bytes(view[ANSWER.size : end]), bytes(view[end:]))
        self._received = bytearray()
        self.n_answered += 1
        return outcome

    def close(self) -> None:
        """Hang up."""
        self._channel.close()

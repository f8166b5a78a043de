"""A warm worker of a pool: takes calls from its socket, one after the other, and answers each.

A call is HEADER, the pickle of the function if the worker has not seen it, and the pickle of the arguments;
an answer is ANSWER, the pickle of the value or of the exception, and the end of what the call printed.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, TypeVar, Union

from hail_batch_jupyter.compile import call_runner
from hail_batch_jupyter.compile.call_runner import awaited, loaded, pickled, pickled_error, traceback_lines

HEADER = struct.Struct("<QQQ")
"""Number of the function, bytes of its pickle (0: it is known), bytes of the arguments."""
ANSWER = struct.Struct("<BQQ")
"""VALUE or ERROR, bytes of the pickle, bytes of the output."""
VALUE, ERROR = 0, 1
OUTPUT_BYTES = 64 * 1024
"""As much of what a call prints is kept, from its end."""
_FUNCTIONS = 32
_JOINED_BYTES = 64 * 1024
_RUNNERS = (__file__, call_runner.__file__)

T = TypeVar("T")


def remember(known: dict[int, T], number: int, value: T) -> None:
    """Keep the functions used last; both ends of the socket do this in the same order, and so always know the same ones."""
    known.pop(number, None)
    known[number] = value
    if len(known) > _FUNCTIONS:
        del known[next(iter(known))]


class PoolWorker:
    """Serves one socket until it closes; `log` is the file that both outputs of this process go to."""

    def __init__(self, channel: socket.socket, log: str) -> None:
        self._channel = channel
        self._stream = channel.makefile("rb", buffering=1 << 16)
        self._log = os.open(log, os.O_RDWR | os.O_CLOEXEC)
        self._functions: dict[int, Union[bytes, Callable[..., Any]]] = {}

    def serve(self) -> None:
        """Answer calls until the other end is gone."""
        try:
            while True:
                header = self._stream.read(HEADER.size)
                if len(header) < HEADER.size:
                    return
                number, function_bytes, argument_bytes = HEADER.unpack(header)
                remember(self._functions, number, self._stream.read(function_bytes) if function_bytes else self._functions[number])
                self._answer(number, self._stream.read(argument_bytes))
        except (BrokenPipeError, ConnectionResetError):
            return

    def _answer(self, number: int, arguments: bytes) -> None:
        kind, data = self._called(number, arguments)
        output = self._output()
        head = ANSWER.pack(kind, len(data), len(output))
        if len(data) < _JOINED_BYTES:
            self._channel.sendall(head + data + output)
            return
        for part in (head, data, output):
            self._channel.sendall(part)

    def _called(self, number: int, arguments: bytes) -> tuple[int, bytes]:
        try:
            function = self._functions[number]
            if isinstance(function, bytes):
                function = self._functions[number] = _function(function)
            args, kwargs = loaded(arguments)
            return VALUE, pickled(awaited(function(*args, **kwargs)))
        except BaseException as error:  # noqa: BLE001 - whatever ends the call, its maker wants to see it, and the worker goes on
            return ERROR, pickled_error(error, traceback_lines(error, _RUNNERS))

    def _output(self) -> bytes:
        """What was printed since the last call, which the file then no longer holds."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # a call may close its outputs
                continue
        size = os.fstat(self._log).st_size
        if not size:
            return b""
        text = os.pread(self._log, OUTPUT_BYTES, max(0, size - OUTPUT_BYTES))
        os.ftruncate(self._log, 0)
        return text


def _function(data: bytes) -> Callable[..., Any]:
    function: Callable[..., Any] = loaded(data)
    return function

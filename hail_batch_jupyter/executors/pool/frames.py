"""What goes over the one connection between a pool here and its hub on a cluster: frames, each of which is about one worker."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

HELLO = b"hail-batch-jupyter-pool:\n"
"""The hub's first line; what comes before it is said by the start files of a login shell. Nothing is sent to the hub before it."""
WINDOW = 4 << 20
"""So many bytes to a worker may be on their way: one whose Slurm job still waits takes nothing, and must not keep those of others."""
BEAT_S, SILENT_S = 15.0, 120.0
_HEAD = struct.Struct("<BII")
_MOST = 1 << 30


class Kind(IntEnum):
    """To the hub: ORDERS (JSON), START, DATA, END (no more data), STOP. From it: DATA, TAKEN (so many bytes), ENDED (JSON), FAILED (why). Both: BEAT."""

    ORDERS = 0
    START = 1
    DATA = 2
    END = 3
    STOP = 4
    TAKEN = 5
    ENDED = 6
    BEAT = 7
    FAILED = 8


class Frame(NamedTuple):
    """`worker` is its number, 0 for none."""

    kind: Kind
    worker: int = 0
    data: bytes = b""


def packed(kind: Kind, worker: int = 0, data: bytes = b"") -> bytes:
    """The bytes of a frame."""
    return _HEAD.pack(kind, worker, len(data)) + data


class Frames:
    """Makes frames of bytes that come in any pieces."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now; raises ValueError for what can be none."""
        self._held += data
        start = 0
        while len(self._held) - start >= _HEAD.size:
            kind, worker, length = _HEAD.unpack_from(self._held, start)
            if kind > max(Kind) or length > _MOST:
                raise ValueError("what came over the connection is not what the other end says")
            end = start + _HEAD.size + length
            if len(self._held) < end:
                break
            yield Frame(Kind(kind), worker, bytes(self._held[start + _HEAD.size : end]))
            start = end
        del self._held[:start]

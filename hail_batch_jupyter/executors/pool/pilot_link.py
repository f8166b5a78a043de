"""The way between a relay on the user's machine and a pilot on a node: a connection on which both have proved who they are, or two growing files."""

from __future__ import annotations

import hmac
import os
import socket
import threading
import time
from pathlib import Path
from typing import Callable, Optional, Protocol

_NONCE_BYTES, _PROOF_BYTES = 16, 32
_CHUNK_BYTES = 1 << 16
_LOOK_S, _LONGEST_S = 0.002, 0.05
_ASK_S, _STRANGER_S = 5.0, 5.0


class Way(Protocol):
    """Bytes in both directions."""

    def recv(self, n_bytes: int) -> bytes:
        """Wait for some; b'' when the other end has said all."""

    def sendall(self, data: bytes) -> None:
        """Send them."""

    def finish(self) -> None:
        """Say that this was all."""


class SocketWay:
    """A socket."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel

    def recv(self, n_bytes: int) -> bytes:
        """See `Way`."""
        try:
            return self.channel.recv(n_bytes)
        except OSError:
            return b""

    def sendall(self, data: bytes) -> None:
        """See `Way`."""
        self.channel.sendall(data)

    def finish(self) -> None:
        """See `Way`."""
        try:
            self.channel.shutdown(socket.SHUT_WR)
        except OSError:
            return


class FileWay:
    """Two files of a shared file system, each written by one end; slower than a socket, for sites where nodes cannot connect to this machine.

    `gone` says whether the other end has died, and is asked every few seconds.
    """

    def __init__(self, reads: Path, writes: Path, gone: Callable[[], bool]) -> None:
        self._reads = reads
        self._end = Path(f"{reads}.end")
        self._gone = gone
        self._offset = 0
        self._out = os.open(writes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._said_all = Path(f"{writes}.end")

    def recv(self, n_bytes: int) -> bytes:
        """See `Way`; looks at first every two milliseconds, then more seldom."""
        pause_s, asked = _LOOK_S, 0.0
        while True:
            over = self._end.exists()
            if time.monotonic() > asked + _ASK_S:
                asked = time.monotonic()
                over |= self._gone()
            data = self._more(n_bytes)
            if data or over:
                return data
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.1, _LONGEST_S)

    def _more(self, n_bytes: int) -> bytes:
        try:
            with open(self._reads, "rb") as file:
                file.seek(self._offset)
                data = file.read(n_bytes)
        except OSError:
            return b""
        self._offset += len(data)
        return data

    def sendall(self, data: bytes) -> None:
        """See `Way`."""
        while data:
            data = data[os.write(self._out, data) :]

    def finish(self) -> None:
        """See `Way`."""
        self._said_all.touch()


def join(left: Way, right: Way) -> None:
    """Carry bytes both ways until the right end has said all."""
    threading.Thread(target=_carry, args=(left, right), daemon=True).start()
    _carry(right, left)


def _carry(source: Way, target: Way) -> None:
    while True:
        data = source.recv(_CHUNK_BYTES)
        try:
            if data:
                target.sendall(data)
                continue
        except OSError:  # the other end is gone
            pass
        target.finish()
        return


def proved(channel: socket.socket, key: bytes) -> bool:
    """Whether the other end has the key as well; both ends call this, and neither tells the key."""
    channel.settimeout(_STRANGER_S)
    mine = os.urandom(_NONCE_BYTES)
    try:
        channel.sendall(mine)
        theirs = _exactly(channel, _NONCE_BYTES)
        if theirs == mine:
            return False  # an echo of what was said here
        channel.sendall(hmac.digest(key, b"of" + theirs + mine, "sha256"))
        proof = _exactly(channel, _PROOF_BYTES)
    except OSError:
        return False
    channel.settimeout(None)
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return hmac.compare_digest(proof, hmac.digest(key, b"of" + mine + theirs, "sha256"))


def _exactly(channel: socket.socket, n_bytes: int) -> bytes:
    data = b""
    while len(data) < n_bytes:
        part = channel.recv(n_bytes - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data


def connected(host: str, port: int, key: bytes, within_s: float) -> Optional[socket.socket]:
    """A proved connection, None if there cannot be one."""
    try:
        channel = socket.create_connection((host, port), within_s)
    except OSError:
        return None
    if proved(channel, key):
        return channel
    channel.close()
    return None

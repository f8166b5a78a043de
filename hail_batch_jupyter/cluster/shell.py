"""Text for a POSIX shell, and a shell that stays open so that a command costs no new connection."""

from __future__ import annotations

import secrets
import shlex
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Protocol

from hail_batch_jupyter.errors import ClusterError

LAST_WORDS_S = 0.5
"""How long to listen for the reason when a program ended."""
START_S = 60.0
"""A login may ask a directory service, start modules and print a greeting."""


def quoted(command: list[str]) -> str:
    """The command for a shell: every word arrives as it is, and the first is a program, never a keyword, an alias or an assignment.

    >>> quoted(['echo', 'a b', ''])
    "'echo' 'a b' ''"

    Raises ClusterError for an empty command and for a NUL.
    """
    if not command:
        raise ClusterError("Empty command.")
    if any("\0" in word for word in command):
        raise ClusterError(f"command {command!r}: a NUL character cannot be an argument; leave it out.", command)
    program = "'" + command[0].replace("'", "'\"'\"'") + "'"
    return " ".join([program, *map(shlex.quote, command[1:])])


def reading(path: str) -> str:
    """A script that prints a file; its exit code is 66 where there is none."""
    word = path_word(path)
    return f'[ -e {word} ] || {{ echo "no such file" >&2; exit {NO_FILE}; }}; cat < {word}'


def writing(path: str, content: str) -> str:
    """A script that writes a file."""
    return f"printf %s {shlex.quote(content)} > {path_word(path)}"


def path_word(path: str) -> str:
    """A path that is no option, whatever it begins with."""
    return shlex.quote(path if path.startswith("/") else f"./{path}")


NO_FILE = 66


class Done(NamedTuple):
    """How a script ended."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Stream(Protocol):
    """The three ends of a remote process."""

    def write(self, data: bytes) -> None:
        """Send to its stdin; raises OSError when it is gone."""

    def receive(self, timeout_s: float | None) -> tuple[bytes, bytes]:
        """What came on (stdout, stderr), waiting for something; raises EOFError when it has ended, TimeoutError."""

    def close(self) -> None:
        """End it."""


class RemoteShell:
    """A `sh` on the other machine that runs one script after another, each in a process of its own without input."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = [b"", b""]
        # A greeting of the login shell comes before the first mark.
        try:
            self.run(":", START_S)
        except ClusterError:
            self.close()
            raise

    def run(self, script: str, timeout_s: float | None = None) -> Done:
        """How the script ended.

        Raises ClusterError when the connection ends first; whether the script ran to its end is not known then.
        """
        mark = secrets.token_hex(16)
        tail = f"hbj=$?; printf '%s %d\\n' {mark} $hbj; printf '%s\\n' {mark} >&2\n"
        try:
            self._write(f"( {script}\n) </dev/null; {tail}".encode())
            return self._answer(mark.encode(), timeout_s)
        except (OSError, EOFError) as error:
            self.close()
            told = (self._left[1] or b"").decode(errors="replace").strip()
            raise ClusterError(f"the connection was lost{': ' + told if told else ''}", stderr=told) from error

    def _write(self, data: bytes) -> None:
        """Raises OSError when the other end is gone; what it said before that is kept."""
        try:
            self._stream.write(data)
        except OSError:
            with suppress(OSError, EOFError):
                while True:
                    out, err = self._stream.receive(LAST_WORDS_S)
                    self._left = [self._left[0] + out, self._left[1] + err]
            raise

    def _answer(self, mark: bytes, timeout_s: float | None) -> Done:
        out, err = (bytearray(left) for left in self._left)
        while not (_ended(out, mark) and _ended(err, mark)):
            try:
                more_out, more_err = self._stream.receive(timeout_s)
            except (OSError, EOFError):
                self._left = [bytes(out), bytes(err)]
                raise
            out += more_out
            err += more_err
        stdout, code, left_out = _split(out, mark)
        stderr, _, left_err = _split(err, mark)
        self._left = [left_out, left_err]
        return Done(int(code), stdout, stderr)

    def become(self, command: list[str]) -> Stream:
        """Let the shell be that command, and talk with it; it must not be written to before it has said something, or the shell may read that."""
        self._stream.write(f"exec {quoted(command)}\n".encode())
        return self._stream

    def alive(self) -> bool:
        """Whether it can be used, as far as is known here; something that came after the last end is dropped."""
        try:
            while True:
                self._stream.receive(0)
        except TimeoutError:
            return True
        except (OSError, EOFError):
            self.close()
            return False

    def close(self) -> None:
        """End the shell; a command that runs is hung up."""
        self._stream.close()


def _ended(data: bytearray, mark: bytes) -> bool:
    # The mark is the last thing that comes, so there is no need to look at all of a large output each time.
    return data.endswith(b"\n") and data.rfind(mark, -len(mark) - 16) >= 0


def _split(data: bytearray, mark: bytes) -> tuple[bytes, bytes, bytes]:
    before, _, after = bytes(data).partition(mark)
    code, _, left = after.partition(b"\n")
    return before, code.strip(), left


class Shells:
    """Shells of one connection: one for each command that runs at the same time, kept for the next."""

    def __init__(self, connect: Callable[[], RemoteShell]) -> None:
        self._connect = connect
        self._idle: list[RemoteShell] = []
        self._lost = False
        self._lock = threading.Lock()

    def run(self, script: str) -> Done:
        """How the script ended; it is sent once only, so nothing runs twice when the connection is cut."""
        shell = self._idle_one() or self._new_one()
        try:
            done = shell.run(script)
        except ClusterError:
            with self._lock:
                self._lost = True
            self.close()  # the others went through the same connection
            raise
        with self._lock:
            self._idle.append(shell)
        return done

    def _idle_one(self) -> RemoteShell | None:
        while True:
            with self._lock:
                shell = self._idle.pop() if self._idle else None
            if shell is None or shell.alive():
                return shell

    def _new_one(self) -> RemoteShell:
        """A connection that just died may still be offered once."""
        with self._lock:
            lost, self._lost = self._lost, False
        try:
            return self._connect()
        except ClusterError:
            if not lost:
                raise
            return self._connect()

    def close(self) -> None:
        """End those that are not at work."""
        with self._lock:
            idle, self._idle = self._idle, []
        for shell in idle:
            shell.close()

"""Waiting for children without polling, and how each has ended and what it used, known before it is reaped."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import sys
from collections.abc import Collection
from typing import Any, Callable, NamedTuple, Optional

from hail_batch_jupyter.core.events import Usage

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""ru_maxrss counts bytes on macOS, KiB elsewhere (getrusage(2))."""
_WAITID = {"x86_64": 247, "aarch64": 95, "riscv64": 95, "ppc64le": 272, "s390x": 281}
"""Number of waitid(2) on each machine: the call of the system tells the usage, too, that of its library does not."""
_SIGINFO_BYTES, _RUSAGE_BYTES = 128, 144
_SOON_S, _AGAIN_S = 0.0005, 0.1
"""A timer that is over before the waiting began comes again."""
_ENDED = struct.Struct("@8xi4xi4xi")
"""si_code, si_pid and si_status of a siginfo_t where a word has 64 bits."""
_USED = struct.Struct("@5l")
"""ru_utime and ru_stime (seconds, microseconds each) and ru_maxrss of a rusage."""


class Exit(NamedTuple):
    """A child that has ended: 0-255, or 128 + the signal that ended it."""

    pid: int
    exit_code: int
    usage: Usage


class Reaper:
    """Waits for the end of children, or wakes a select loop that waits for other things too; must be made in the main thread."""

    def __init__(self) -> None:
        self._calls = _calls()
        self.read_fd = self._write_fd = self._before = -1
        self._timed = False

    @property
    def sleeps(self) -> bool:
        """Whether this system lets `sleep` wait."""
        return self._calls is not None

    def sleep(self, timeout_s: float) -> None:
        """Wait for the end of a child, of which there must be one, for a signal, or for so long; a tenth of a second more when the time is very short.

        The scheduler gives the core of the ended child to one that waits like this, but not to one that a signal wakes: 2 % more jobs a second.
        """
        assert self._calls is not None
        if not self._timed:
            self._timed = True
            signal.signal(signal.SIGALRM, _nothing)
        signal.setitimer(signal.ITIMER_REAL, max(timeout_s, _SOON_S), _AGAIN_S)
        self._calls.wait()

    def listen(self) -> int:
        """The descriptor that can be read when a child has ended."""
        if self.read_fd < 0:
            self.read_fd, self._write_fd = os.pipe()
            os.set_blocking(self.read_fd, False)
            os.set_blocking(self._write_fd, False)
            signal.signal(signal.SIGCHLD, _nothing)
            self._before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        return self.read_fd

    def drain(self) -> None:
        """Forget the signal; `peek` tells which child has ended."""
        try:
            os.read(self.read_fd, 4096)
        except BlockingIOError:
            return

    def peek(self) -> Exit | None:
        """A child that has ended, the same until it is forgotten; None while all run.

        Until then the system keeps it: its end can be written down and is not lost even if this process is killed in between.
        (Where the numbers of the system's calls are not known, the system has forgotten it at once.)
        """
        return self._calls.peek() if self._calls is not None else _reaped()

    def forget(self, pid: int) -> None:
        """Let the system forget a child that `peek` gave."""
        if self._calls is not None:
            with contextlib.suppress(ChildProcessError):  # a thread that started it may have been quicker
                os.waitpid(pid, 0)

    def close(self) -> None:
        """Give the signals back."""
        if self._timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        if self.read_fd >= 0:
            signal.set_wakeup_fd(self._before)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(self.read_fd)
            os.close(self._write_fd)


def _nothing(number: int, frame: Any) -> None:
    """Only a signal that has a handler interrupts a call, or writes to the wakeup descriptor."""


class _Calls(NamedTuple):
    """waitid(2) for any child, which stays to be reaped: `peek` gives one that has ended, `wait` returns when there is one or a signal comes."""

    peek: Callable[[], Optional[Exit]]
    wait: Callable[[], None]


def _calls() -> _Calls | None:
    number = _WAITID.get(os.uname().machine) if sys.platform == "linux" and sys.maxsize > 1 << 32 else None
    if number is None:
        return None
    import ctypes

    info, used = ctypes.create_string_buffer(_SIGINFO_BYTES), ctypes.create_string_buffer(_RUSAGE_BYTES)
    waitid = ctypes.CDLL(None).syscall
    waitid.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    at_info, at_used = ctypes.addressof(info), ctypes.addressof(used)

    def peek() -> Exit | None:
        waitid(number, os.P_ALL, 0, at_info, os.WEXITED | os.WNOHANG | os.WNOWAIT, at_used)
        code, pid, status = _ENDED.unpack_from(info)
        if not pid:  # nobody has ended, or there is nobody
            return None
        user_s, user_us, system_s, system_us, rss = _USED.unpack_from(used)
        cpu_s = round(user_s + system_s + (user_us + system_us) / 1e6, 3)
        return Exit(pid, status if code == os.CLD_EXITED else 128 + status, Usage(rss * RSS_UNIT, cpu_s))

    def wait() -> None:
        waitid(number, os.P_ALL, 0, at_info, os.WEXITED | os.WNOWAIT, None)

    return _Calls(peek, wait)


def _reaped() -> Exit | None:
    try:
        pid, status, used = os.wait4(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    usage = Usage(used.ru_maxrss * RSS_UNIT, round(used.ru_utime + used.ru_stime, 3))
    return Exit(pid, 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), usage) if pid else None


def reap_others(known: Collection[int]) -> None:
    """Reap children that have ended and are not `known`, as far as no known one has ended before them."""
    while True:
        try:
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if info is None or info.si_pid in known:
            return
        with contextlib.suppress(ChildProcessError):  # a thread that started it may have been quicker
            os.waitpid(info.si_pid, 0)


def readable(fds: list[int], timeout_s: float) -> set[int]:
    """Those of the descriptors that can be read, as soon as there is one."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(max(0, timeout_s * 1000))}

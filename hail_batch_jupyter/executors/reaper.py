"""Waiting for children without polling: one signal wakes the loop, wait4 tells of exit and usage."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Collection
from typing import Any, NamedTuple

from hail_batch_jupyter.core.events import Usage

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""ru_maxrss counts bytes on macOS, KiB elsewhere (getrusage(2))."""


class Exit(NamedTuple):
    """A child that has ended: 0-255, or 128 + the signal that ended it."""

    pid: int
    exit_code: int
    usage: Usage


class Reaper:
    """Wakes a select loop when a child has ended; must be made in the main thread."""

    def __init__(self) -> None:
        self.read_fd, self._write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        os.set_blocking(self._write_fd, False)
        signal.signal(signal.SIGCHLD, _nothing)
        self._before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)

    def drain(self) -> None:
        """Forget that a child has ended; `peek` and `reap` tell which."""
        try:
            os.read(self.read_fd, 4096)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Give the signal back."""
        signal.set_wakeup_fd(self._before)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self.read_fd)
        os.close(self._write_fd)


def _nothing(number: int, frame: Any) -> None:
    """Only a signal that has a handler of Python's writes to the wakeup descriptor."""


def peek(pid: int) -> int | None:
    """The exit code of a child that has ended, None while it runs; the system keeps it for `reap`.

    Between the two its end can be written down, so that it is not lost even if this process is killed in between.
    """
    info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if info is None:
        return None
    return info.si_status if info.si_code == os.CLD_EXITED else 128 + info.si_status


def reap(pid: int) -> Exit:
    """The end of a child that has ended."""
    _, status, used = os.wait4(pid, 0)
    usage = Usage(used.ru_maxrss * _RSS_UNIT, round(used.ru_utime + used.ru_stime, 3))
    return Exit(pid, 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), usage)


def reap_others(known: Collection[int]) -> set[int]:
    """Reap children that have ended and are not `known`; gives their pids."""
    ended: set[int] = set()
    while True:
        try:
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return ended
        if info is None or info.si_pid in known:
            return ended
        os.waitpid(info.si_pid, 0)
        ended.add(info.si_pid)


def readable(fds: list[int], timeout_s: float) -> set[int]:
    """Those of the descriptors that can be read, as soon as there is one."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(max(0, timeout_s * 1000))}

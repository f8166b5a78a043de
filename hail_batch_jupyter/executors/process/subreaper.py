"""Processes that left their job's session come back to the runner, which ends them with their job."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Collection

from hail_batch_jupyter.executors.process.reaper import reap_others
from hail_batch_jupyter.observe import procfs

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
"""Source: prctl(2)."""
_CHILDREN = "/proc/self/task/{}/children"
"""Pids of this process's children, each with a blank behind it; source: proc(5)."""
_PAGE = 4096
_STRAYS_S = 2.0
_PAUSE_S = 0.001


def become_subreaper() -> None:
    """Make orphans of this process's descendants its children; without effect where the system cannot."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Have this process killed when the thread that forked it ends; without effect where the system cannot."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def kill_orphans(running: Collection[str], known: Collection[int]) -> None:
    """Kill children of this process that are not `known` and belong to an attempt that is not `running` any more."""
    for pid in children():
        if pid not in known:
            attempt = procfs.environment(pid).get(procfs.ATTEMPT_VARIABLE.encode())
            if attempt is not None and attempt.decode() not in running:
                _kill_session(pid)


def kill_strays(helpers: Collection[int]) -> None:
    """Kill every child but the `helpers`; for the end of a run, when each other one is a stray, whatever its environment says.

    Killing one may bring its own children here, so it is done until there are none, or for two seconds.
    """
    deadline = time.monotonic() + _STRAYS_S
    while time.monotonic() < deadline:
        reap_others(helpers)
        strays = [pid for pid in children() if pid not in helpers]
        if not strays:
            return
        for pid in strays:
            _kill_session(pid)
        time.sleep(_PAUSE_S)


def children() -> list[int]:
    """Pids of this process's children."""
    try:
        with open(_CHILDREN.format(os.getpid())) as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


class ChildCount:
    """Counts this process's children, ended ones that were not reaped included, in 1 µs; must be made in the main thread."""

    def __init__(self) -> None:
        self._fd = os.open(_CHILDREN.format(os.getpid()), os.O_RDONLY | os.O_CLOEXEC) if os.path.exists(_CHILDREN.format(os.getpid())) else -1

    def count(self) -> int:
        """So many; -1 when it cannot be known, or there are hundreds."""
        if self._fd < 0:
            return -1
        data = os.pread(self._fd, _PAGE, 0)
        return data.count(b" ") if len(data) < _PAGE else -1

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)


def _kill_session(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue

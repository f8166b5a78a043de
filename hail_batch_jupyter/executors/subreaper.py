"""Processes that left their job's session come back to the runner, which ends them with their job."""

from __future__ import annotations

import os
import signal
import sys
from typing import Collection

from hail_batch_jupyter.observe import procfs

_PR_SET_CHILD_SUBREAPER = 36
"""Source: prctl(2)."""


def become_subreaper() -> None:
    """Make orphans of this process's descendants its children; without effect where the system cannot."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_orphans(running: Collection[str], known: Collection[int]) -> None:
    """Kill children of this process that are not `known` and belong to an attempt that is not `running` any more."""
    for pid in _children():
        if pid not in known:
            attempt = procfs.environment(pid).get(procfs.ATTEMPT_VARIABLE.encode())
            if attempt is not None and attempt.decode() not in running:
                _kill_session(pid)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def _kill_session(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue

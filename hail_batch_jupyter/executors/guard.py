"""The parent of a runner: ends what a killed runner leaves behind, and keeps what its jobs had achieved.

When the runner is killed its jobs become children of this process, those that have ended but were not seen included:
their success is noted in the file `done` of the run, the rest is ended. A run that has ended needs neither.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from hail_batch_jupyter.executors.subreaper import children, kill_strays
from hail_batch_jupyter.observe import procfs
from hail_batch_jupyter.observe.recover import open_attempts
from hail_batch_jupyter.observe.sweep import sweep

_DEAF = (signal.SIGINT, signal.SIGHUP)


def guard(directory: Path, runner: int) -> int:
    """Wait for the runner, then leave no process of the run; gives the exit code of the runner."""
    for number in _DEAF:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(runner, signal.SIGTERM))
    os.close(0)
    ended = _wait_for(runner)
    status = ended.pop(runner)
    if status:  # killed, or ended by an exception; a run that ended well may already have been removed
        if os.WIFSIGNALED(status):
            sys.stderr.write(f"the runner was killed by signal {os.WTERMSIG(status)}\n")
        try:
            _note_successes(directory, ended)
        finally:
            sweep(directory)
    kill_strays(())
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _wait_for(runner: int) -> dict[int, int]:
    """Wait statuses by pid of what has ended: the runner, and what came from it and was seen before it."""
    ended: dict[int, int] = {}
    while runner not in ended:
        pid, status = os.waitpid(-1, 0)
        ended[pid] = status
    return ended


def _note_successes(directory: Path, ended: dict[int, int]) -> None:
    """Stop every job, and note those that had ended well before they could be stopped.

    A job that is asked to end may end well too, so the two must not be mixed up; nothing can refuse to be stopped.
    Every child is stopped before anything else is looked at: one that is just being started has no environment to know it by.
    """
    statuses = {**ended, **{pid: _stopped(pid) for pid in children()}}
    attempts = open_attempts(directory)
    with open(directory / "done", "a") as done:
        for pid, status in statuses.items():
            if pid in attempts and status is not None and os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
                done.write(f"{attempts[pid]}\n")
    for pid in children():
        if procfs.RUN_VARIABLE.encode() not in procfs.environment(pid):
            os.kill(pid, signal.SIGCONT)  # what an engine keeps beside a container, and needs to end it


def _stopped(pid: int) -> int | None:
    """Stop a child of this process; its wait status, None if it is no child."""
    try:
        os.kill(pid, signal.SIGSTOP)
        return os.waitpid(pid, os.WUNTRACED)[1]
    except (ChildProcessError, ProcessLookupError):
        return None

"""The parent of a runner: ends what a killed runner leaves behind, and keeps what its jobs had achieved.

When the runner is killed its jobs become children of this process, those that have ended but were not seen included:
their success is noted in the file `done` of the run, the rest is ended. A run that has ended needs neither.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from hail_batch_jupyter.executors.process.subreaper import children, kill_strays
from hail_batch_jupyter.observe import procfs
from hail_batch_jupyter.observe.recover import started
from hail_batch_jupyter.observe.sweep import sweep

_DEAF = (signal.SIGINT, signal.SIGHUP)


def guard(directory: Path, runner: int) -> int:
    """Wait for the runner, then leave no process of the run; gives the exit code of the runner."""
    for number in _DEAF:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(runner, signal.SIGTERM))
    os.close(0)
    status = os.waitpid(runner, 0)[1]
    if status:  # killed, or ended by an exception; a run that ended well may already have been removed
        if os.WIFSIGNALED(status):
            sys.stderr.write(f"the runner was killed by signal {os.WTERMSIG(status)}\n")
        try:
            _note_successes(directory)
        finally:
            sweep(directory)
    kill_strays(())
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _note_successes(directory: Path) -> None:
    """Stop every job, and note those that had ended well before they could be stopped.

    A job that is asked to end may end well too, so the two must not be mixed up; nothing can refuse to be stopped.
    Every child is stopped before anything else is looked at: one that is just being started has no environment to know it by.
    """
    pids = children()
    leaders = {pid for pid in pids if (facts := procfs.stat(pid)) and facts.session == pid}
    statuses = {pid: _stopped(pid) for pid in pids}
    well = {pid for pid, status in statuses.items() if status is not None and os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0}
    known = started(directory)
    attempts = [known.open[pid] for pid in well if pid in known.open]
    if known.unwritten and len((well & leaders) - known.leaders) == 1 and not _lives(known.unwritten, leaders - well):
        attempts.append(known.unwritten)
    with open(directory / "done", "a") as done:
        done.writelines(f"{attempt}\n" for attempt in attempts)
    for pid in children():
        if procfs.RUN_VARIABLE.encode() not in procfs.environment(pid):
            os.kill(pid, signal.SIGCONT)  # what an engine keeps beside a container, and needs to end it


def _lives(attempt: str, leaders: Iterable[int]) -> bool:
    """Whether one of the leaders is that of the attempt."""
    return any(procfs.environment(pid).get(procfs.ATTEMPT_VARIABLE.encode()) == attempt.encode() for pid in leaders)


def _stopped(pid: int) -> int | None:
    """Stop a child of this process; its wait status, None if it is no child."""
    try:
        os.kill(pid, signal.SIGSTOP)
        return os.waitpid(pid, os.WUNTRACED)[1]
    except (ChildProcessError, ProcessLookupError):
        return None

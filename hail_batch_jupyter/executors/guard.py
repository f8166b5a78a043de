"""The parent of a runner: ends what a killed runner leaves behind, and keeps what its jobs had achieved.

When the runner is killed its jobs become children of this process, those that have ended but were not seen included:
their success is noted in the file `done` of the run, the rest is ended. A run that has ended needs neither.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from hail_batch_jupyter.executors.subreaper import become_subreaper
from hail_batch_jupyter.observe.recover import open_attempts
from hail_batch_jupyter.observe.sweep import sweep

_DEAF = (signal.SIGINT, signal.SIGHUP)


def guard(directory: Path, runner: int) -> int:
    """Wait for the runner, then leave no process of the run; gives the exit code of the runner."""
    for number in _DEAF:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(runner, signal.SIGTERM))
    os.close(0)
    become_subreaper()
    status = _wait_for(runner)
    if not (directory / "ended").exists():
        _note_successes(directory)
        sweep(directory)
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _wait_for(runner: int) -> int:
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == runner:
            return status


def _note_successes(directory: Path) -> None:
    """Stop every job, and note those that had ended well before they could be stopped.

    A job that is asked to end may end well too, so the two must not be mixed up; nothing can refuse to be stopped.
    """
    with open(directory / "done", "a") as done:
        for pid, attempt_id in open_attempts(directory).items():
            if _ended_well(pid):
                done.write(f"{attempt_id}\n")
    sys.stderr.write("the runner was killed\n")


def _ended_well(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGSTOP)
        _, status = os.waitpid(pid, os.WUNTRACED)
    except (ChildProcessError, ProcessLookupError):
        return False
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0

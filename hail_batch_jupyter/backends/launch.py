"""Starting the runner of a run from a process of any size, and letting go of it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.executors.process.spawn import encode, spawn
from hail_batch_jupyter.observe import owner
from hail_batch_jupyter.observe.environment import environment_at_start, job_environment

if TYPE_CHECKING:
    from types import TracebackType

_RUNNER = Path(__file__).resolve().parents[1] / "engine" / "runner.py"
_STARTED: dict[int, int | None] = {}
"""Pid of each runner that this process started -> the pipe whose end ends a tied run, None for one that goes on alone."""


class Launch:
    """A runner that gets itself ready, which takes 35 ms, while its orders are made; without orders it ends with the `with` block.

    It may be another `script` that takes orders so. It has the environment of the moment at which it was started.
    """

    def __init__(self, script: Path = _RUNNER) -> None:
        _reap()
        reads, self._writes = os.pipe()
        self._words, words = os.pipe()
        env = encode(job_environment(os.environ, environment_at_start()))
        try:
            self._pid = spawn([sys.executable, "-I", "-S", str(script)], env, None, words, stdin=reads)
        finally:
            os.close(reads)
            os.close(words)
        _STARTED[self._pid] = self._writes
        self._given = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._words >= 0:
            os.close(self._words)
            self._words = -1
        if not self._given:
            _let_go(self._pid)

    def give(self, directory: Path, orders: dict[str, Any], *, tied: bool) -> None:
        """Let it run the run in `directory`; the orders are never written to a disk.

        A tied run ends when this process ends. Raises SubmitError with the runner's own words when it has died.
        """
        (directory / "runner.log").write_text("what the runner itself has to say\n")  # takes a block now, so that there is room to say that there is none
        owner.write_owner(directory, self._pid)
        try:
            with os.fdopen(os.dup(self._writes), "wb") as pipe:
                pipe.write(json.dumps({**orders, "directory": str(directory), "tied": tied}).encode() + b"\n")
        except BrokenPipeError:
            words = os.read(self._words, 1 << 16).decode(errors="replace").strip().splitlines()
            raise SubmitError(f"the runner could not start ({words[-1] if words else 'it said nothing'}); reinstall hail-batch-jupyter") from None
        self._given = True
        if not tied:
            _let_go(self._pid)


def _let_go(pid: int) -> None:
    pipe = _STARTED.get(pid)
    if pipe is not None:
        _STARTED[pid] = None
        os.close(pipe)


def _reap() -> None:
    """Let the system forget runners that have ended; several threads may do this at once."""
    for pid in list(_STARTED):
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            ended = pid
        if ended:
            pipe = _STARTED.pop(pid, None)
            if pipe is not None:
                os.close(pipe)

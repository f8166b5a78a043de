"""Starting the runner of a run from a process of any size, and letting go of it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from hail_batch_jupyter.backends.environment import environment_at_start, job_environment
from hail_batch_jupyter.executors.spawn import encode, spawn
from hail_batch_jupyter.observe import owner

_RUNNER = Path(__file__).resolve().parents[1] / "engine" / "runner.py"
_STARTED: dict[int, int | None] = {}
"""Pid of each runner that this process started -> the pipe whose end ends a tied run, None for one that goes on alone."""


def start_runner(directory: Path, orders: dict[str, Any], *, tied: bool) -> None:
    """Start the runner of the run in `directory` and give it its orders, which are never written to a disk.

    A tied run ends when this process ends.
    """
    _reap()
    with open(directory / "runner.log", "a") as log:
        log.write("what the runner itself has to say\n")  # takes a block now, so that there is room to say that there is none
    reads, writes = os.pipe()
    env = encode(job_environment(os.environ, environment_at_start()))
    argv = [sys.executable, "-I", "-S", str(_RUNNER), str(directory)]
    try:
        pid = spawn(argv, env, None, str(directory / "runner.log"), stdin=reads)
    finally:
        os.close(reads)
    owner.write_owner(directory, pid)
    with os.fdopen(os.dup(writes), "wb") as pipe:
        pipe.write(json.dumps({**orders, "tied": tied}).encode() + b"\n")
    if not tied:
        os.close(writes)
    _STARTED[pid] = writes if tied else None


def _reap() -> None:
    """Let the system forget runners that have ended."""
    for pid, pipe in list(_STARTED.items()):
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            ended = pid
        if ended:
            del _STARTED[pid]
            if pipe is not None:
                os.close(pipe)

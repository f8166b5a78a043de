"""Runs whose runner or maker is killed: starting them from a process of their own, killing, looking at what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.observe.attach import attach
from hail_batch_jupyter.observe.running import RunningBatch
from tests.conftest import wait_until
from tests.engine.jobs import gone, processes
from tests.requirements import ROOT

LEFT_S = 90
"""A guard asks, waits two seconds and kills, when the machine lets it."""


def runner_pid(running: RunningBatch) -> int:
    """The process that holds the engine of a run; it writes its number down when it lives."""
    assert running.directory is not None
    path = running.directory / "owner"
    facts = wait_until(lambda: (found := json.loads(path.read_text())) and "guard" in found and found, story=path.read_text)
    return int(facts["pid"])


def guard_pid(running: RunningBatch) -> int:
    """The process that ends what a killed runner leaves."""
    runner_pid(running)
    assert running.directory is not None
    return int(json.loads((running.directory / "owner").read_text())["guard"])


def kill_runner(running: RunningBatch) -> None:
    """SIGKILL the runner and wait until no process of the run is left."""
    runner = runner_pid(running)
    os.kill(runner, signal.SIGKILL)
    wait_until(lambda: gone(runner))
    nothing_left(running)


def nothing_left(running: RunningBatch) -> None:
    """Wait until no process of the run is left."""
    wait_until(lambda: not processes(running), LEFT_S, story=lambda: processes(running))


@contextmanager
def maker(spec: str, *, detach: bool) -> Iterator[tuple[subprocess.Popen[str], RunningBatch]]:
    """A process that submits the spec that the Python expression `spec` gives and then waits; and the handle on its run, from here."""
    lines = [
        "import sys",
        "from hail_batch_jupyter.core.ports import SubmitOptions",
        "from tests.engine.jobs import *",
        f"running = submit({spec}, detach={detach}, keep_files=True)",
        "print(running.id, flush=True)",
        "sys.stdin.read()",
    ]
    process = subprocess.Popen([sys.executable, "-c", "\n".join(lines)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        run_id = process.stdout.readline().strip()
        yield process, attach(run_id)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def again(spec: BatchSpec, previous: RunningBatch) -> BatchSpec:
    """The same spec as a run that follows another one."""
    return spec._replace(previous_run=str(previous.id))


def lines(path: Path) -> list[str]:
    """Lines of a file, none if it is not there."""
    return path.read_text().splitlines() if path.exists() else []

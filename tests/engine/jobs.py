"""Specs of small real jobs, and running them on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec, Edge, JobSpec, Transfer
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe import procfs
from hail_batch_jupyter.observe.journal import read_events
from hail_batch_jupyter.observe.running import RunningBatch
from tests.conftest import wait_until

LONG_S = 120.0
"""Longer than any run of these tests takes, on any machine."""
HOLD = "mkfifo hold; read -r _ < hold"
"""Bash that waits for ever, in itself and not in a program, so that nobody but bash has to end."""


class Gate:
    """A place where one job waits until it is let through; `shell` is what the job says."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._path = path
        self._here = path.with_suffix(".here")
        self.shell = f": > '{self._here}'; read -r _ < '{path}'"

    def reached(self) -> None:
        """Wait until the job stands there."""
        exists(self._here)

    def let_through(self) -> None:
        """Wait until the job stands there, and let it go on."""
        fd = self._open()
        os.write(fd, b"\n")
        os.close(fd)

    def _open(self) -> int:
        return wait_until(self._try, story=lambda: f"nobody reads {self._path}")

    def _try(self) -> int:
        try:
            return os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return 0


def bash(job_id: int, script: str, after: Iterable[int | Edge] = (), **settings: Any) -> JobSpec:
    """A bash job with its key made from the script, working in its own folder 'd<number>'."""
    settings.setdefault("name", f"job{job_id}")
    settings.setdefault("key", f"{settings['name']}: {script}")
    settings.setdefault("directory", f"d{job_id}")
    edges = tuple(Edge(parent) if isinstance(parent, int) else parent for parent in after)
    return JobSpec(job_id, kind="bash", command=("/bin/bash", "-c", f"set -e\n{script}\n"), parents=edges, **settings)


def batch(*jobs: JobSpec, **settings: Any) -> BatchSpec:
    """A spec of these jobs."""
    settings.setdefault("name", "test")
    return BatchSpec(jobs=jobs, **settings)


def submit(spec: BatchSpec | JobSpec, *more: JobSpec, backend: Any = None, **options: Any) -> RunningBatch:
    """Begin a run; `options` are those of SubmitOptions. Jobs alone are made into a spec."""
    whole = batch(spec, *more) if isinstance(spec, JobSpec) else spec
    running = (backend or LocalBackend()).submit(whole, SubmitOptions(**options))
    assert isinstance(running, RunningBatch)
    return running


def run(spec: BatchSpec | JobSpec, *more: JobSpec, backend: Any = None, **options: Any) -> RunningBatch:
    """Run to the end."""
    running = submit(spec, *more, backend=backend, **options)
    running.wait(LONG_S)
    return running


def states(running: RunningBatch) -> str:
    """One letter a job, in their order: P, R, C and X (running) while it goes on, S, F, E and K (cancelled) at its end."""
    letters = {JobState.RUNNING: "X", JobState.CANCELLED: "K"}
    return "".join(letters.get(view.state, view.state.value[0]) for view in running.snapshot().jobs)


def timed_out(made: Callable[[float], BatchSpec | JobSpec], come: Path) -> RunningBatch:
    """The run of a job, made with its time limit, that had come so far as to make a file; it has longer where a busy machine did not let it."""
    for timeout_s in (1.5, 6.0, 24.0, 96.0):
        running = run(made(timeout_s))
        if come.exists():
            return running
    pytest.fail(f"{come.name} was never made: {running.snapshot()}")


def begun(running: RunningBatch, *job_ids: int) -> None:
    """Wait until the run knows that these jobs have begun: what a job does may be seen before its runner has written that down."""
    wait_until(lambda: all(running.attempts(job_id) for job_id in job_ids), story=lambda: states(running))


def main_log(running: RunningBatch, job_id: int = 1) -> str:
    """What a job printed."""
    return running.get_job_log(job_id)["main"]


def output(job_id: int, name: str, dest: Path | str) -> dict[str, tuple[Any, ...]]:
    """Settings of a job that promises `name` and writes it to `dest`."""
    inside = f"d{job_id}/{name}"
    return {"promises": (inside,), "outputs": (Transfer(f"{SCRATCH}/{inside}", str(dest)),)}


def processes(running: RunningBatch) -> dict[int, bytes]:
    """Living processes of a run, found by the run's id in their environment: pid -> command."""
    return {pid: command(pid) for pid in procfs.processes_of(procfs.RUN_VARIABLE, str(running.id))}


def command(pid: int) -> bytes:
    """The command line of a process, b'' if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").strip()
    except OSError:
        return b""


def commands() -> list[bytes]:
    """Command lines of all processes of the machine that had not ended when they were looked at."""
    return [command(pid) for pid in procfs.pids()]


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    facts = procfs.stat(pid)
    return facts is None or facts.zombie


def pid_in(path: Path) -> int:
    """The number that a job writes to a file, when it has."""
    return int(wait_until(lambda: path.exists() and path.read_text().strip(), story=lambda: f"no number in {path}"))


def exists(*paths: Path) -> None:
    """Wait until all of these are there."""
    wait_until(lambda: all(path.exists() for path in paths), story=lambda: [path.name for path in paths if not path.exists()])


def events_per_state(running: RunningBatch) -> Mapping[tuple[int, str], int]:
    """(job id, state) -> how often the journal has it."""
    assert running.directory is not None
    found: dict[tuple[int, str], int] = {}
    for event in read_events(running.directory / "events.jsonl"):
        if event.state is not None:
            key = (event.job_id, event.state.value)
            found[key] = found.get(key, 0) + 1
    return found


def files_holding(folder: Path, text: str) -> list[str]:
    """Files below a folder that hold a text, links not followed."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            if path.is_file() and not path.is_symlink() and text.encode() in path.read_bytes():
                found.append(str(path.relative_to(folder)))
    return found

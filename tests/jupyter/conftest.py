"""Shells, runs that are told what happened, and real runs for the notebook's tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.spec import BatchSpec, Edge, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.running import RunningBatch
from tests.conftest import RUNS
from tests.jupyter.jupyter_server import Server


class ToldPort:
    """A port whose events are told by the test; the run is alive until it has ended."""

    def __init__(self) -> None:
        self.told: list[JobEvent] = []
        self.logs: dict[int, bytes] = {}
        self.cancelled = False
        self.dead = False

    def tell(self, job_id: int, state: JobState | None = None, attempt: int = 0, **words: Any) -> None:
        """Append an event."""
        self.told.append(JobEvent(len(self.told) + 1, 1_000_000 + 100 * len(self.told), job_id, state, attempt, **words))

    def events(self, after: int, timeout_s: float) -> Sequence[JobEvent]:
        if len(self.told) <= after and timeout_s:
            time.sleep(min(timeout_s, 0.01))
        return self.told[after:]

    def log(self, job_id: int, container: str = "main", attempt: int | None = None, start: int = 0, length: int | None = None) -> bytes:
        data = self.logs.get(job_id, b"") if container == "main" else b""
        data = data[start:]
        return data if length is None else data[:length]

    def cancel(self) -> None:
        self.cancelled = True

    def alive(self) -> bool:
        return not self.dead and not any(event.phase == "end" for event in self.told)

    def delete(self) -> None:
        raise AssertionError("no test deletes a run that is told")


def job_spec(number: int, name: str | None, parents: Sequence[int] = (), **words: Any) -> JobSpec:
    """A bash job of that number."""
    edges = tuple(Edge(parent) for parent in parents)
    return JobSpec(number, f"key {name}", name, "bash", ("/bin/bash", "-c", "true"), f"job-{number}", parents=edges, **words)


@pytest.fixture
def told_run() -> Callable[..., tuple[RunningBatch, ToldPort]]:
    """Makes a run of jobs given as (name, parents), and the port by which the test tells what happens."""

    def make(*jobs: tuple[str | None, Sequence[int]], name: str = "told") -> tuple[RunningBatch, ToldPort]:
        port = ToldPort()
        spec = BatchSpec(name, tuple(job_spec(number, job, parents) for number, (job, parents) in enumerate(jobs, 1)))
        return RunningBatch("20260101-000000-told-abc123", spec, port), port

    return make


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder of this test's own, and no notebook."""
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


class Cells:
    """Runs cells in an IPython shell, as a terminal does."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.names: dict[str, Any] = shell.user_ns

    def run(self, cell: str) -> Any:
        """The value of the cell; raises what the cell raised."""
        result = self.shell.run_cell(cell, store_history=False)
        result.raise_error()
        return result.result

    def __getitem__(self, name: str) -> Any:
        return self.names[name]


@pytest.fixture
def cells(work: Path) -> Iterator[Cells]:
    """A shell of its own with the extension loaded, in a folder of its own."""
    from IPython.core.interactiveshell import InteractiveShell

    config = Config()
    config.HistoryManager.enabled = False
    InteractiveShell.clear_instance()
    shell: Any = InteractiveShell.instance(config=config)
    made = Cells(shell)
    from hail_batch_jupyter.jupyter.extension import load_ipython_extension

    load_ipython_extension(shell)
    yield made
    InteractiveShell.clear_instance()


@pytest.fixture(scope="module")
def module_server(all_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Jupyter server of a module, with a folder of runs beside it."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("server")
        patch.setenv(RUNS, str(all_runs / folder.name))
        made = Server(folder)
    try:
        yield made.wait()
    finally:
        made.close()


@pytest.fixture
def server(module_server: Server, all_runs: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The Jupyter server, whose runs this process makes and sees, too; there are none at first."""
    monkeypatch.setenv(RUNS, str(all_runs / module_server.root.name))
    for run in rundir.list_runs():
        rundir.remove(run.directory)
    return module_server

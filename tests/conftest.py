"""What every test gets: run directories of its own, waiting without sleeping, and a look at what it left behind."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

from tests.recorder import Recorder
from tests.requirements import ROOT, requires

pytest_plugins = ["tests.slurm_cluster", "tests.ssh_server"]
"""One cluster and one server for all folders."""
settings.register_profile("facts", deadline=None)
settings.load_profile("facts")
"""How long an example takes is no fact of the code: the machine may be busy."""
RUN = b"HAIL_BATCH_JUPYTER_RUN"
RUNS = "HAIL_BATCH_JUPYTER_RUNS"
LEFT_BEHIND_S = 90.0
"""A run that was told to stop may take this long: TERM, two seconds, KILL, and a machine that has other things to do."""

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout_s: float = 90, story: Callable[[], object] | None = None) -> T:
    """The first true answer of `condition`; fails after `timeout_s`, telling `story()`."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            pytest.fail(f"not within {timeout_s} s" + (f": {story()}" if story else ""))
        time.sleep(0.01)


_PORTS_OF_EACH = 5_000
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = itertools.count(random.randrange(_PORTS_OF_EACH))


def free_port() -> int:
    """A TCP port of the loopback interface on which nobody listens, and which nobody else gets before it is used.

    It is below those that the system gives away by itself, given once, and not among those of tests that run beside these.
    """
    while True:
        port = 11_000 + _WORKER % 4 * _PORTS_OF_EACH + next(_PORTS) % _PORTS_OF_EACH
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def processes_of_runs(folder: Path) -> dict[int, str]:
    """Living processes that belong to a run below `folder`: pid -> run and command."""
    names = {path.name for path in folder.glob("*/*")}
    return {pid: told for pid in _pids() if (told := _run_of(pid, folder, names))}


def _pids() -> list[int]:
    proc = Path("/proc")
    return [int(path.name) for path in proc.iterdir() if path.name.isdigit() and int(path.name) != os.getpid()] if proc.is_dir() else []


def _run_of(pid: int, folder: Path, names: set[str]) -> str:
    try:
        environment = dict(pair.partition(b"=")[::2] for pair in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
    run = environment.get(RUN, b"").decode(errors="replace")
    below = environment.get(RUNS.encode(), b"").decode(errors="replace")
    # A zombie has neither an environment nor a command.
    ours = bool(run) and (run in names or Path(below).is_relative_to(folder))
    return f"run {run} in {below or 'unknown folder'}: {command}" if ours else ""


@pytest.fixture(scope="session", autouse=True)
def all_runs() -> Iterator[Path]:
    """The folder below which each test has its run directories; at the end no process of these may be left."""
    folder = Path(tempfile.mkdtemp(prefix="hbj-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUNS, str(folder / "session"))
        yield folder
    try:
        wait_until(lambda: not processes_of_runs(folder), LEFT_BEHIND_S, lambda: f"processes left behind: {processes_of_runs(folder)}")
    finally:
        for pid in processes_of_runs(folder):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def runs(all_runs: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This test's own $HAIL_BATCH_JUPYTER_RUNS, with a short path named for it."""
    stem = re.sub(r"\W+", "-", request.node.name)[:40].strip("-")
    folder = Path(tempfile.mkdtemp(prefix=f"{stem}-", dir=all_runs))
    monkeypatch.setenv(RUNS, str(folder))
    return folder


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A recording batch service that settings and environment point to; nothing of the user's settings is seen."""
    recorder = Recorder()
    for name in [name for name in os.environ if name.startswith("HAIL_") and name != RUNS]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "tokens.json").write_text(json.dumps({"default": recorder.token}))
    place = {"HAIL_TERRA": "1", "HAIL_LOCATION": "gce", "HAIL_DOMAIN": f"127.0.0.1:{recorder.port}", "HAIL_TOKENS_FILE": str(tmp_path / "tokens.json")}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HAIL_BATCH_BILLING_PROJECT", "lab-a")
    monkeypatch.setenv("HAIL_BATCH_REMOTE_TMPDIR", f"file://{tmp_path}/remote")
    yield recorder
    recorder.close()


@pytest.fixture
def screenshots() -> Path:
    """The git-ignored folder for pictures of the browser tests."""
    folder = ROOT / "screenshots"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def kill_moments() -> int:
    """At how many random moments a kill series kills; `make soak` says more."""
    return int(os.environ.get("KILL_MOMENTS", "5"))


def pytest_configure() -> None:
    """A shell that runs tests in the background has interrupts ignored, and all that tests start would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail tests whose components are missing, before their fixtures are made."""
    for marker in item.iter_markers("requires"):
        for name in marker.args:
            requires(name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what was skipped for want of a component."""
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in terminalreporter.getreports("skipped"))
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped: {reason} ({count} {'test' if count == 1 else 'tests'})")

"""Processes with a time limit that leave nothing behind; the only place of the benchmark that starts any."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.case import MeasurementFailed, NotAvailable, Values

SCRIPTS = Path(__file__).parent / "scripts"
MARK = "HBJ_BENCHMARK_MARK"
"""Environment variable that every process of a sample inherits: a runner in a session of its own is found by it."""
FOREIGN = frozenset({"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"})
"""Variables of the `make` that called us: with them a measured make would take part in that one's job server."""
SETTLE_S = 3.0
"""How long a tool's own background processes may take to end by themselves before they are killed."""
MISSING = ("ImportError", "ModuleNotFoundError", "AttributeError: module 'hail_batch_jupyter")
"""Last lines that say that a part of the measured library is not there (yet)."""


@dataclass(frozen=True)
class Finished:
    """A process that ended by itself: its exit code, wall time in seconds and printed text (both streams)."""

    exit_code: int
    elapsed_s: float
    text: str

    def last_line(self) -> str:
        """The last line with words in it, where tools put their reason, without terminal colours."""
        lines = [line.strip() for line in self.text.splitlines() if any(map(str.isalnum, line))]
        return lines[-1][:300] if lines else "no output"


def run(argv: Sequence[str], directory: Path, *, timeout_s: float, environment: Mapping[str, str] | None = None) -> Finished:
    """Run a command in `directory` to its end and wait until all it started is gone, too.

    Raises MeasurementFailed when it takes longer than `timeout_s`; it and its children are killed then.
    """
    mark = uuid.uuid4().hex
    inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    variables = {**inherited, **(environment or {}), MARK: mark, "TMPDIR": str(directory)}
    output = directory / f"output-{mark}.txt"
    with output.open("wb") as sink:
        started_s = time.perf_counter()
        process = subprocess.Popen(
            argv,
            cwd=directory,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            exit_code, elapsed_s = _wait(process, timeout_s), time.perf_counter() - started_s
        finally:
            _clear(process, mark)
    if elapsed_s >= timeout_s:
        raise MeasurementFailed(f"took more than {timeout_s:g} s and was stopped: {' '.join(argv[:3])}")
    return Finished(exit_code, elapsed_s, output.read_text(errors="replace"))


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> int:
    """Exit code of the process, which is killed after `timeout_s`.

    A timer and a blocking wait, because `Popen.wait(timeout)` polls, every 1 to 50 ms: all imports
    between 8 and 16 ms would be measured as 16 ms.
    """
    timer = threading.Timer(timeout_s, _signal_group, [process.pid])
    timer.start()
    try:
        return process.wait()
    finally:
        timer.cancel()


def run_script(python: str | Path, script: str, directory: Path, *arguments: str | int, timeout_s: float) -> Values:
    """Run `scripts/<script>` with an interpreter; the script writes its sample as JSON to the file named first.

    Raises NotAvailable when it stopped at an import, MeasurementFailed when it failed otherwise.
    """
    result = directory / "result.json"
    result.unlink(missing_ok=True)
    argv = [str(python), str(SCRIPTS / script), str(result), *map(str, arguments)]
    environment = {
        "PATH": f"{Path(python).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HAIL_BATCH_JUPYTER_RUNS": str(directory / "runs"),
        "PYTHONWARNINGS": "ignore",
    }
    finished = run(argv, directory, timeout_s=timeout_s, environment=environment)
    if finished.exit_code == 0 and result.exists():
        values: Values = json.loads(result.read_text())
        return values
    if finished.last_line().startswith(MISSING):
        raise NotAvailable(f"not available yet: {finished.last_line()}")
    raise MeasurementFailed(f"exit code {finished.exit_code}: {finished.last_line()}")


def own_python() -> str:
    """The interpreter that runs the benchmark, which is the one that has this project installed."""
    return sys.executable


def marked_processes(mark: str) -> list[int]:
    """Ids of live processes whose environment holds the mark; [] where there is no /proc."""
    needle = f"{MARK}={mark}".encode()
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _carries(entry, needle)]


def _carries(process: Path, needle: bytes) -> bool:
    try:
        return needle in (process / "environ").read_bytes()
    except OSError:
        return False


def _clear(process: subprocess.Popen[bytes], mark: str) -> None:
    """Kill the process if it still runs, then what it left behind, after a moment to end by itself."""
    if process.poll() is None:
        _signal_group(process.pid)
        process.wait()
    deadline_s = time.monotonic() + SETTLE_S
    while (left := marked_processes(mark)) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    for pid in left:
        _signal(pid)
    while marked_processes(mark) and time.monotonic() < deadline_s + SETTLE_S:
        time.sleep(0.02)


def _signal_group(group_id: int) -> None:
    try:
        os.killpg(group_id, signal.SIGKILL)
    except ProcessLookupError:
        return


def _signal(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return

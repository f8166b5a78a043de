"""The program that measures in containers, started here as there."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hail_batch_jupyter.core.events import Usage
from hail_batch_jupyter.core.ports import Attempt
from hail_batch_jupyter.core.spec import JobSpec
from hail_batch_jupyter.executors.container import meter
from hail_batch_jupyter.executors.container.meter import MACHINES, measured, meter_here, read_report
from tests.engine.jobs import exists

PROGRAMS = Path(meter.__file__).parent
MIB = 1 << 20


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = meter_here(str(tmp_path))
    if not path:
        pytest.skip(f"there is no such program for {sys.platform} on {os.uname().machine}")
    return path


def run(program: str, report: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, str(report), *argv], env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("machine", MACHINES)
def test_the_programs_are_made_of_their_source_as_it_is(machine: str) -> None:
    source = hashlib.sha256((PROGRAMS / "meter.c").read_bytes()).hexdigest()

    assert source.encode() in (PROGRAMS / f"meter-{machine}").read_bytes(), "run `make meter`"


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("kill 0; exit 5", 143), ("exit 255", 255)]
)
def test_the_exit_code_is_that_of_the_command(program: str, tmp_path: Path, script: str, code: int) -> None:
    assert run(program, tmp_path / "r", "bash", "-c", script).returncode == code
    assert read_report(str(tmp_path / "r")) is not None


def test_what_cannot_be_started_says_why(program: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program\n")
    odd = tmp_path / "odd"
    odd.write_bytes(b"\1\2\3")
    odd.chmod(0o755)

    done = [run(program, tmp_path / "r", *argv) for argv in (["/no/shell", "-c"], ["no-such-program"], [str(plain)], [str(odd)])]

    assert [(one.returncode, one.stderr) for one in done] == [
        (127, "could not start '/no/shell': not found\n"),
        (127, "could not start 'no-such-program': not found\n"),
        (126, f"could not start '{plain}': permission denied\n"),
        (126, f"could not start '{odd}': not a program of this machine\n"),
    ]


def test_a_command_is_looked_for_on_path_and_gets_arguments_variables_and_folder(program: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mine").write_text('#!/bin/sh\necho "$# $2 $X $PWD"\nexit 4\n')
    (tmp_path / "bin" / "mine").chmod(0o755)

    done = subprocess.run(
        [program, "r", "mine", "a", "b c"], cwd=tmp_path, env={"PATH": f"/none:{tmp_path}/bin:/bin", "X": "1"}, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (4, f"2 b c 1 {tmp_path}\n")
    assert (tmp_path / "r").stat().st_size == 48


def test_the_memory_is_that_of_the_largest_process_and_the_time_that_of_all(program: str, tmp_path: Path) -> None:
    takes = f"""{sys.executable} -c 'import os; x = bytearray(80 << 20); sum(range(2_000_000)); open("pid", "w").write(str(os.getpid()))'"""
    wait = "until [ -s pid ]; do read -rt 0.01 <> hold; done; while [ -e /proc/$(cat pid) ]; do read -rt 0.01 <> hold; done"
    jobs = {"small": ":", "left": f"( {takes} & ); {wait}", "large": takes, "failed": f"{takes}; exit 3"}
    os.mkfifo(tmp_path / "hold")

    used = {}
    for name, script in jobs.items():
        subprocess.run([program, name, "bash", "-c", script], cwd=tmp_path, check=False)
        found = read_report(str(tmp_path / name))
        assert found is not None
        used[name] = found

    assert used["small"].max_rss_bytes < 8 * MIB, "neither this process nor the program itself is counted"
    assert all(80 * MIB < used[name].max_rss_bytes < 200 * MIB for name in ("large", "failed", "left")), used
    assert all(used["small"].cpu_s < used[name].cpu_s for name in ("large", "failed", "left")), used


def test_a_signal_is_passed_on(program: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hold")
    process = subprocess.Popen([program, "r", "bash", "-c", "trap 'exit 5' TERM; : > here; while :; do read -rt 0.01 <> hold; done"], cwd=tmp_path)
    exists(tmp_path / "here")

    process.send_signal(signal.SIGTERM)

    assert process.wait() == 5
    assert read_report(str(tmp_path / "r")) is not None


def test_without_a_place_for_the_report_the_command_runs(program: str, tmp_path: Path) -> None:
    assert run(program, tmp_path / "none" / "r", "bash", "-c", "exit 6").returncode == 6


@pytest.mark.parametrize("text", [b"", b"12 34", b"a" * 48, b"-1 5\n", b"1" * 46 + b" 1\n"])
def test_a_report_that_is_none_says_nothing(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "r").write_bytes(text)

    assert read_report(str(tmp_path / "r")) is None


def test_a_report_that_is_no_file_says_nothing_and_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "good").write_bytes(b"%23d%24d\n" % (1, 2))
    (tmp_path / "link").symlink_to("good")

    assert [read_report(str(tmp_path / name)) for name in ("fifo", "link", "none", ".")] == [None, None, None, None]
    assert read_report(str(tmp_path / "good")) == Usage(1, 0.0)


def test_where_the_program_cannot_be_started_nothing_is_measured(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("no folder\n")

    assert meter_here(str(tmp_path / "scratch")) == ""


def test_an_attempt_is_measured_where_there_is_a_program() -> None:
    job = JobSpec(3, "k", None, "bash", ("bash", "-c", ":"), "d3")
    attempt = Attempt(job, 2, 0, job.command, {}, "/s/d3", "/log")

    assert measured(attempt, "/s/.meter/meter", "/s").argv == ("/s/.meter/meter", "/s/.meter/3.2", "bash", "-c", ":")
    assert measured(attempt, "", "/s") is attempt

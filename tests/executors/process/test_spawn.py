from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hail_batch_jupyter.core.events import Usage
from hail_batch_jupyter.executors.process.reaper import Reaper, readable
from hail_batch_jupyter.executors.process.spawn import encode, find_program, spawn


@pytest.fixture(autouse=True)
def _back_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """`spawn` changes the working directory of its caller."""
    monkeypatch.chdir(Path.cwd())


def test_a_spawned_program_has_the_given_directory_environment_and_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")

    pid = spawn(["/bin/sh", "-c", 'pwd; echo "$COLOUR" >&2; cat'], encode({"COLOUR": "blue"}), str(tmp_path), str(log))

    assert os.waitpid(pid, 0) == (pid, 0)
    assert log.read_text() == f"before\n{tmp_path}\nblue\n"


def test_a_log_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    pid = spawn(["/bin/true"], {}, str(tmp_path), str(tmp_path / "log"))
    os.waitpid(pid, 0)

    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_given_descriptor_is_its_standard_input(tmp_path: Path) -> None:
    reads, writes = os.pipe()
    pid = spawn(["/bin/cat"], {}, str(tmp_path), str(tmp_path / "log"), stdin=reads)
    os.close(reads)
    os.write(writes, b"from the pipe")
    os.close(writes)
    os.waitpid(pid, 0)

    assert (tmp_path / "log").read_text() == "from the pipe"


def test_a_spawned_program_leads_a_session_of_its_own(tmp_path: Path) -> None:
    pid = spawn(["/bin/sleep", "1000"], {}, str(tmp_path), str(tmp_path / "log"))
    try:
        assert os.getsid(pid) == pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_program_that_is_not_on_the_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"not found on PATH: 'no-such-program'"):
        spawn(["no-such-program"], {}, str(tmp_path), str(tmp_path / "log"), path="/bin")


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="/no/such/program"):
        spawn(["/no/such/program"], {}, str(tmp_path), str(tmp_path / "log"))


def test_a_program_is_looked_for_on_the_given_path(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)

    pid = spawn(["tool"], {}, str(tmp_path), str(tmp_path / "log"), path=f"/nowhere:{tmp_path}")
    os.waitpid(pid, 0)

    assert find_program("tool", f"/nowhere:{tmp_path}") == str(tool)
    assert (tmp_path / "log").read_text() == "found\n"


def test_no_descriptor_is_left_open_by_a_failed_start(tmp_path: Path) -> None:
    gc.collect()  # what tests before this one left to the collector, it closes now and not meanwhile
    before = sorted(os.listdir("/proc/self/fd"))
    for name in ("/no/such/program", str(tmp_path)):
        with pytest.raises(OSError, match=name):
            spawn([name], {}, str(tmp_path), str(tmp_path / "log"))

    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def reaper() -> Iterator[Reaper]:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:  # of tests before this one; servers that tests share go on
            pass
    reaper = Reaper()
    reaper.listen()
    yield reaper
    reaper.close()


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)])
def test_an_end_wakes_the_reaper_and_is_known_until_it_is_forgotten(tmp_path: Path, reaper: Reaper, script: str, code: int) -> None:
    pid = spawn(["/bin/sh", "-c", f"read -r _; {script}"], {}, str(tmp_path), str(tmp_path / "log"))

    assert readable([reaper.read_fd], 30) == {reaper.read_fd}
    reaper.drain()
    assert readable([reaper.read_fd], 0) == set()
    ended = reaper.peek()
    assert ended is not None
    assert (ended.pid, ended.exit_code) == (pid, code)
    assert reaper.peek() == ended
    reaper.forget(pid)
    assert reaper.peek() is None
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def test_what_the_reaper_says_of_usage_is_what_the_system_says_in_the_end(tmp_path: Path, reaper: Reaper) -> None:
    busy = "x = bytearray(60_000_000)\nsum(range(1_000_000))"
    spawn([sys.executable, "-I", "-S", "-c", busy], {}, str(tmp_path), str(tmp_path / "log"))
    assert readable([reaper.read_fd], 30)

    ended = reaper.peek()

    assert ended is not None
    _, _, used = os.wait4(ended.pid, 0)
    assert ended.usage == Usage(used.ru_maxrss * 1024, round(used.ru_utime + used.ru_stime, 3))
    assert ended.usage.max_rss_bytes > 60_000_000


def test_a_child_that_runs_has_not_ended(tmp_path: Path, reaper: Reaper) -> None:
    pid = spawn(["/bin/sleep", "1000"], {}, str(tmp_path), str(tmp_path / "log"))
    try:
        assert reaper.peek() is None
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_the_reaper_gives_the_signal_back() -> None:
    wakeup = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup)
    reaper = Reaper()
    reaper.listen()
    reaper.close()

    assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
    assert signal.set_wakeup_fd(-1) == wakeup
    signal.set_wakeup_fd(wakeup)


def test_nothing_is_readable_at_the_timeout() -> None:
    reads, writes = os.pipe()
    try:
        assert readable([reads], 0) == set()
        os.write(writes, b"x")
        assert readable([reads], 30) == {reads}
    finally:
        os.close(reads)
        os.close(writes)

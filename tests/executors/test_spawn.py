from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from hail_batch_jupyter.executors.reaper import Reaper, exit_code_of, readable
from hail_batch_jupyter.executors.spawn import find_program, spawn
from tests.conftest import wait_until


@pytest.fixture(autouse=True)
def _back_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """`spawn` changes the working directory of its caller."""
    monkeypatch.chdir(Path.cwd())


def test_a_spawned_program_has_the_given_directory_environment_and_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")

    pid = spawn(["/bin/sh", "-c", 'pwd; echo "$COLOUR" >&2; cat'], {"COLOUR": "blue"}, str(tmp_path), str(log))
    _, status = os.waitpid(pid, 0)

    assert exit_code_of(status) == 0
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
        _, status = os.waitpid(pid, 0)
    assert exit_code_of(status) == 137


@pytest.mark.parametrize(
    ("name", "message"), [("/no/such/program", "/no/such/program: no such program"), ("no-such-program", "no-such-program: not found on PATH")]
)
def test_a_missing_program_is_named(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(FileNotFoundError, match=message):
        spawn([name], {"PATH": "/bin"}, str(tmp_path), str(tmp_path / "log"))


def test_a_program_is_looked_for_on_the_path_of_its_own_environment(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)

    assert find_program("tool", {"PATH": f"/nowhere:{tmp_path}"}) == str(tool)
    assert find_program(str(tool), {}) == str(tool)


def test_no_descriptor_is_left_open_by_a_failed_start(tmp_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for name in ("/no/such/program", str(tmp_path)):
        with pytest.raises(OSError, match="no such program|Permission denied"):
            spawn([name], {}, str(tmp_path), str(tmp_path / "log"))

    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)])
def test_the_reaper_wakes_and_tells_of_exit_and_usage(tmp_path: Path, script: str, code: int) -> None:
    reaper = Reaper()
    try:
        pid = spawn(["/bin/sh", "-c", script], {}, str(tmp_path), str(tmp_path / "log"))
        assert readable([reaper.read_fd], 30) == {reaper.read_fd}
        ended = wait_until(reaper.drain)
    finally:
        reaper.close()

    assert [(end.pid, end.exit_code) for end in ended] == [(pid, code)]
    assert ended[0].usage.max_rss_bytes > 0


def test_the_reaper_gives_the_signal_back() -> None:
    wakeup = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup)
    reaper = Reaper()
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

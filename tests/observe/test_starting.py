"""Looking whether a batch goes on and starting it is one step, whoever else does it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.observe import numbered_note, procfs, rundir
from hail_batch_jupyter.observe.starting import one_start
from tests.at_once import two
from tests.requirements import ROOT

WITHOUT_LOCKS = """
import errno, fcntl, os
def flock(fd, how):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
fcntl.flock = flock
"""
"""A file system without locks, as far as a process can see."""
COUNT = """
import sys
from pathlib import Path
from hail_batch_jupyter.observe.starting import one_start
count = Path(sys.argv[1])
def act(times):
    for _ in range(int(times)):
        with one_start("b"):
            before = int(count.read_text())
            count.write_text(str(before + 1))
    return "done"
"""
HOLD = """
from hail_batch_jupyter.observe.starting import one_start
with one_start("b"):
    print("inside", flush=True)
    input()
"""
SYSTEMS = [pytest.param("", id="locks"), pytest.param(WITHOUT_LOCKS, id="notes")]

pytestmark = pytest.mark.usefixtures("runs")


@pytest.mark.parametrize("system", SYSTEMS)
def test_only_one_of_two_processes_is_inside(system: str, tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")

    with two(system + COUNT, str(count)) as both:
        assert both.act("150") == ["done", "done"]

    assert count.read_text() == "300"


@pytest.mark.parametrize("system", SYSTEMS)
def test_who_is_killed_is_inside_no_longer(system: str, tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", system + HOLD], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "inside\n"
    count = tmp_path / "count"
    count.write_text("0")

    with two(system + COUNT, str(count)) as both:
        for process in both.both:
            assert process.stdin is not None
            process.stdin.write("1\n")
            process.stdin.flush()
        assert count.read_text() == "0"
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
        assert [process.stdout and process.stdout.readline() for process in both.both] == ["done\n", "done\n"]

    assert count.read_text() == "2"


def test_threads_of_one_process_are_told_apart_by_notes(tmp_path: Path) -> None:
    release = numbered_note.take(tmp_path)
    assert release is not None
    taken = []
    thread = threading.Thread(target=lambda: taken.append(numbered_note.take(tmp_path)))
    thread.start()
    thread.join()
    assert taken == [None]

    release()

    again = numbered_note.take(tmp_path)
    assert again is not None
    again()


@pytest.mark.parametrize(("silent_s", "free"), [pytest.param(0, False, id="heard-of"), pytest.param(61, True, id="silent")])
def test_the_note_of_another_host_counts_while_that_is_heard_of(silent_s: float, free: bool, tmp_path: Path) -> None:
    (tmp_path / "7").write_text(json.dumps({"host": "elsewhere", "boot": "", "pid": 1, "ticks": 1}))
    os.utime(tmp_path / "7", (time.time() - silent_s, time.time() - silent_s))

    release = numbered_note.take(tmp_path)

    assert (release is not None) == free
    assert os.listdir(tmp_path) == (["8"] if free else ["7"])
    if release is not None:
        release()


def test_a_note_from_before_the_machine_was_started_counts_no_more(tmp_path: Path) -> None:
    me = os.getpid()
    (tmp_path / "1").write_text(json.dumps({"host": procfs.host(), "boot": "before", "pid": me, "ticks": procfs.start_ticks(me)}))

    release = numbered_note.take(tmp_path)

    assert release is not None
    release()


def test_who_waits_long_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from hail_batch_jupyter.observe import starting

    monkeypatch.setattr(starting, "_LONG_S", 0.0)
    said = threading.Semaphore(0)
    inside = threading.Event()

    def wait() -> None:
        with one_start("b", said.release):
            inside.set()

    with one_start("b"):
        thread = threading.Thread(target=wait)
        thread.start()
        assert said.acquire(timeout=30)
        assert not inside.is_set()
    thread.join(30)

    assert inside.is_set()
    assert not said.acquire(blocking=False)


def test_batches_without_a_name_in_common_do_not_wait_for_one_another() -> None:
    with one_start(""), one_start(""):
        assert not rundir.runs_folder().joinpath(".hbj").exists()


def test_a_folder_of_runs_that_cannot_be_written_is_named(runs: Path) -> None:
    (runs / ".hbj").write_text("in the way")

    with pytest.raises(SubmitError, match=r"directory '.*/\.hbj/starting' cannot be written \(Not a directory\); free space or set HAIL"), one_start("b"):
        pass


def test_what_runs_share_is_no_run(runs: Path) -> None:
    with one_start("b"):
        pass

    assert [path.name for path in runs.iterdir()] == [".hbj"]
    assert rundir.run_ids() == []

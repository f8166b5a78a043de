from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.core.ports import Attempt
from hail_batch_jupyter.core.spec import JobSpec
from hail_batch_jupyter.executors.slurm.script import JOB, task_program, task_text
from hail_batch_jupyter.executors.slurm.words import SlurmSettings
from hail_batch_jupyter.observe import slurm_jobs
from hail_batch_jupyter.observe.slurm_jobs import Word
from tests.conftest import wait_until
from tests.requirements import python_of
from tests.small_disks import mounted


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run's Slurm jobs, with its programs."""
    for name in ("words", "tasks", "stops", "logs"):
        (tmp_path / name).mkdir()
    (tmp_path / "job.sh").write_text(JOB)
    (tmp_path / "task.py").write_text(task_program())
    return tmp_path


def write(folder: Path, *scripts: str, **attempt: Any) -> None:
    """A task with an attempt for each script, the first one 1.1."""
    for number, script in enumerate(scripts, 1):
        job = JobSpec(number, "k", None, "bash", (), f"d{number}")
        (folder / job.directory).mkdir(exist_ok=True)
        argv = ("/bin/bash", "-c", script)
        made = Attempt(job, 1, 0, argv, {}, str(folder / job.directory), str(folder / "logs" / f"{number}.log"))._replace(**attempt)
        (folder / "tasks" / f"{number}.1.sh").write_text(task_text(made, "run", str(folder), SlurmSettings(setup=("echo set up",))))
    (folder / "1.list").write_text(" ".join(f"{number}.1" for number in range(1, len(scripts) + 1)) + "\n")


def begin(folder: Path, python: str = "", **env: str) -> subprocess.Popen[bytes]:
    argv = [python, "-I", "-S", str(folder / "task.py"), str(folder), "1"] if python else ["bash", str(folder / "job.sh"), str(folder), "1", sys.executable]
    return subprocess.Popen(argv, env={"PATH": os.environ["PATH"], "SLURM_ARRAY_TASK_ID": "0", "SLURMD_NODENAME": "n1", **env})


def word(folder: Path, number: int) -> Word | None:
    return slurm_jobs.read_word(folder, f"{number}.1")


@pytest.mark.parametrize("version", ["", "3.6", "3.9"])
def test_each_attempt_of_a_task_says_how_it_was(folder: Path, version: str) -> None:
    python = python_of(version) if version else ""
    if python is None:
        pytest.skip(f"python{version} not installed")
    write(folder, "echo one; exit 3", "echo two >&2; head -c 30000000 /dev/zero | tail -c 30000000 > /dev/null", "kill -9 $$")

    code = begin(folder, python).wait()

    words = [word(folder, number) for number in (1, 2, 3)]
    assert [(one.exit_code, one.signalled, one.restart, one.node, one.full) for one in words if one] == [(code, False, 0, "n1", False) for code in (3, 0, 137)]
    assert code == 137
    assert [one.at_most for one in words if one] == [True, False, True], "what the task itself needs is told of small jobs, and said to be"
    assert words[1] is not None and words[1].max_rss_bytes > 25_000_000 and words[1].cpu_s > 0 and 0 < words[1].began_ms <= words[1].ended_ms
    assert [(folder / "logs" / f"{number}.log").read_text() for number in (1, 2)] == ["set up\none\n", "set up\ntwo\n"]
    began = slurm_jobs.read_began(folder, "1.1")
    assert began is not None and began.node == "n1"


def test_one_attempt_of_a_task_is_ended_and_the_others_go_on(folder: Path) -> None:
    write(folder, "echo here; sleep 60", "sleep 60", "echo three")
    process = begin(folder)
    wait_until(lambda: (folder / "logs" / "1.log").exists() and "here" in (folder / "logs" / "1.log").read_text())

    (folder / "stops" / "1.1").write_text("TERM")
    (folder / "stops" / "2.1").write_text("TERM")
    process.send_signal(signal.SIGUSR1)

    assert process.wait(90) == 143
    assert [one.exit_code if (one := word(folder, number)) else None for number in (1, 2, 3)] == [143, 143, 0]
    assert not (folder / "logs" / "2.log").exists()


def test_a_task_that_is_told_to_end_begins_no_other_attempt(folder: Path) -> None:
    write(folder, "echo here; sleep 60 & wait", "echo two")
    process = begin(folder)
    wait_until(lambda: (folder / "logs" / "1.log").exists() and "here" in (folder / "logs" / "1.log").read_text())

    process.terminate()

    assert process.wait(90) == 143
    one = word(folder, 1)
    assert one is not None and (one.exit_code, one.signalled) == (143, True)
    assert word(folder, 2) is None


def test_what_ended_before_a_requeue_does_not_run_again(folder: Path) -> None:
    write(folder, "echo one", "ls -A; echo two", "echo three")
    for number, text in ((1, "0 0 0 1 2 3 0.1 0 n1\n"), (2, "143 1 0 1 2 3 0.1 0 n1\n")):
        (folder / "words" / f"{number}.1.ended").write_text(text)
    (folder / "d2" / "left").touch()
    (folder / "tasks" / "3.1.sh").unlink()  # its end was written down, so its files are gone

    begin(folder, SLURM_RESTART_COUNT="1").wait()

    assert [path.name for path in (folder / "logs").iterdir()] == ["2.log"]
    assert (folder / "logs" / "2.log").read_text() == "set up\ntwo\n"
    two = word(folder, 2)
    assert two is not None and (two.exit_code, two.restart) == (0, 1)


def test_a_node_that_does_not_see_the_folder_of_a_job_says_so(folder: Path) -> None:
    write(folder, "echo one", directory=str(folder / "nowhere"))

    begin(folder).wait()

    one = word(folder, 1)
    assert one is not None and one.failure == f"No such file or directory: {folder / 'nowhere'}"


def test_a_node_without_python_says_so(folder: Path) -> None:
    write(folder, "echo one", "echo two")
    text = (folder / "job.sh").read_text().replace("/usr/bin/python3 python3 /usr/libexec/platform-python", "/nowhere/python3")
    (folder / "job.sh").write_text(text)
    env = {"PATH": "/bin", "SLURM_ARRAY_TASK_ID": "0", "SLURMD_NODENAME": "n 1"}

    subprocess.run(["bash", str(folder / "job.sh"), str(folder), "1", ""], env=env, check=False)

    assert [(one.failure, one.node) for number in (1, 2) if (one := word(folder, number))] == [("found no Python 3.6 or later", "n 1")] * 2


def test_nothing_begins_in_a_closed_folder(folder: Path) -> None:
    write(folder, "echo one")
    (folder / "closed").touch()

    assert begin(folder).wait() == 0
    assert list((folder / "words").iterdir()) == []


def test_a_command_that_fills_the_disk_is_told_of_all_the_same(folder: Path, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "256k") as small:
        for name in ("words", "tasks", "stops", "logs"):
            (small / name).mkdir()
        write(small, f"head -c 1000000 /dev/zero > {small}/filler; exit 4", "exit 5")

        argv = [sys.executable, "-I", "-S", str(folder / "task.py"), str(small), "1"]
        task = subprocess.Popen(argv, env={"SLURM_ARRAY_TASK_ID": "0"})
        wait_until(lambda: word(small, 1))
        (small / "filler").unlink()

        assert task.wait() == 5
        assert [one.exit_code for number in (1, 2) if (one := word(small, number))] == [4, 5]

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hail_batch_jupyter.batch.batch import Batch
from hail_batch_jupyter.cli import main
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.observe.attach import attach
from hail_batch_jupyter.observe.environment import environment_at_start, own_names
from tests.requirements import ROOT


def command(folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit status, output and errors of a command with its configuration below `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HAIL_")}
    environment = {**kept, "XDG_CONFIG_HOME": str(folder), "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "hail_batch_jupyter", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, cwd=folder)
    return done.returncode, done.stdout, done.stderr


def test_settings_are_written_listed_and_forgotten(tmp_path: Path) -> None:
    assert command(tmp_path, "config", "set", "batch/billing_project", "lab-a") == (0, "", "")
    assert command(tmp_path, "config", "set", "domain", "lab.org") == (0, "", "")
    assert command(tmp_path, "config", "get", "batch/billing_project") == (0, "lab-a\n", "")
    assert command(tmp_path, "config", "list") == (0, "batch/billing_project=lab-a\ndomain=lab.org\n", "")
    assert command(tmp_path, "config", "list", "batch") == (0, "batch/billing_project=lab-a\n", "")
    assert command(tmp_path, "config", "unset", "domain") == (0, "", "")
    status, output, errors = command(tmp_path, "config", "get", "domain")
    assert (status, output) == (1, "")
    assert "domain has no value; give it one with: hail-batch-jupyter config set domain VALUE" in errors


def test_a_reader_that_has_read_enough_is_no_error(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    argv = [sys.executable, "-m", "hail_batch_jupyter", "config", "config-location"]
    with open(write, "wb") as pipe:
        done = subprocess.run(argv, stdout=pipe, stderr=subprocess.PIPE, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (141, b"")


def test_profiles_are_made_loaded_and_listed(tmp_path: Path) -> None:
    assert command(tmp_path, "config", "profile", "create", "work")[0] == 0
    assert command(tmp_path, "config", "profile", "load", "work")[0] == 0
    assert command(tmp_path, "config", "profile", "list")[1] == "  default\n* work\n"
    assert command(tmp_path, "config", "config-location")[1] == f"{tmp_path}/hail/work.ini\n"


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["config", "set", "batch/backends", "local"], 1, "there is no setting 'batch/backends'; did you mean batch/backend"),
        (["config", "set", "batch/backend", "cloud"], 1, "it must be one of local, slurm, service"),
        (["config", "profile", "load", "work"], 1, "there is no profile 'work'; the profiles are: default"),
        (["config", "unset", "domain"], 1, "has no value in profile 'default'"),
        (["confg"], 2, "config"),
        ([], 2, "COMMAND"),
    ],
)
def test_mistakes_are_told_in_one_sentence(tmp_path: Path, words: list[str], status: int, told: str) -> None:
    done = command(tmp_path, *words)

    assert (done[0], done[1]) == (status, "")
    assert told in done[2]
    assert "Traceback" not in done[2]


def test_help_names_every_setting(tmp_path: Path) -> None:
    from hail_batch_jupyter.config.variables import VARIABLES

    status, output, _ = command(tmp_path, "config", "--help")

    assert status == 0
    assert [name for name in VARIABLES if name not in output] == []


def test_a_run_is_retried_from_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_start = environment_at_start()
    for name in own_names():  # a terminal has nothing of what this process has set
        monkeypatch.setenv(name, at_start[name]) if name in at_start else monkeypatch.delenv(name)
    running = Batch(name="mends")
    running.new_job(name="second").command(f"test -e {tmp_path}/fixed")
    running.new_job(name="third").command("false")
    first = running.backend.submit(running.compile(), SubmitOptions(keep_files=True, detach=True))
    first.wait(90)
    (tmp_path / "fixed").touch()
    retry = [sys.executable, "-m", "hail_batch_jupyter", "retry"]

    done = subprocess.run([*retry, str(first.id), "--job", "1"], cwd=ROOT, capture_output=True, text=True, check=False)
    refused = subprocess.run([*retry, str(first.id), "--job", "7"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (refused.returncode, refused.stderr) == (1, f"hail-batch-jupyter: run {first.id} has no job 7; its jobs are 1 to 2: second, third\n")
    assert (done.returncode, done.stderr) == (0, "")
    again = attach(done.stdout.strip())
    again.wait(90)
    assert [job["state"] for job in again.jobs()] == ["Success", "Cancelled"]


def test_a_run_is_listed_waited_for_read_and_cancelled_from_a_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good, bad, held = Batch(name="good"), Batch(name="bad"), Batch(name="held")
    good.new_job(name="word").command("printf 'one\\ntwo\\n'")
    bad.new_job(name="fails").command("exit 3")
    held.new_job(name="waits").command(f"mkfifo {tmp_path}/gate; read -r _ < {tmp_path}/gate")
    runs = [one.backend.submit(one.compile(), SubmitOptions(keep_files=True, detach=True)) for one in (good, bad, held)]
    ids = [str(one.id) for one in runs]

    codes = [main(["wait", ids[0]]), main(["wait", ids[1]])]
    told = capfd.readouterr()
    main(["runs"])
    listed = [line.split()[:2] for line in capfd.readouterr().out.splitlines()]
    main(["log", ids[0], "word"])
    main(["log", ids[0], "1", "--tail", "1"])
    log = capfd.readouterr().out
    main(["cancel", ids[2], "--job", "waits"])
    main(["wait", ids[2]])
    last = capfd.readouterr().out

    assert codes == [0, 1]
    assert told.out.splitlines() == [f"{ids[0]}: success, 1 of 1 jobs succeeded", f"{ids[1]}: failure, 0 of 1 jobs succeeded"]
    assert "job 'fails' failed with exit code 3" in told.err
    assert sorted(listed) == sorted([[ids[0], "succeeded"], [ids[1], "failed"], [ids[2], "running"]])
    assert log == "one\ntwo\ntwo\n"
    assert last.splitlines() == [f"jobs of run {ids[2]} are being cancelled", f"{ids[2]}: cancelled, 0 of 1 jobs succeeded"]
    assert main(["log", ids[0], "wrod"]) == 1
    assert f"run {ids[0]} has no job wrod; its jobs are 1 to 1: word" in capfd.readouterr().err

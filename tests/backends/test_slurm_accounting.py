from __future__ import annotations

import os
from pathlib import Path

import pytest

from hail_batch_jupyter import SlurmBackend
from hail_batch_jupyter.core.retry import Retry
from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.executors.slurm.calls import Calls
from hail_batch_jupyter.executors.slurm.words import Line, SlurmSettings
from hail_batch_jupyter.observe.slurm_jobs import Client
from tests.conftest import wait_until
from tests.engine.jobs import bash, batch, run, states
from tests.slurm_accounting import slurm_accounting  # noqa: F401 - a fixture
from tests.slurm_cluster import SlurmCluster

pytestmark = [pytest.mark.requires("slurm accounting"), pytest.mark.usefixtures("slurm_accounting")]

LARGE = "head -c 400000000 /dev/zero | tail -c 400000000 > /dev/null"
"""A pipe whose second half needs 400 MB."""


def test_a_limit_of_the_accounting_on_submitted_jobs_is_waited_for() -> None:
    running = run(batch(*(bash(number, ":") for number in range(1, 13))), backend=SlurmBackend(qos="few"))

    assert states(running) == "S" * 12


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        (SlurmBackend(partition="nowhere"), "partition='nowhere' is none of main, second"),
        (SlurmBackend(account="theirs"), "account='theirs' with qos=None, and your accounts are lab"),
        (SlurmBackend(qos="gold"), "qos='gold' is none of few, normal"),
    ],
)
def test_a_refusal_names_the_choices(backend: SlurmBackend, words: str) -> None:
    running = run(bash(1, ":"), backend=backend)

    assert running.get_job(1)["reason"].startswith("could not start: sbatch refused it: Invalid")
    assert words in running.get_job(1)["reason"]


def test_what_the_controller_has_forgotten_is_asked_of_the_accounting(tmp_path: Path, slurm_accounting: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - the fixture
    array = slurm_accounting.run("sbatch", "--parsable", "--array=0-1", "--output=/dev/null", "--wrap=exit $SLURM_ARRAY_TASK_ID").strip()
    (tmp_path / "squeue").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    calls = Calls(Client(os.environ), "hbj-run", tmp_path, SlurmSettings(), lambda *_: None)
    assert calls.site().accounting

    ended = {f"{array}_0": Line("COMPLETED", ""), f"{array}_1": Line("FAILED", "")}
    wait_until(lambda: calls.look(frozenset(ended)).lines == ended, story=lambda: calls.look(frozenset(ended)))


def test_values_of_env_do_not_stand_in_the_accounting_that_keeps_scripts_and_variables(slurm_accounting: SlurmCluster) -> None:  # noqa: F811 - the fixture
    secret = "hush-31415926"

    running = run(bash(1, 'test "$TOKEN"', env={"TOKEN": secret}), backend=SlurmBackend())
    named = ["sacct", "--noheader", "--allocations", f"--name=hbj-{running.id}", "--starttime=now-1hour", "--state=COMPLETED", "--endtime=now"]
    array = wait_until(lambda: slurm_accounting.run(*named, "--format=JobIDRaw").strip())
    script, variables, facts = (
        slurm_accounting.run("sacct", "--parsable2", f"--jobs={array}", words) for words in ("--batch-script", "--env-vars", "--format=ALL")
    )

    assert states(running) == "S"
    assert ("task.py" in script, "PATH=" in variables, f"hbj-{running.id}" in facts) == (True, True, True)
    assert secret not in script + variables + facts


@pytest.mark.requires("memory control group")
def test_a_job_that_ran_out_of_memory_is_tried_again_with_more() -> None:
    retry = Retry(attempts=2, on=("out of memory",), memory_factor=6)

    running = run(bash(1, LARGE, request=Request(memory_bytes=100 << 20), retry=retry), backend=SlurmBackend())

    assert states(running) == "S"
    assert [(view.exit_code, view.reason) for view in running.snapshot().jobs[0].attempts] == [(137, "out of memory"), (0, "")]


@pytest.mark.requires("memory control group")
def test_a_job_that_makes_little_of_what_was_killed_has_failed() -> None:
    running = run(bash(1, f"{LARGE} || true", request=Request(memory_bytes=100 << 20)), backend=SlurmBackend())

    assert states(running) == "F"
    assert running.get_job(1)["reason"] == "out of memory"

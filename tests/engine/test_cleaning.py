"""A runner removes what is overdue when its own run has ended."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hail_batch_jupyter.observe import rundir
from tests.conftest import wait_until
from tests.engine.jobs import bash, run

MONTHS_AGO_S = time.time() - 70 * 86_400


def ended_long_ago() -> Path:
    """A run of a script."""
    running = run(bash(1, "echo old"))
    assert running.directory is not None
    os.utime(running.directory / "ended", (MONTHS_AGO_S, MONTHS_AGO_S))
    return running.directory


def runner_log(directory: Path | None) -> str:
    assert directory is not None
    return (directory / "runner.log").read_text()


def test_what_is_overdue_goes_when_the_next_run_has_ended(runs: Path) -> None:
    old = ended_long_ago()

    running = run(bash(1, "echo new"))

    wait_until(lambda: not old.exists())
    assert running.directory is not None
    assert [path.name for path in runs.iterdir()] == [running.directory.name]
    assert rundir.info(running.directory).outcome == "success"


def test_a_setting_that_cannot_be_read_fails_no_run_and_is_told_in_the_runner_s_log(monkeypatch: pytest.MonkeyPatch) -> None:
    old = ended_long_ago()
    monkeypatch.setenv("HAIL_BATCH_KEEP_RUNS_DAYS", "long")

    running = run(bash(1, "echo new"))

    assert running.status()["state"] == "success"
    wait_until(lambda: "old runs were not removed: batch/keep_runs_days is 'long'" in runner_log(running.directory))
    assert old.exists()

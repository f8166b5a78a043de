"""Runs with prices: ends tell what attempts cost, and a budget keeps jobs from starting."""

from __future__ import annotations

from pathlib import Path

import pytest

from hail_batch_jupyter.core.spec import Budget
from hail_batch_jupyter.cost.card import card_data, load_card
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import attach
from tests.conftest import wait_until
from tests.engine.jobs import HOLD, LONG_S, Gate, bash, batch, begun, pid_in, run, states, submit
from tests.engine.killing import kill_runner

PRICED = card_data(load_card("core-hours:3600"))
"""A dollar for a second of a core."""


def test_ends_tell_what_attempts_cost_and_the_run_adds_them_up() -> None:
    running = run(batch(bash(1, "sleep 0.1"), bash(2, "exit 3"), card=PRICED))
    snapshot = running.snapshot()

    lasted = [view.duration_s for view in snapshot.jobs]
    assert [view.cost_usd for view in snapshot.jobs] == pytest.approx(lasted)
    assert running.status()["cost"] == pytest.approx(running.cost_usd)
    assert running.cost_text().endswith("· core-hours:3600 (rate as set)")
    totals = rundir.info(rundir.find(str(running.id))).totals
    assert totals is not None
    assert totals.cost_usd == pytest.approx(running.cost_usd)


def test_without_a_card_nothing_is_charged() -> None:
    running = run(bash(1, ":"))

    assert (running.status()["cost"], running.cost_usd, running.cost_text()) == (0, 0, "no charge on this machine")


def test_the_setting_prices_a_run_and_stays_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_BATCH_RATE_CARD", "core-hours:3600")
    running = run(bash(1, "sleep 0.1"))
    monkeypatch.setenv("HAIL_BATCH_RATE_CARD", "hail")

    again = attach(str(running.id))

    assert again.costs() == running.costs()
    assert again.costs().priced_by == "core-hours:3600 (rate as set)"


def test_a_spent_budget_starts_no_more_jobs_but_those_that_always_run(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    jobs = [bash(1, gate.shell), bash(2, ":", [1]), bash(3, ":", [2]), bash(4, ":", [2], always_run=True)]
    running = submit(batch(*jobs, card=PRICED, budget=Budget(0.01)))
    wait_until(lambda: "was reached" in running.snapshot().note, story=running.snapshot)
    gate.let_through()

    running.wait(LONG_S)

    assert states(running) == "SKKS"
    assert running.get_job(2)["reason"] == "not started: the limit of $0.0100 was reached"
    assert "by rate card core-hours:3600 (rate as set)); 2 jobs were not started" in running.snapshot().note
    assert running.status()["state"] == "cancelled"


def test_what_a_running_job_will_probably_cost_counts_at_once(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    spec = batch(bash(1, gate.shell), bash(2, ":", [1]), card=PRICED, budget=Budget(3600, (2 * 3_600_000, 0)))
    running = submit(spec)
    wait_until(lambda: "was reached" in running.snapshot().note, story=running.snapshot)
    gate.let_through()

    running.wait(LONG_S)

    assert states(running) == "SK"
    assert "$0 spent by jobs that ended, $7,200.00 by those that run" in running.snapshot().note


def test_a_budget_of_which_little_is_left_is_told_and_changes_nothing(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    budget = Budget(9_000, (int(2.1 * 3_600_000), 0))
    running = submit(batch(bash(1, gate.shell), bash(2, ":", [1]), card=PRICED, budget=budget))
    wait_until(lambda: running.snapshot().note, story=running.snapshot)
    gate.let_through()

    running.wait(LONG_S)

    assert states(running) == "SS"
    spent = "$0 spent by jobs that ended, $7,560.00 by those that run, by rate card core-hours:3600 (rate as set)"
    assert running.snapshot().note == f"$7,560.00 of the limit of $9,000.00 are spent ({spent})"


def test_a_budget_that_is_not_spent_changes_nothing() -> None:
    running = run(batch(bash(1, ":"), bash(2, ":", [1]), card=PRICED, budget=Budget(1e6)))

    assert states(running) == "SS"
    assert running.snapshot().note == ""


def test_what_a_killed_runner_had_started_is_charged_until_it_was_closed(tmp_path: Path) -> None:
    running = submit(batch(bash(1, f"echo $$ > {tmp_path}/pid; {HOLD}"), card=PRICED))
    begun(running, 1)
    pid_in(tmp_path / "pid")
    kill_runner(running)

    closed = attach(str(running.id))

    assert states(closed) == "K"
    assert closed.status()["cost"] == pytest.approx(closed.cost_usd)
    assert closed.cost_usd > 0

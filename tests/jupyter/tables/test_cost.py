"""The cost of a run in the notebook: the line of a dry run, %batch_cost, the tables, and %batch_run --max-cost."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pytest
from IPython.core.error import UsageError

from hail_batch_jupyter.errors import BatchException, CapabilityError, ConfigError, UnitError
from hail_batch_jupyter.jupyter.tables.costframe import JOB_COLUMNS, STAGE_COLUMNS, cost_frame


@pytest.fixture
def priced(cells: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A shell whose batch has two stages, where a second of a core is a dollar."""
    monkeypatch.setenv("HAIL_BATCH_RATE_CARD", "core-hours:3600")
    cells.run("b = %batch b")
    cells.run("%%batch_job fit --each i=range(2)\nsleep 0.1; echo {i} > {fit.model}")
    cells.run("%%batch_job plot --timeout 1h\ncat {fit.model} > {plot.all}")
    return cells


def run_to_the_end(cells: Any) -> None:
    cells.run("%batch_run")
    cells.run("%batch_wait")


def test_a_dry_run_ends_with_what_the_run_will_cost(priced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    priced.run("%batch_run --dry-run")

    assert capsys.readouterr().out.splitlines()[-1] == (
        "cost: $3,600.00 expected, $0 to $3,600.00, by rate card core-hours:3600 (rate as set); "
        "1 job at most, from the timeout; not counted: 2 jobs of which nothing is known"
    )


def test_after_a_run_a_dry_run_counts_what_is_taken_over_as_nothing(priced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run_to_the_end(priced)
    capsys.readouterr()

    priced.run("%batch_run --dry-run")
    said = capsys.readouterr().out
    assert said.startswith("0 jobs would run, 3 would be taken over from an earlier run\n")
    assert "# 1: fit-0 (taken over)" in said
    assert said.splitlines()[-1].startswith("cost: $0 expected, $0 to $")
    priced.run("%batch_run --dry-run --fresh")
    assert capsys.readouterr().out.splitlines()[-1].endswith("3 jobs from earlier runs of the same job")


def test_a_table_has_what_each_stage_cost(priced: Any) -> None:
    run_to_the_end(priced)

    frame = priced.run("%batch_cost")

    assert tuple(frame.columns) == STAGE_COLUMNS
    assert list(frame["stage"]) == ["fit", "plot"]
    assert list(frame["jobs"]) == [2, 1]
    assert frame["so_far_usd"].sum() == pytest.approx(frame["core_hours"].sum() * 3600)
    assert (frame["finished_usd"] == frame["so_far_usd"]).all()
    assert (frame["rest_usd"] == 0).all()
    assert frame.attrs["card"] == "core-hours:3600 (rate as set)"
    assert "priced by core-hours:3600 (rate as set)" in frame._repr_html_()


def test_a_table_of_jobs_has_documented_columns_and_dtypes(priced: Any) -> None:
    run_to_the_end(priced)

    frame = priced.run("%batch_cost --jobs")

    assert tuple(frame.columns) == JOB_COLUMNS
    dtypes = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert dtypes["job_id"] == "int64"
    assert (dtypes["name"], dtypes["stage"], dtypes["state"]) == ("string", "string", "category")
    assert (dtypes["memory_granted_bytes"], dtypes["finished_usd"], dtypes["compute_usd"]) == ("Int64", "float64", "float64")
    assert frame["so_far_usd"].sum() == pytest.approx(priced["b"].last_run.cost_usd)
    assert frame["compute_usd"].sum() == pytest.approx(frame["so_far_usd"].sum())
    assert priced.run("%batch_jobs")["cost_usd"].sum() == pytest.approx(frame["finished_usd"].sum())


def test_where_nothing_is_charged_core_hours_are_shown(cells: Any) -> None:
    cells.run("b = %batch b")
    cells.run("%%batch_job one\ntrue")
    run_to_the_end(cells)

    html = cells.run("%batch_cost")._repr_html_()

    assert "$" not in html
    assert "core-hours" in html
    assert "priced by this-machine (no charge)" in html


def test_before_the_first_run_and_on_demand_there_is_an_estimate(priced: Any) -> None:
    assert priced.run("%batch_cost").expected_usd == 3600
    assert priced.run("%batch_cost --estimate --card hail-classic").card.name == "hail-classic"

    run_to_the_end(priced)
    assert priced.run("%batch_cost --estimate").expected_usd == 0
    with pytest.raises(UsageError, match="a run keeps the rate card that it began with; write %batch_cost --estimate --card hail"):
        priced.run("%batch_cost --card hail")
    with pytest.raises(ConfigError, match="did you mean 'hail'"):
        priced.run("%batch_cost --estimate --card hial")


def test_a_limit_keeps_jobs_from_starting_and_says_so(priced: Any) -> None:
    priced.run("%batch_run --max-cost 0.01")
    priced["b"].last_run.wait(90)

    assert "the limit of $0.0100 was reached" in priced["b"].last_run.snapshot().note
    assert priced["b"].last_run.get_job(3)["reason"] == "not started: the limit of $0.0100 was reached"


@pytest.mark.parametrize("amount", ["0", "-1", "much", "inf"])
def test_a_limit_is_an_amount(priced: Any, amount: str) -> None:
    with pytest.raises(UnitError, match=f"cost '{amount}' is not an amount; write dollars above zero"):
        priced.run(f"%batch_run --max-cost {amount}")


def test_a_limit_needs_prices(cells: Any) -> None:
    cells.run("%batch b")
    cells.run("%%batch_job one\ntrue")

    with pytest.raises(
        CapabilityError, match=re.escape("by rate card this-machine (no charge) nothing is charged; name a card in the setting batch/rate_card")
    ):
        cells.run("%batch_run --max-cost 5")


def test_a_part_of_the_table_is_a_plain_frame(priced: Any) -> None:
    run_to_the_end(priced)
    frame = priced.run("%batch_cost")

    assert "priced by" not in frame[["stage", "jobs"]]._repr_html_()
    assert isinstance(frame.sort_values("so_far_usd"), pd.DataFrame)
    with pytest.raises(BatchException, match="cost_frame\\(by='day'\\): it is 'stage' or 'job'"):
        cost_frame(priced["b"].last_run, "day")


def test_a_running_job_costs_until_now_and_the_rest_is_told(told_run: Any) -> None:
    running, port = told_run(("<b>", []), ("fit-2", [1]))
    port.tell(0, phase="start")

    html = running.cost_frame("job")._repr_html_()

    assert "&lt;b&gt;" in html
    assert "waiting" in html

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from IPython.lib.pretty import pretty

from hail_batch_jupyter.core.events import Usage
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.jupyter.tables.jobsframe import LIMIT_BYTES
from hail_batch_jupyter.jupyter.tables.tables import attempts_frame, jobs_frame, runs_frame
from hail_batch_jupyter.observe.rundir import RunInfo

READY, RUNNING, SUCCESS, FAILED = JobState.READY, JobState.RUNNING, JobState.SUCCESS, JobState.FAILED
Told = Callable[..., tuple[Any, Any]]
DTYPES = {
    "job_id": "int64", "name": "string", "state": "category", "attempt": "string", "start": "datetime64[ms, UTC]", "end": "datetime64[ms, UTC]",
    "duration_s": "float64", "exit_code": "Int64", "reason": "string", "cores": "float64", "max_rss_bytes": "Int64", "max_rss_at_most": "bool",
    "cost_usd": "float64", "parents": "object", "reused": "bool", "cores_granted": "float64", "cores_used": "float64", "memory_bytes": "Int64",
    "memory_granted_bytes": "Int64", "gpus": "string", "group": "string", "hint": "string",
}  # fmt: skip


@pytest.fixture
def run(told_run: Told) -> Any:
    """A run of three jobs: one succeeded, one failed, one waits."""
    run, port = told_run(("load", ()), ("fit<b>", (1,)), (None, (1, 2)))
    for state in (READY, RUNNING):
        port.tell(1, state, 1)
    port.tell(1, SUCCESS, 1, exit_code=0, usage=Usage(5_000_000, 0.5))
    for state in (READY, RUNNING):
        port.tell(2, state, 2)
    port.tell(2, FAILED, 2, exit_code=9, reason="timed out")
    return run


def test_columns_have_the_documented_dtypes(run: Any) -> None:
    assert {name: str(dtype) for name, dtype in jobs_frame(run).dtypes.items()} == DTYPES


@pytest.mark.parametrize("query", ["running", "nothing of this name"])
def test_an_empty_table_has_them_too(run: Any, query: str) -> None:
    frame = jobs_frame(run, query)

    assert len(frame) == 0
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == DTYPES
    assert "0 jobs" in frame._repr_html_()


def test_rows_say_what_is_known(run: Any) -> None:
    frame = jobs_frame(run).set_index("job_id")

    assert frame["state"].tolist() == ["Success", "Failed", "Pending"]
    assert frame.loc[2, ["attempt", "exit_code", "reason", "parents"]].tolist() == ["2", 9, "timed out", [1]]
    assert frame.loc[1, "duration_s"] == pytest.approx(0.1)
    assert frame.loc[1, "end"] == pd.Timestamp(1_000_200, unit="ms", tz="UTC")
    assert pd.isna(frame.loc[3, "start"])
    assert frame.loc[3, "cores"] == 1.0
    assert list(frame["state"].cat.categories) == [state.value for state in JobState]


@pytest.mark.parametrize(("query", "names"), [("failed", ["fit<b>"]), ("FIT", ["fit<b>"]), ("success", ["load"]), ("", ["load", "fit<b>", ""])])
def test_a_filter_is_a_state_or_a_part_of_the_name(run: Any, query: str, names: list[str]) -> None:
    assert jobs_frame(run, query)["name"].tolist() == names


def test_it_is_a_dataframe_and_parts_of_it_are_too(run: Any) -> None:
    frame = jobs_frame(run)

    assert isinstance(frame[frame["state"] == "Failed"], pd.DataFrame)
    assert "<th" in frame[["name", "state"]]._repr_html_()
    assert frame.groupby("state", observed=True).size().to_dict() == {"Success": 1, "Failed": 1, "Pending": 1}


def test_html_shows_states_as_shape_and_word_and_escapes_text(run: Any) -> None:
    html = jobs_frame(run)._repr_html_()

    assert "✗</span> failed (timed out)" in html
    assert "fit&lt;b&gt;" in html
    assert "4.8 MiB" in html
    assert "0.1 s" in html


def test_in_a_terminal_it_is_as_narrow_as_what_it_says(run: Any) -> None:
    frame = jobs_frame(run)
    text = pretty(frame)

    assert text.splitlines()[0] == frame._repr_html_().split("</div>")[0].removeprefix("<div>")
    assert text.splitlines()[1].split() == ["job", "name", "state", "started", "duration", "exit", "code", "memory", "after"]
    assert re.search(r"^2 +fit<b> +failed .* 9 +load$", text, re.MULTILINE)
    assert text.splitlines()[-1] == "fit<b>: timed out"
    assert pretty(frame[["name"]]) == repr(frame[["name"]])
    assert pretty(jobs_frame(run, "nothing of this name")) == "0 jobs"
    assert pretty(attempts_frame(run)).splitlines()[0] == "2 attempts"
    assert pretty(run.cost_frame()).splitlines()[0].endswith("; priced by this-machine (no charge)")


@pytest.mark.parametrize("count", [59, 10_000])
def test_html_stays_small_at_any_size_with_failures_first(told_run: Told, count: int) -> None:
    run, port = told_run(*[(f"{'a long name ' * 10}{number}", ()) for number in range(count)])
    for state in (READY, RUNNING, FAILED):
        port.tell(count, state, 1, exit_code=1)

    html = jobs_frame(run)._repr_html_()

    assert len(html.encode()) <= LIMIT_BYTES
    assert "1 failed" in html
    if count > 60:
        assert html.index("</span> failed") < html.index("</span> waiting")
        assert "60 shown of 10000 jobs" in html


def test_attempts_are_a_table_with_one_row_each(told_run: Told) -> None:
    run, port = told_run(("flaky", ()), ("never", (1,)))
    port.tell(1, READY)
    port.tell(1, RUNNING, 1, phase="main")
    port.tell(1, READY, 1, exit_code=3, usage=Usage(1_000, 0.05, at_most=True), next_ms=1)
    port.tell(1, RUNNING, 2, phase="main")

    frame = attempts_frame(run)

    assert frame[["job_id", "name", "attempt"]].values.tolist() == [[1, "flaky", 1], [1, "flaky", 2]]
    assert frame["exit_code"].tolist() == [3, pd.NA]
    assert frame["max_rss_bytes"].tolist() == [1_000, pd.NA]
    assert frame["max_rss_at_most"].tolist() == [True, False]
    assert frame.loc[0, "cores_used"] == pytest.approx(0.05 / frame.loc[0, "duration_s"], rel=0.01)
    assert len(attempts_frame(run, "never")) == 0


def test_memory_that_may_have_been_less_is_shown_as_that(told_run: Told) -> None:
    run, port = told_run(("small", ()), ("large", ()))
    for job_id, at_most in ((1, True), (2, False)):
        port.tell(job_id, RUNNING, 1, phase="main")
        port.tell(job_id, SUCCESS, 1, exit_code=0, usage=Usage(13 << 20, 0.5, at_most))

    shown = jobs_frame(run)._repr_html_()

    assert shown.count("13.0 MiB") == 2
    assert shown.count("under 13.0 MiB") == 1


def test_what_a_run_shows_of_itself_are_these_tables(run: Any) -> None:
    assert run.jobs_frame("failed")["name"].tolist() == ["fit<b>"]
    assert run.attempts_frame()["attempt"].tolist() == [1, 2]


def test_rows_lead_to_logs_and_tell_cost_where_there_is_one(run: Any, tmp_path: Path) -> None:
    run.directory = tmp_path / "a run"

    html, attempts = run.jobs_frame()._repr_html_(), run.attempts_frame()._repr_html_()

    for text in (html, attempts):
        assert 'a%20run/logs/2.2.main.log" data-commandlinker-command="hail-batch-jupyter:open-run"' in text
        assert "&quot;job&quot;: 1}" in text
        assert "$" not in text
    assert html.count(">log</a>") == 2
    assert "failed (timed out)" in attempts
    run._port.tell(3, READY)
    run._port.tell(3, RUNNING, 1)
    run._port.tell(3, SUCCESS, 1, exit_code=0, cost_usd=0.0125)
    assert "$0.0125" in run.jobs_frame()._repr_html_()


RUN = RunInfo("r1", "study", "x::study", 3, 1_000_000, "live", Path("/r1"), "/r1/scratch", True, None, "/work/n.ipynb", "local")


def test_runs_are_a_table() -> None:
    frame = runs_frame([RUN])

    assert frame.loc[0, ["run", "name", "state", "jobs", "backend", "notebook"]].tolist() == ["r1", "study", "running", 3, "local", "/work/n.ipynb"]
    assert str(runs_frame([]).dtypes["started"]) == "datetime64[ms, UTC]"


@pytest.mark.parametrize(
    ("outcome", "word"), [("success", "succeeded"), ("failure", "failed"), ("cancelled", "cancelled"), ("lost", "stopped"), ("", "ended"), ("new", "ended")]
)
def test_runs_that_have_ended_say_how(outcome: str, word: str) -> None:
    ended = RUN._replace(state="ended", outcome=outcome, ended_ms=1_012_000)

    frame = runs_frame([ended])
    html = frame._repr_html_()

    assert frame.loc[0, ["state", "duration_s"]].tolist() == [word, 12.0]
    assert f"</span> {word}<" in html


def test_runs_are_shown_as_people_read_them() -> None:
    html = runs_frame([RUN._replace(name="<b>"), RUN._replace(state="dead")])._repr_html_()

    assert ">r1</code>" in html
    assert ">n.ipynb<" in html
    assert "&lt;b&gt;" in html
    assert "</span> stopped<" in html
    assert "+00:00" not in html


def test_parts_of_the_table_of_runs_are_tables() -> None:
    assert "<th" in runs_frame([RUN])[["run", "state"]]._repr_html_()


def test_a_job_s_parents_are_named_even_where_the_filter_leaves_them_out(run: Any) -> None:
    html = jobs_frame(run, "failed")._repr_html_()

    assert ">load<" in html
    assert "1 job: 1 failed" in html


@pytest.mark.parametrize(("query", "ids"), [("waiting", [3]), ("succeeded", [1]), ("pending", [3]), ("reused", [])])
def test_a_filter_may_be_a_word_that_the_widget_shows(run: Any, query: str, ids: list[int]) -> None:
    assert jobs_frame(run, query)["job_id"].tolist() == ids

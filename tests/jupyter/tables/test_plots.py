from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import BatchException, MissingPackageError

READY, RUNNING, SUCCESS, FAILED = JobState.READY, JobState.RUNNING, JobState.SUCCESS, JobState.FAILED
Told = Callable[..., tuple[Any, Any]]


@pytest.fixture(autouse=True)
def no_window(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pictures go nowhere, and are closed."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def ended(told_run: Told, cost_usd: float) -> Any:
    """Two jobs at once, of which one fails, then a third in the place of one of them."""
    run, port = told_run(("load", ()), ("fit", ()), ("plot", ()))
    port.tell(0, phase="start")
    for job_id in (1, 2):
        port.tell(job_id, READY)
        port.tell(job_id, RUNNING, 1)
    port.tell(1, SUCCESS, 1, exit_code=0, cost_usd=cost_usd)
    port.tell(2, FAILED, 1, exit_code=1)
    port.tell(3, READY)
    port.tell(3, RUNNING, 1)
    port.tell(3, SUCCESS, 1, exit_code=0, cost_usd=cost_usd)
    port.tell(0, phase="end")
    return run


def test_the_timeline_has_a_bar_for_each_attempt_and_a_row_for_each_place(told_run: Told) -> None:
    axes = ended(told_run, 0.0).plot()

    bars = {collection.get_label(): len(collection.get_paths()) for collection in axes.collections}
    assert bars == {"2 succeeded": 2, "1 failed": 1}
    rows = {round(path.vertices[:, 1].mean()) for collection in axes.collections for path in collection.get_paths()}
    assert rows == {0, 1}
    assert "told: failed, 2 of 3 jobs done" in axes.get_title(loc="left")
    assert axes.get_xlabel().startswith("time since 1970-01-01 00:16:40 UTC")


def test_rows_are_the_slots_of_the_live_timeline_counted_from_one(told_run: Told) -> None:
    run, port = told_run(("load", ()), ("fit", ()), ("plot", ()))
    for job_id, slot in ((1, 2), (2, 0), (3, 2)):
        port.tell(job_id, READY)
        port.tell(job_id, RUNNING, 1, slot=slot)
        port.tell(job_id, SUCCESS, 1, exit_code=0)

    axes = run.plot()

    rows = sorted(round(path.vertices[:, 1].mean()) for collection in axes.collections for path in collection.get_paths())
    assert (rows, axes.get_ylabel()) == ([0, 2, 2], "slot")
    assert [axes.yaxis.get_major_formatter()(row) for row in (0, 2)] == ["1", "3"]


def test_rows_of_a_backend_that_names_no_slots_are_rows(told_run: Told) -> None:
    assert ended(told_run, 0.0).plot().get_ylabel() == "row"


@pytest.mark.parametrize(("cost_usd", "label"), [(0.25, "dollars"), (0.0, "core hours\n(no charge on this machine)")])
def test_the_cost_accrues_or_core_hours_where_nothing_is_charged(told_run: Told, cost_usd: float, label: str) -> None:
    axes = ended(told_run, cost_usd).plot("cost")

    totals = list(axes.lines[0].get_ydata())
    assert axes.get_ylabel() == label
    assert totals == sorted(totals)
    assert totals[-1] == pytest.approx(2 * cost_usd if cost_usd else 0.6 / 3600)


def test_it_draws_into_the_axes_given(told_run: Told) -> None:
    from matplotlib import pyplot

    mine = pyplot.figure().subplots()

    assert ended(told_run, 0.0).plot("cost", ax=mine) is mine


def test_a_run_that_has_not_begun_is_drawn_too(told_run: Told) -> None:
    axes = told_run(("load", ()))[0].plot()

    assert "waiting" in axes.get_title(loc="left")


def test_another_kind_names_those_there_are(told_run: Told) -> None:
    with pytest.raises(BatchException, match=r"plot kind 'pie' is not known; use one of: timeline, cost"):
        told_run(("load", ()))[0].plot("pie")


def test_without_matplotlib_one_sentence_says_so(told_run: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(MissingPackageError, match=r"^run\.plot\(\) draws with matplotlib, which is not installed; pip install 'hail-batch-jupyter\[plot\]'$"):
        told_run(("load", ()))[0].plot()

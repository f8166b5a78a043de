from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.jupyter import display
from hail_batch_jupyter.jupyter.live.publisher import Publisher
from tests.conftest import wait_until

READY, RUNNING, SUCCESS, FAILED = JobState.READY, JobState.RUNNING, JobState.SUCCESS, JobState.FAILED
Told = Callable[..., tuple[Any, Any]]

pytestmark = pytest.mark.requires("built front end")


@pytest.fixture(autouse=True)
def nothing_shown() -> Iterator[None]:
    """What a test shows is forgotten at its end."""
    yield
    from ipywidgets import Widget

    Widget.close_all()
    display._SHOWN.clear()


def test_the_views_of_a_run_share_one_feed(told_run: Told) -> None:
    run, _ = told_run(("a", ()), ("b", (1,)))

    views = [run.dag(), run.timeline(), run.table(), run.cost(), run.progress()]

    assert [view.view for view in views] == ["graph", "timeline", "jobs", "resources", "progress"]
    assert {id(view.feed) for view in views} == {id(views[0].feed)}


def test_a_message_goes_to_every_view_and_an_answer_to_the_one_that_asked(told_run: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    run, port = told_run(("a", ()), ("b", (1,)))
    graph, table = run.dag(), run.table()
    heard: list[tuple[str, str]] = []
    for view in (graph, table):
        monkeypatch.setattr(view, "send", lambda content, _buffers, name=view.view: heard.append((name, content["kind"])))

    for view in (graph, table):
        view._handle_custom_msg({"kind": "hello", "version": 1}, [])
    assert heard == [("graph", "snapshot"), ("jobs", "snapshot"), ("jobs", "snapshot")]
    heard.clear()
    port.tell(1, READY)
    graph.feed.tick()
    assert heard == [("graph", "changes"), ("jobs", "changes")]
    heard.clear()
    table._handle_custom_msg({"kind": "job", "request": 1, "job": 0}, [])
    assert heard == [("jobs", "job")]
    graph.close()
    heard.clear()
    port.tell(1, RUNNING, 1)
    table.feed.tick()
    assert heard == [("jobs", "changes")]


def test_traits_follow_the_run_and_can_be_observed(told_run: Told) -> None:
    run, port = told_run(("a", ()), ("b", (1,)))
    view = run.progress()
    seen: list[tuple[str, dict[str, int]]] = []
    view.observe(lambda _change: seen.append((view.state, view.counts)), "state")
    assert (view.state, view.counts, view.cost_usd) == ("running", {"waiting": 2}, 0.0)

    for state in (READY, RUNNING, FAILED):
        port.tell(1, state, 1, cost_usd=0.5 if state is FAILED else 0.0)
    port.tell(2, JobState.CANCELLED)
    port.tell(0, phase="end")
    wait_until(lambda: bool(seen), story=lambda: view.counts)

    assert seen == [("failed", {"failed": 1, "cancelled": 1})]
    assert view.cost_usd == 0.5


def test_an_observer_that_fails_keeps_nothing_from_the_others(told_run: Told, caplog: pytest.LogCaptureFixture) -> None:
    run, port = told_run(("a", ()))
    broken, good = run.progress(), run.progress()
    broken.observe(lambda _change: 1 / 0, "counts")
    port.tell(1, READY)
    port.tell(1, RUNNING, 1)

    with caplog.at_level(logging.ERROR):
        good.feed.tick()

    assert good.counts == {"running": 1}
    assert "what observes a view of run" in caplog.text


def test_a_selected_job_is_a_job_id_here_and_a_number_in_the_browser(told_run: Told) -> None:
    from traitlets import TraitError

    run, _ = told_run(("a", ()), ("b", (1,)))
    view = run.dag()

    view.set_state({"selected_job": 1})
    assert view.selected_job == 2
    assert view.get_state("selected_job") == {"selected_job": 1}
    view.selected_job = None
    with pytest.raises(TraitError, match=r"selected_job 3: run .* has no such job; its jobs are 1 to 2, or None"):
        view.selected_job = 3


def test_linked_views_mark_the_same_job(told_run: Told) -> None:
    from ipywidgets import HBox, link

    run, _ = told_run(("a", ()), ("b", (1,)))
    graph, table = run.dag(), run.table()
    link((graph, "selected_job"), (table, "selected_job"))
    box = HBox([graph, table])

    graph.set_state({"selected_job": 1})

    assert table.selected_job == 2
    assert box.children == (graph, table)


def test_what_is_saved_of_a_view_is_the_run_as_html(told_run: Told) -> None:
    run, _ = told_run(("a", ()), ("b", (1,)))

    sizes = {}
    for view in (run.dag(), run.progress()):
        data, _metadata = view._repr_mimebundle_()
        assert "2 jobs" in data["text/html"] and "<script" not in data["text/html"]
        assert data["application/vnd.hail-batch-jupyter.run+json"]["run"] == run.id
        sizes[view.view] = len(data["text/html"])
    assert sizes["progress"] < sizes["graph"]


def test_without_the_browsers_part_a_view_says_how_to_have_it(told_run: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    from hail_batch_jupyter.errors import BatchException

    monkeypatch.setattr(display, "can_live", lambda: False)

    with pytest.raises(BatchException, match=r"run\.dag\(\) needs anywidget and the browser's part"):
        told_run(("a", ()))[0].dag()


def test_an_executor_has_its_progress_as_a_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    from hail_batch_jupyter.batch import BatchPoolExecutor
    from hail_batch_jupyter.jupyter.live import pool_widget

    publisher = Publisher()
    monkeypatch.setattr(pool_widget, "PUBLISHER", publisher)
    with BatchPoolExecutor(name="mine") as pool:
        line = pool.progress()
        assert (line.state, line.counts) == ("idle", {})
        assert list(pool.map(abs, [-1, -2])) == [1, 2]
        wait_until(lambda: line.state == "idle" and line.counts.get("succeeded") == 2, story=lambda: line.counts)
        assert "2 of 2 calls done" in line.value
    publisher.stop()

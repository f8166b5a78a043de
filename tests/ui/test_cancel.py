"""The Cancel button works while a cell blocks the kernel: through JupyterLab's extension and the server, which asks who is asking."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Response, expect

from hail_batch_jupyter.core.state import BatchState, JobState
from hail_batch_jupyter.observe.attach import attach
from tests.conftest import wait_until
from tests.ui.conftest import OpenNotebook
from tests.ui.lab import Lab
from tests.ui.notebook_page import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.requires("chromium", "built front end")]

RUN, BLOCK = 4, 5


@pytest.fixture
def running(open_notebook: OpenNotebook, gate: Path) -> NotebookPage:
    """A job that never ends and one that waits for it."""
    notebook = open_notebook(
        [
            "%load_ext hail_batch_jupyter\n%batch endless",
            f"gate = {str(gate)!r}",
            "%%batch_job first\nuntil [ -e {gate!s} ]; do sleep 0.05; done; echo done > {first.word}",
            "%%batch_job second\ncat {first.word}",
            "%batch_run",
            "import time\ntime.sleep(600)",
        ]
    )
    for index in range(RUN + 1):
        notebook.run(index)
    expect(notebook.expect_run(RUN, "running").locator(".hbj-node[data-name=first]")).to_have_attribute("data-state", "running")
    return notebook


def run_of(notebook: NotebookPage) -> Path:
    """The run directory of the widget."""
    run_id = notebook.widget(RUN).locator(".hbj-title").get_attribute("title")
    assert run_id
    return notebook.lab.runs / run_id


def test_cancel_ends_the_run_while_a_cell_blocks_the_kernel(running: NotebookPage) -> None:
    directory, answers = run_of(running), list[Response]()
    running.page.on("response", lambda answer: answers.append(answer) if f"/{directory.name}/cancel" in answer.url else None)
    running.start(BLOCK)

    widget = running.widget(RUN)
    widget.get_by_role("button", name="Cancel", exact=True).click()
    widget.get_by_role("button", name="Cancel the run").click()

    running.expect_run(RUN, "cancelled")
    wait_until(lambda: attach(directory.name).snapshot().ended_ms is not None)
    running.wait_for_status("busy")
    assert [answer.status for answer in answers] == [200]
    assert (directory / "cancel").exists()
    assert attach(directory.name).snapshot().state is BatchState.CANCELLED
    assert {view.state for view in attach(directory.name).snapshot().jobs} == {JobState.CANCELLED}
    expect(widget.locator(".hbj-chip")).to_have_text("Cancelled")
    expect(widget.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    running.interrupt()
    running.wait_for_status("idle")


def test_keep_running_and_escape_leave_the_run_alone(running: NotebookPage, gate: Path) -> None:
    widget = running.widget(RUN)
    cancel = widget.get_by_role("button", name="Cancel", exact=True)

    cancel.click()
    expect(widget.get_by_text("Cancel the 2 jobs not yet finished?")).to_be_visible()
    widget.get_by_role("button", name="Keep running").click()
    expect(cancel).to_be_focused()
    cancel.click()
    running.page.keyboard.press("Escape")
    expect(cancel).to_be_focused()

    gate.touch()
    running.expect_run(RUN, "success")
    assert not (run_of(running) / "cancel").exists()


def test_the_server_cancels_for_nobody_who_is_not_let_in(running: NotebookPage, lab: Lab, gate: Path) -> None:
    directory = run_of(running)
    url = f"{lab.url}/hail-batch-jupyter/runs/{directory.name}/cancel"

    for headers in ({}, {"Authorization": "token guessed"}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, method="POST", data=b"{}", headers=headers), timeout=90)
        refused.value.close()
        assert refused.value.code == 403

    assert not (directory / "cancel").exists()
    gate.touch()
    running.expect_run(RUN, "success")

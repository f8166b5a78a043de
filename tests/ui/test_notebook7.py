"""Notebook 7, which has the same extension and the same widget: one page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from hail_batch_jupyter.observe.attach import attach
from tests.ui.conftest import VIEW, live_runs, watched_runs
from tests.ui.lab import Lab
from tests.ui.notebook_page import NotebookPage
from tests.ui.notebooks import write_notebook
from tests.ui.test_views import two_jobs

pytestmark = [pytest.mark.browser, pytest.mark.requires("chromium", "built front end")]

RUN, BLOCK = 4, 5
# Notebook 7.6 says this of its own settings, without any extension, too.
OWN_PROBLEM = re.compile(r"(reading 'schema'|Command 'filebrowser:open-path' not registered).*\n.*/static/notebook/notebook_core")


def test_notebook_7_shows_runs_live_and_cancels_them_while_a_cell_blocks_the_kernel(browser: Browser, lab: Lab, gate: Path, screenshots: Path) -> None:
    path = write_notebook(lab.root / "seven.ipynb", [*two_jobs(gate), "import time\ntime.sleep(600)"])
    context = browser.new_context(viewport=VIEW)
    with watched_runs(lab):
        notebook = NotebookPage(lab, context, path.name, lab.notebook_url(path.name))
        for index in range(RUN + 1):
            notebook.run(index)
        widget = notebook.expect_run(RUN, "running")
        expect(widget.locator(".hbj-node[data-name=first]")).to_have_attribute("data-state", "running")
        [run] = live_runs()

        notebook.command("hail-batch-jupyter:show-panel")
        row = notebook.page.locator(f"#hail-batch-jupyter-panel .hbj-row[data-run='{run.run_id}']")
        expect(row).to_contain_text("Running")
        row.locator(".hbj-row-open").press("Enter")
        expect(notebook.page.locator(".hbj-run-tab .hbj-node[data-name=first]")).to_be_in_viewport()
        notebook.page.screenshot(path=screenshots / "notebook7.png")

        notebook.start(BLOCK)
        widget.get_by_role("button", name="Cancel", exact=True).click()
        widget.get_by_role("button", name="Cancel the run").click()
        notebook.expect_run(RUN, "cancelled")
        notebook.wait_for_status("busy")
        assert attach(run.run_id).wait(90)["state"] == "cancelled"
        expect(row).to_contain_text("Cancelled")
        notebook.interrupt()
        notebook.wait_for_status("idle")
        assert [problem for problem in notebook.problems if not OWN_PROBLEM.search(problem)] == []
    context.close()
    lab.end_kernels()

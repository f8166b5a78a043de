"""The quickstart in JupyterLab: every cell runs, every node turns green, and the plot of the result is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.conftest import wait_until
from tests.requirements import ROOT
from tests.ui.conftest import OpenNotebook
from tests.ui.notebook_page import RUNS_IN_MS, THEMES, NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.requires("chromium", "built front end")]

QUICKSTART = ROOT / "notebooks" / "quickstart.ipynb"
IMAGE_BYTES = 150_000
_STATES = "nodes => nodes.map(node => node.dataset.state)"
_PLOT_WIDTH = "images => images.at(-1).naturalWidth"


def test_every_node_of_the_quickstart_turns_green_and_the_result_is_plotted(
    open_notebook: OpenNotebook, images: Callable[[str], Path], screenshots: Path
) -> None:
    notebook = open_notebook(QUICKSTART)

    notebook.run_all()

    errors = notebook.page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']")
    assert errors.all_inner_texts() == []
    widgets = notebook.page.locator(".jp-Notebook .hbj-root")
    assert widgets.count() >= 1
    for widget in widgets.all():
        expect(widget).to_have_attribute("data-state", "success", timeout=RUNS_IN_MS)
        nodes = widget.locator(".hbj-node")
        wait_until(lambda nodes=nodes: nodes.count() and set(nodes.evaluate_all(_STATES)) <= {"success", "reused"}, story=nodes.all_inner_texts)
    waited = notebook.page.locator(".jp-OutputArea-output", has_text="jobs done")
    assert waited.all_inner_texts() == [], "the widget says it already"
    plots = notebook.page.locator(".jp-OutputArea-output img")
    expect(plots.last).to_be_visible()
    wait_until(lambda: plots.evaluate_all(_PLOT_WIDTH) > 200)
    pictures(notebook, images, screenshots)


def pictures(notebook: NotebookPage, images: Callable[[str], Path], screenshots: Path) -> None:
    """The page with the cell that ran the batch, for the documents; the widget alone and the plot, to be looked at."""
    notebook.command("application:toggle-left-area")
    notebook.page.set_viewport_size({"width": 1100, "height": 720})
    widget = notebook.page.locator(".jp-Notebook .hbj-root").first
    for theme in THEMES:
        notebook.set_theme(theme)
        notebook.picture(notebook.page.locator(".jp-OutputArea-output img").last, screenshots / f"quickstart-plot-{theme}.png")
        notebook.picture(widget, screenshots / f"quickstart-widget-{theme}.png")
        picture = images(f"quickstart-{theme}.png")
        notebook.page.screenshot(path=picture, animations="disabled", caret="hide")
        assert 5_000 < picture.stat().st_size <= IMAGE_BYTES

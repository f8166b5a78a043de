"""Runs of 3, 300 and 30 000 jobs, and a dashboard of views, in one page of a real JupyterLab."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.conftest import wait_until
from tests.ui.conftest import notebooks_of, watched_runs
from tests.ui.lab import Lab
from tests.ui.notebook_page import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.requires("chromium", "built front end")]

MANY, HUGE = 300, 30_000
FEW_CELL, MANY_CELL, HUGE_CELL, DASHBOARD, ALONE, ASKED = range(1, 7)
LIMIT_BYTES = 100_000
CELLS = [
    (
        "%load_ext hail_batch_jupyter\nimport ipywidgets\nimport hail_batch_jupyter.batch as hb\n"
        "def started(name, parts, first):\n"
        "    b = hb.Batch(name=name)\n"
        "    split = b.new_job('split').command(first)\n"
        "    fits = [b.new_job(f'fit-{part}').command('exit 3' if part == 7 else 'true').depends_on(split) for part in range(parts)]\n"
        "    b.new_job('report').command('true').always_run().depends_on(*fits)\n"
        "    return b.run(wait=False)"
    ),
    "few = started('few', 1, 'true')\nfew.wait()['state']",
    f"many = started('many', {MANY - 2}, 'true')\nmany.wait()['state']",
    f"huge = started('huge', {HUGE - 2}, 'sleep 600')",
    (
        "graph, table, line = many.dag(), many.table(), many.progress()\n"
        "link = ipywidgets.link((graph, 'selected_job'), (table, 'selected_job'))\n"
        "ipywidgets.VBox([line, ipywidgets.HBox([graph]), table])"
    ),
    "many.dag()",
    "print(graph.selected_job, table.selected_job, line.state, line.counts['failed'])",
]


@pytest.fixture(scope="module")
def sizes(browser: Browser, lab: Lab) -> Iterator[NotebookPage]:
    """The notebook after its first six cells; the huge run goes on."""
    with watched_runs(lab), notebooks_of(browser, lab, "sizes") as open_one:
        notebook = open_one(CELLS)
        for index in range(ASKED):
            notebook.run(index)
        yield notebook


def nodes(widget: Locator) -> list[str]:
    """What the nodes of the graph say to screen readers."""
    return [label or "" for label in (node.get_attribute("aria-label") for node in widget.locator(".hbj-node").all())]


def test_three_jobs_are_three_nodes(sizes: NotebookPage) -> None:
    widget = sizes.expect_run(FEW_CELL, "success")

    wait_until(lambda: nodes(widget) == ["split, succeeded", "fit-0, succeeded", "report, succeeded"], story=lambda: nodes(widget))


def test_a_scatter_of_three_hundred_is_one_stack_that_opens(sizes: NotebookPage) -> None:
    widget = sizes.expect_run(MANY_CELL, "failure")

    stack = re.compile(rf"fit, {MANY - 2} jobs, failed: .*{MANY - 3} succeeded.*1 failed")
    wait_until(lambda: [bool(stack.match(label)) for label in nodes(widget) if label.startswith("fit")] == [True], story=lambda: nodes(widget))
    widget.locator('[data-kind="stage"]').click()
    cells = widget.locator(".hbj-cell")
    expect(cells.first).to_be_visible()
    widget.locator('.hbj-cell[data-state="failed"]').click()
    expect(widget.locator(".hbj-details")).to_contain_text("exit code")


def test_thirty_thousand_are_drawn_scrolled_and_cancelled(sizes: NotebookPage) -> None:
    widget = sizes.expect_run(HUGE_CELL, "running")
    expect(widget.locator(".hbj-node")).to_have_count(3)

    widget.get_by_role("tab", name="Jobs").click()
    table = widget.get_by_role("grid")
    expect(table).to_have_attribute("aria-rowcount", str(HUGE + 1))
    table.evaluate("element => { element.scrollTop = element.scrollHeight }")
    expect(table.locator(f"[data-job='{HUGE - 1}'] .hbj-f-name")).to_have_text("report")
    assert table.locator(".hbj-trs > .hbj-tr").count() < 60
    widget.get_by_role("button", name="Cancel").first.click()
    with sizes.page.expect_response(lambda response: response.url.partition("?")[0].endswith("/cancel"), timeout=120_000):
        widget.get_by_role("button", name="Cancel the run").click()
    expect(widget).to_have_attribute("data-state", "cancelled", timeout=120_000)
    expect(widget.locator(".hbj-counts")).to_contain_text("29,999 cancelled")
    # Kernel and server are both asked, and the slower one may say that the run has ended already.
    sizes.problems[:] = [problem for problem in sizes.problems if "/cancel" not in problem]


def test_a_job_chosen_in_one_view_of_a_dashboard_is_marked_in_the_linked_one_and_known_to_the_kernel(sizes: NotebookPage) -> None:
    line, graph, table = (sizes.cell(DASHBOARD).locator(f'.hbj-root[data-only="{name}"]') for name in ("progress", "graph", "jobs"))
    expect(line.get_by_role("progressbar")).to_be_visible()
    expect(graph.locator(".hbj-node")).to_have_count(3)
    expect(table.locator(".hbj-trs > .hbj-tr").first).to_be_visible()

    graph.locator('[data-name="report"]').click()

    expect(table.locator("[data-marked]")).to_have_attribute("data-job", str(MANY - 1))
    expect(table.locator("[data-marked]")).to_be_visible()
    sizes.run(ASKED)
    wait_until(lambda: sizes.output(ASKED).strip() == f"{MANY} {MANY} failed 1", story=lambda: sizes.output(ASKED))


def test_the_panel_lists_all_of_them_beside_open_widgets(sizes: NotebookPage) -> None:
    sizes.command("hail-batch-jupyter:show-panel")
    rows = sizes.page.locator("#hail-batch-jupyter-panel [data-run]")
    rows = rows.filter(has_text=re.compile("few|many|huge"))
    expect(rows).to_have_count(3)

    def tops() -> list[float]:
        return [box["y"] for box in (row.bounding_box() for row in rows.all()) if box is not None]  # one may just be drawn anew

    wait_until(lambda: len(set(tops())) == 3, story=tops)


def test_the_saved_notebook_is_small_and_shows_the_last_state_without_a_kernel(sizes: NotebookPage) -> None:
    assert len(sizes.saved()) < LIMIT_BYTES

    sizes.restart()
    sizes.reload()

    for index in (FEW_CELL, MANY_CELL, HUGE_CELL, ALONE):
        expect(sizes.cell(index).locator(".jp-OutputArea")).to_contain_text("local")
    expect(sizes.cell(ALONE)).to_contain_text("1 failed")

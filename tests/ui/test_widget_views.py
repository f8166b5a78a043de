"""The widget's views beside the graph at 300 jobs of a real run: each opens, says what happened, and is reached with the keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.conftest import wait_until
from tests.requirements import requires
from tests.ui.conftest import notebooks_of, watched_runs
from tests.ui.lab import Lab
from tests.ui.notebook_page import THEMES, NotebookPage, Theme
from tests.ui.test_states import VIOLATIONS

pytestmark = [pytest.mark.browser, pytest.mark.requires("chromium", "built front end")]

N_JOBS = 300
RUN = 2
CELLS = [
    "%load_ext hail_batch_jupyter\nscan = %batch scan",
    (
        f"for part in range(1, {N_JOBS}):\n"
        "    job = scan.new_job(f'part-{part}')\n"
        "    job.cpu('500m').memory('64Mi')\n"
        "    job.command('exit 3' if part == 250 else 'for step in $(seq 1 300); do echo step $step; done' if part == 7 else 'true')\n"
        "last = scan.new_job('last')\n"
        "last.command('true')"
    ),
    "%batch_run --wait",
]
PAINTED = "canvas => { const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height); return data.some(value => value > 0); }"


@pytest.fixture(scope="module")
def shown(browser: Browser, lab: Lab) -> Iterator[tuple[NotebookPage, Locator]]:
    """The notebook after its run has ended, and the widget."""
    with watched_runs(lab), notebooks_of(browser, lab, "widget-views") as open_one:
        notebook = open_one(CELLS)
        notebook.run_all()
        yield notebook, notebook.expect_run(RUN, "failure")


def opened(widget: Locator, name: str) -> Locator:
    """The panel of a view, which is opened first."""
    widget.get_by_role("tab", name=name).click()
    panel = widget.get_by_role("tabpanel", name=name)
    expect(panel).to_be_visible()
    return panel


def test_the_table_has_every_job_and_elements_for_those_in_sight(shown: tuple[NotebookPage, Locator]) -> None:
    panel = opened(shown[1], "Jobs")

    grid = panel.get_by_role("grid")
    expect(grid).to_have_attribute("aria-rowcount", str(N_JOBS + 1))
    expect(grid.locator("[data-job='5']")).to_be_visible()
    assert grid.locator(".hbj-trs > .hbj-tr").count() < 60
    expect(grid.locator("[data-job='0'] .hbj-f-exit")).to_have_text("0")
    expect(grid.locator("[data-job='0'] .hbj-f-took")).to_contain_text(" s")


def test_the_table_sorts_by_state_and_filters_by_name(shown: tuple[NotebookPage, Locator]) -> None:
    panel = opened(shown[1], "Jobs")

    panel.get_by_role("columnheader", name="State").get_by_role("button").click()
    expect(panel.locator("[data-index='0'] .hbj-f-name")).to_have_text("part-250")
    expect(panel.locator("[data-index='0'] .hbj-f-exit")).to_have_text("3")
    panel.get_by_role("searchbox").fill("part-29")
    expect(panel.get_by_role("status")).to_have_text(f"11 of {N_JOBS} jobs")
    panel.get_by_role("searchbox").fill("")
    panel.get_by_role("columnheader", name="#").get_by_role("button").click()


def test_the_tabs_and_the_rows_are_reached_with_the_keys(shown: tuple[NotebookPage, Locator]) -> None:
    notebook, widget = shown
    page = notebook.page
    opened(widget, "Timeline")

    page.keyboard.press("ArrowRight")
    expect(widget.get_by_role("tab", name="Jobs")).to_be_focused()
    for _ in range(4 + 8):  # the filters, then the heads of the columns, then the row
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.hbj-trs > .hbj-tr')"):
            break
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    details = widget.locator(".hbj-details")
    expect(details).to_contain_text("part-2")
    expect(details).to_contain_text("exit code")
    page.keyboard.press("Escape")
    expect(details).to_have_count(0)
    assert page.evaluate("document.activeElement.matches('.hbj-trs > .hbj-tr')")


def test_the_timeline_is_drawn_and_read_out_with_the_keys(shown: tuple[NotebookPage, Locator]) -> None:
    notebook, widget = shown
    panel = opened(widget, "Timeline")

    expect(panel.locator(".hbj-timeline")).to_have_attribute("aria-label", re.compile(f"^Timeline of {N_JOBS} jobs on "))
    wait_until(lambda: panel.locator("canvas").evaluate(PAINTED))
    panel.locator(".hbj-timeline").focus()
    notebook.page.keyboard.press("ArrowRight")
    expect(panel.get_by_role("status")).to_contain_text("succeeded: queued")
    notebook.page.keyboard.press("Enter")
    expect(widget.locator(".hbj-details")).to_contain_text("exit code")
    notebook.page.keyboard.press("Escape")


def test_the_resources_name_each_stage_with_what_it_used(shown: tuple[NotebookPage, Locator]) -> None:
    panel = opened(shown[1], "Resources")

    row = panel.get_by_role("row", name="part")
    expect(row).to_contain_text(str(N_JOBS - 1))
    expect(row).to_contain_text("64.0 MiB")
    expect(panel.get_by_role("img").first).to_have_attribute("aria-label", re.compile("granted up to"))
    expect(panel.locator(".hbj-totals")).to_contain_text("no charge on this machine")
    expect(panel.get_by_role("img", name=re.compile("^Core-hours by stage over .*part up to"))).to_be_visible()
    expect(panel.get_by_role("img", name=re.compile("^Cost by stage"))).to_have_count(0)
    expect(panel.get_by_role("columnheader", name="Cost")).to_have_count(0)


@pytest.mark.parametrize("name", ["Timeline", "Jobs", "Resources"])
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.requires("axe-core")
def test_axe_finds_nothing_in_any_view(shown: tuple[NotebookPage, Locator], theme: Theme, name: str, screenshots: Path) -> None:
    notebook, widget = shown
    opened(widget, name)
    notebook.set_theme(theme)
    notebook.picture(widget, screenshots / f"view-{name.lower()}-{theme}.png")

    notebook.page.evaluate(Path(requires("axe-core")).read_text())

    assert notebook.page.evaluate(VIOLATIONS) == []

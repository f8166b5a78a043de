"""What the widget shows of each state, and where: in a picture, in words, to the keyboard and to a screen reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import wait_until
from tests.requirements import requires
from tests.ui.conftest import notebooks_of, watched_runs
from tests.ui.lab import Lab
from tests.ui.notebook_page import THEMES, NotebookPage, Theme

pytestmark = [pytest.mark.browser, pytest.mark.requires("chromium", "built front end")]

IMAGE_BYTES = 150_000
RUN = 8
"""Place of the cell that runs the batch."""
SHAPES = "nodes => Object.fromEntries(nodes.map(node => [node.dataset.state, node.querySelector('.hbj-glyph path').getAttribute('d')]))"


VIOLATIONS = """async () => {
  const { violations } = await axe.run({ include: [[".jp-OutputArea-output"]] });
  return violations.map(({ id, nodes }) => [id, ...nodes.map((node) => `${node.html}: ${node.failureSummary}`)]);
}"""

CONTRASTS = """edges => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const linear = (value) => (value <= 10 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const light = (...colours) => {
    for (const colour of colours) Object.assign(pen, { fillStyle: colour }).fillRect(0, 0, 1, 1);
    const [red, green, blue] = [...pen.getImageData(0, 0, 1, 1).data].map(linear);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
  };
  return edges.map((edge) => {
    const paper = getComputedStyle(edge.closest(".hbj-dag")).backgroundColor;
    const ratio = light(paper) / light(paper, getComputedStyle(edge).stroke);
    return Math.max(ratio, 1 / ratio);
  });
}"""
MOVING = "root => root.getAnimations({ subtree: true }).filter(({ playState }) => playState === 'running').length"
PARTS = "parts => parts.map(part => getComputedStyle(part).background)"
BORDERS = "tabs => tabs.map(tab => [tab.textContent, getComputedStyle(tab).borderBottomWidth])"

SURVEYED = {"sample": "success", "check": "failed", "report": "cancelled", "fit": "running", "summary": "pending"}


def survey(gate: Path) -> list[str]:
    """A batch of which one job fails, so that what follows is cancelled, while others run until the gate is there."""
    return [
        "%load_ext hail_batch_jupyter\nsurvey = %batch survey",
        f"gate = {str(gate)!r}",
        "%%batch_job sample\nseq 1 1000 | awk '{print $1, ($1 * 7919) % 1000}' > {sample.table}",
        "%%batch_job check\necho 'reading 1000 rows'\necho 'row 17: <b>weight</b> & height are missing' >&2\ngrep -c missing {sample.table} || exit 3",
        "%%batch_job report --after check\nwc -l {sample.table} > {report.text}",
        (
            "for part in range(1, 7):\n"
            "    job = survey.new_job(f'fit-{part}')\n"
            "    hold = f'until [ -e {gate} ]; do sleep 0.05; done; ' if part > 3 else ''\n"
            "    job.command(f'{hold}sort -n -k2 {sample.table} | head -n {part} > {job.model}')"
        ),
        "models = [survey.job_named(f'fit-{part}').model for part in range(1, 7)]",
        "%%batch_job summary\ncat {models} > {summary.table}",
        "%batch_run",
        "%batch",
        "%batch_jobs",
        "%batch_runs",
    ]


def states_of(widget: Locator) -> dict[str, str]:
    """State of each node by its name."""
    nodes: dict[str, str] = widget.locator(".hbj-node").evaluate_all("nodes => Object.fromEntries(nodes.map(node => [node.dataset.name, node.dataset.state]))")
    return nodes


def expect_states(widget: Locator, wanted: dict[str, str]) -> None:
    """Wait until these nodes have these states."""
    for name, state in wanted.items():
        expect(widget.locator(f".hbj-node[data-name='{name}']")).to_have_attribute("data-state", state)


@pytest.fixture(scope="module")
def survey_page(browser: Browser, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotebookPage]:
    """The survey with a running, a failed and a cancelled job; it goes on until all tests of this module have looked at it.

    No test here opens another notebook: at its end all kernels and runs are ended.
    """
    with watched_runs(lab), notebooks_of(browser, lab, "survey") as open_one:
        notebook = open_one(survey(tmp_path_factory.mktemp("survey") / "gate"))
        notebook.run_all()
        expect_states(notebook.expect_run(RUN, "failure"), SURVEYED)
        yield notebook


@pytest.fixture
def shown(survey_page: NotebookPage) -> Iterator[tuple[NotebookPage, Locator]]:
    """The survey and its widget, with nothing opened in it and in the light theme."""
    widget = survey_page.widget(RUN)
    survey_page.set_theme("light")
    yield survey_page, widget
    for sheet in widget.locator(".hbj-sheet .hbj-close").all()[::-1]:
        sheet.click()


def test_a_running_a_failed_and_a_cancelled_job_differ_in_colour_shape_and_word(shown: tuple[NotebookPage, Locator]) -> None:
    _, widget = shown

    shapes = widget.locator(".hbj-node").evaluate_all(SHAPES)
    labels = [str(node.get_attribute("aria-label")) for node in widget.locator(".hbj-node").all()]

    assert len(shapes) == len(set(shapes.values())) == 5
    assert {"sample, succeeded", "check, failed", "report, cancelled", "summary, waiting"} < set(labels)
    assert any(label.startswith("fit, 6 jobs, running: ") for label in labels)
    expect(widget.locator(".hbj-chip")).to_have_text("Failing")
    counts = widget.locator(".hbj-counts")
    expect(counts).to_contain_text("4 of 10 done")
    expect(counts).to_contain_text("1 failed")
    expect(counts).to_contain_text("1 cancelled")


def test_a_failure_shows_its_exit_code_and_the_end_of_its_log_as_text(shown: tuple[NotebookPage, Locator]) -> None:
    _, widget = shown
    failure = widget.locator(".hbj-failure[data-state=failed]")

    expect(failure.locator("summary")).to_contain_text("exit code 3")
    expect(failure.locator(".hbj-log")).to_be_visible()
    expect(failure.locator(".hbj-log")).to_have_text("reading 1000 rows\nrow 17: <b>weight</b> & height are missing\n0")
    assert failure.locator(".hbj-log b").count() == 0
    around, button = failure.bounding_box(), failure.get_by_role("button", name="Details").bounding_box()
    assert around is not None
    assert button is not None
    assert button["width"] < 0.2 * around["width"]


@pytest.mark.parametrize("theme", THEMES)
def test_the_widget_is_pictured_in_both_themes(shown: tuple[NotebookPage, Locator], theme: Theme, images: Callable[[str], Path]) -> None:
    notebook, widget = shown
    picture = images(f"states-{theme}.png")

    notebook.set_theme(theme)
    expect(widget.locator(".hbj-elapsed")).not_to_have_text("")
    notebook.picture(widget, picture)

    assert 5_000 < picture.stat().st_size <= IMAGE_BYTES


def test_the_progress_bar_tells_screen_readers_how_many_are_done(shown: tuple[NotebookPage, Locator]) -> None:
    _, widget = shown
    bar = widget.get_by_role("progressbar")

    expect(bar).to_have_attribute("aria-valuemin", "0")
    expect(bar).to_have_attribute("aria-valuemax", "10")
    expect(bar).to_have_attribute("aria-valuenow", "4")
    expect(bar).to_have_attribute("aria-valuetext", re.compile("^4 of 10 done"))


def focused(page: Page) -> str:
    """Name of the node that has the focus, '' when it is elsewhere."""
    name: str = page.evaluate("document.activeElement?.dataset?.name ?? ''")
    return name


def test_keys_move_between_nodes_and_open_and_close_details(shown: tuple[NotebookPage, Locator]) -> None:
    notebook, widget = shown
    page, details = notebook.page, widget.locator(".hbj-details")
    n_cells = page.locator(".jp-Notebook .jp-Cell").count()

    widget.locator(".hbj-node[tabindex='0']").focus()
    assert focused(page) == "sample"
    page.keyboard.press("End")
    page.keyboard.press("Home")
    assert focused(page) == "sample"
    page.keyboard.press("Enter")
    expect(details).to_contain_text("seq 1 1000")
    page.keyboard.press("Escape")
    expect(details).to_have_count(0)
    assert focused(page) == "sample"
    page.keyboard.press("ArrowRight")
    assert focused(page) in {"check", "fit", "report"}
    assert page.locator(".jp-Notebook .jp-Cell").count() == n_cells
    assert page.locator(".jp-Notebook.jp-mod-editMode").count() == 0


def test_a_stack_opens_into_its_jobs_and_a_job_into_its_details(shown: tuple[NotebookPage, Locator], screenshots: Path) -> None:
    notebook, widget = shown
    stack = widget.locator(".hbj-node[data-name=fit]")

    stack.click()
    expect(stack).to_have_attribute("aria-expanded", "true")
    expect(widget.locator(".hbj-cell")).to_have_count(6)
    widget.get_by_role("button", name="fit-2, succeeded").click()
    details = widget.locator(".hbj-details")
    expect(details).to_contain_text("head -n 2")
    notebook.picture(widget, screenshots / "details-light.png")
    notebook.set_theme("dark")
    notebook.picture(widget, screenshots / "details-dark.png")
    details.get_by_role("button", name="Close the details").click()
    expect(details).to_have_count(0)


def test_details_of_a_failed_job_open_from_its_log(shown: tuple[NotebookPage, Locator]) -> None:
    _, widget = shown

    widget.locator(".hbj-failure").get_by_role("button", name="Details").click()

    details = widget.locator(".hbj-details")
    expect(details).to_contain_text("exit code")
    expect(details.locator(".hbj-pairs")).to_contain_text("3")
    expect(details).to_contain_text("row 17: <b>weight</b> & height are missing")


def test_a_job_that_never_ran_leads_to_the_one_that_failed(shown: tuple[NotebookPage, Locator], screenshots: Path) -> None:
    notebook, widget = shown
    widget.locator(".hbj-node[data-name=report]").click()
    details = widget.locator(".hbj-details")
    expect(details).to_contain_text("'check', which it needs, failed")
    for theme in THEMES:
        notebook.set_theme(theme)
        notebook.picture(details, screenshots / f"never-ran-{theme}.png")

    details.get_by_role("button", name="Show check").click()

    expect(details).to_contain_text("row 17: <b>weight</b> & height are missing")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.requires("axe-core")
def test_axe_finds_nothing_in_the_widget_and_the_tables(shown: tuple[NotebookPage, Locator], theme: Theme, screenshots: Path) -> None:
    notebook, widget = shown
    widget.locator(".hbj-node[data-name=fit]").click()
    widget.get_by_role("button", name="fit-2, succeeded").click()
    expect(widget.locator(".hbj-details")).to_contain_text("head -n 2")
    notebook.set_theme(theme)

    for index in (RUN + 1, RUN + 2, RUN + 3):
        notebook.picture(notebook.cell(index).locator(".jp-OutputArea"), screenshots / f"table-{index - RUN}-{theme}.png")
    notebook.page.evaluate(Path(requires("axe-core")).read_text())
    found = notebook.page.evaluate(VIOLATIONS)

    assert found == []


@pytest.fixture
def asked_for(shown: tuple[NotebookPage, Locator]) -> Iterator[Callable[..., None]]:
    """What the system says of its user, until the end of the test."""
    page = shown[0].page
    yield page.emulate_media
    page.emulate_media(forced_colors="none", reduced_motion="no-preference", color_scheme="light")


def test_nothing_moves_for_who_asked_for_less_motion(shown: tuple[NotebookPage, Locator], asked_for: Callable[..., None]) -> None:
    _, widget = shown
    assert widget.evaluate(MOVING) > 0

    asked_for(reduced_motion="reduce")

    assert widget.evaluate(MOVING) == 0
    assert widget.locator(".hbj-segment").first.evaluate("part => getComputedStyle(part).transitionDuration") == "0s"


def expect_contrast(widget: Locator) -> None:
    """The lines of the graph stand out, when their colours have changed, which takes a moment."""
    edges = widget.locator(".hbj-edge")
    wait_until(lambda: min(edges.evaluate_all(CONTRASTS)) >= 3, story=lambda: edges.evaluate_all(CONTRASTS))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_with_forced_colours_states_and_the_open_tab_are_told_apart(
    shown: tuple[NotebookPage, Locator], asked_for: Callable[..., None], scheme: str, screenshots: Path
) -> None:
    notebook, widget = shown

    asked_for(forced_colors="active", color_scheme=scheme)

    parts = widget.locator(".hbj-progress .hbj-segment:visible")
    looks = parts.evaluate_all(PARTS)
    assert len(looks) == len(set(looks)) == 5
    assert widget.locator(".hbj-tab").evaluate_all(BORDERS) == [["Graph", "2px"], ["Timeline", "0px"], ["Jobs", "0px"], ["Resources", "0px"]]
    expect_contrast(widget)
    notebook.picture(widget, screenshots / f"forced-{scheme}.png")
    widget.get_by_role("tab", name="Resources").click()
    signs = widget.locator(".hbj-legend-sign[data-form=area]")
    expect(signs.first).to_be_visible()
    assert {sign.evaluate("sign => getComputedStyle(sign).backgroundColor") for sign in signs.all()}.isdisjoint({"rgb(255, 255, 255)", "rgb(0, 0, 0)"})
    notebook.picture(widget, screenshots / f"forced-resources-{scheme}.png")
    widget.get_by_role("tab", name="Graph").click()


@pytest.mark.requires("axe-core")
def test_in_the_theme_of_high_contrast_lines_are_seen_and_axe_finds_nothing(shown: tuple[NotebookPage, Locator], screenshots: Path) -> None:
    notebook, widget = shown
    notebook.set_theme("dark high contrast")

    expect_contrast(widget)
    notebook.picture(widget, screenshots / "high-contrast.png")
    notebook.page.evaluate(Path(requires("axe-core")).read_text())
    assert notebook.page.evaluate(VIOLATIONS) == []

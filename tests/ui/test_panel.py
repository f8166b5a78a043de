"""The side panel: all runs of this user, live and ended, with what may be done to them, and no kernel anywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import IPython
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from hail_batch_jupyter.batch.batch import Batch
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.running import RunningBatch
from tests.conftest import wait_until
from tests.requirements import ROOT, requires
from tests.service.servers import Server as BatchService
from tests.service.servers import job
from tests.ui.conftest import VIEW, watched_runs
from tests.ui.lab import Lab
from tests.ui.notebook_page import LOADS_IN_MS, THEMES, Theme, change_theme
from tests.ui.notebooks import write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.requires("chromium", "built front end")]

Submit = Callable[..., RunningBatch]
_COMMAND = "async ([name, args]) => { await window.jupyterapp.commands.execute(name, args); }"
_PLACE = "() => { const { context, content } = window.jupyterapp.shell.currentWidget; return [context.path, content.activeCellIndex]; }"
VIOLATIONS = """async () => {
  const { violations } = await axe.run({ include: [["#hail-batch-jupyter-panel"], [".hbj-run-tab"], [".hbj-status-item"]] });
  return violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]);
}"""


@pytest.fixture
def submit(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Submit]:
    """Runs a batch as a notebook of the server would; its jobs wait for each other."""
    with watched_runs(lab):
        for run in rundir.list_runs():
            rundir.remove(run.directory)

        def start(name: str, *commands: str, notebook: str = "study.ipynb", cell: int = 0) -> RunningBatch:
            monkeypatch.setenv("JPY_SESSION_NAME", str(write_notebook(lab.root / notebook, ["1 + 1"] * (cell + 1))))
            monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(parent_header={"metadata": {"cellId": f"cell-{cell}"}}))
            batch = Batch(name=name)
            job = None
            for number, command in enumerate(commands):
                before, job = job, batch.new_job(name=f"{'abcdef'[number]}-step").command(command)
                if before is not None:
                    job.depends_on(before)
            return batch.backend.submit(batch.compile(), SubmitOptions(keep_files=True, detach=True))

        yield start


@pytest.fixture
def page(browser: Browser, lab: Lab) -> Iterator[Page]:
    """JupyterLab with the panel open; fails at the end when the browser told of errors."""
    lab.set_panel(pollSeconds=1, notifyAfterSeconds=0)
    context = browser.new_context(viewport=VIEW, permissions=["clipboard-read", "clipboard-write"])
    opened, problems = context.new_page(), list[str]()
    opened.on("console", lambda told: problems.append(told.text) if told.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error.stack)))
    opened.goto(f"{lab.url}/lab/workspaces/panel?reset&token={lab.token}")
    show_panel(opened)
    yield opened
    context.close()
    lab.end_kernels()
    lab.set_panel(notifications=False)
    # A value that is refused is told in the page; the browser tells of the answer's status besides.
    assert [problem for problem in problems if "400 (Bad Request)" not in problem] == []


def execute(page: Page, command: str, **args: object) -> None:
    """Execute one of JupyterLab's commands."""
    page.evaluate(_COMMAND, [command, args])


def show_panel(page: Page) -> None:
    """Open the panel as soon as JupyterLab has it."""
    page.wait_for_selector("#hail-batch-jupyter-panel", state="attached", timeout=LOADS_IN_MS)
    execute(page, "hail-batch-jupyter:show-panel")


def row_of(page: Page, running: RunningBatch) -> Locator:
    """A run in the panel."""
    return page.locator(f"#hail-batch-jupyter-panel .hbj-row[data-run='{running.id}']")


def press(row: Locator, name: str) -> None:
    """One of the actions of a row."""
    row.hover()
    row.get_by_role("button", name=name).click()


def test_a_live_and_an_ended_run_are_listed_and_the_live_one_is_cancelled_without_a_kernel(submit: Submit, page: Page, lab: Lab, gate: Path) -> None:
    ended, live = submit("ended", "true"), submit("live", "true", f"until [ -e {gate} ]; do sleep 0.05; done")
    page.get_by_role("button", name="Refresh the list of batches").click()
    expect(row_of(page, ended)).to_contain_text("Succeeded")
    expect(row_of(page, live)).to_contain_text("1 of 2")
    expect(page.locator(".hbj-status")).to_contain_text("1 running")

    press(row_of(page, live), "Cancel live")
    expect(page.locator(".jp-Dialog")).to_contain_text("Cancel the 1 job not yet finished?")
    page.get_by_role("button", name="Keep running").click()
    assert live.alive()
    press(row_of(page, live), "Cancel live")
    page.get_by_role("button", name="Cancel the run").click()

    expect(row_of(page, live)).to_contain_text("Cancelled")
    wait_until(lambda: live.complete)
    assert live.status()["state"] == "cancelled"
    expect(page.locator(".hbj-status")).to_be_hidden()
    assert lab.ask("GET", "/api/kernels") == []


def test_a_run_opens_in_a_tab_that_follows_it_without_a_kernel(submit: Submit, page: Page, lab: Lab, gate: Path) -> None:
    live = submit("followed", "echo said", f"until [ -e {gate} ]; do sleep 0.05; done")
    page.get_by_role("button", name="Refresh the list of batches").click()

    row_of(page, live).get_by_role("button", name="followed").first.click()

    tab = page.locator(".hbj-run-tab .hbj-root")
    expect(tab.locator(".hbj-node[data-name=b-step]")).to_have_attribute("data-state", "running")
    expect(tab.locator(".hbj-node[data-name=a-step]")).to_have_attribute("data-state", "success")
    tab.locator(".hbj-node[data-name=a-step]").click()
    expect(tab.locator(".hbj-details")).to_contain_text("said")
    gate.touch()
    expect(tab).to_have_attribute("data-state", "success")
    expect(page.get_by_text("followed: succeeded after").first).to_be_visible()
    row_of(page, live).get_by_role("button", name="followed").first.click()
    expect(page.locator(".hbj-run-tab")).to_have_count(1)
    assert lab.ask("GET", "/api/kernels") == []

    page.reload()
    expect(page.locator(".hbj-run-tab .hbj-root")).to_have_attribute("data-state", "success")


def test_an_ended_run_is_deleted_when_that_is_confirmed(submit: Submit, page: Page) -> None:
    ended = submit("old", "exit 3")
    ended.wait(90)
    page.get_by_role("button", name="Refresh the list of batches").click()

    press(row_of(page, ended), "Delete old")
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(row_of(page, ended)).to_be_visible()
    press(row_of(page, ended), "Delete old")
    page.locator(".jp-Dialog").get_by_role("button", name="Delete", exact=True).click()

    expect(row_of(page, ended)).to_have_count(0)
    assert ended.directory and not ended.directory.exists()


def test_the_id_is_copied_and_the_notebook_opened_at_the_cell_that_made_the_run(submit: Submit, page: Page) -> None:
    ended = submit("here", "true", notebook="made-here.ipynb", cell=60)
    ended.wait(90)
    page.get_by_role("button", name="Refresh the list of batches").click()

    press(row_of(page, ended), "Copy the run id of here")
    wait_until(lambda: page.evaluate("navigator.clipboard.readText()") == ended.id)
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})  # the notebook draws cell after cell
    press(row_of(page, ended), "Open the notebook made-here.ipynb")

    expect(page.locator(".jp-NotebookPanel")).to_be_visible()
    wait_until(lambda: page.evaluate(_PLACE) == ["made-here.ipynb", 60], story=lambda: page.evaluate(_PLACE))
    expect(page.locator(".jp-NotebookPanel .jp-Cell.jp-mod-active")).to_be_in_viewport(timeout=90_000)


def test_the_filter_keeps_what_has_the_words(submit: Submit, page: Page) -> None:
    good, bad = submit("survey", "true"), submit("scan", "exit 3")
    good.wait(90), bad.wait(90)
    page.get_by_role("button", name="Refresh the list of batches").click()
    expect(row_of(page, bad)).to_be_visible()

    page.get_by_role("searchbox", name="Filter the batches").fill("failed")

    expect(row_of(page, good)).to_have_count(0)
    expect(row_of(page, bad)).to_be_visible()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.requires("axe-core")
def test_axe_finds_nothing_in_the_panel_and_the_tab(
    submit: Submit, page: Page, gate: Path, theme: Theme, screenshots: Path, images: Callable[[str], Path]
) -> None:
    submit("quality control", "true", "true", "true", notebook="samples.ipynb").wait(90)
    submit("imputation", "true", "echo 'chromosome 22: no such panel'; exit 3", "true", notebook="imputation.ipynb").wait(90)
    held = submit("scan", "true", "true", "true").wait(90) and submit("random forest", "true", "true", f"until [ -e {gate} ]; do sleep 0.05; done", "true")
    page.get_by_role("button", name="Refresh the list of batches").click()
    expect(row_of(page, held)).to_contain_text("2 of 4")
    row_of(page, held).locator(".hbj-row-open").click()
    expect(page.locator(".hbj-run-tab .hbj-node[data-state=running]")).to_be_visible()
    change_theme(page, theme)
    if theme == "light":
        page.mouse.move(0, 0)
    page.screenshot(path=images(f"panel-{theme}.png"), animations="disabled", clip={"x": 0, "y": 0, "width": 1280, "height": 560})
    page.locator(".hbj-status-item").screenshot(path=screenshots / f"status-{theme}.png", animations="disabled")

    page.evaluate(Path(requires("axe-core")).read_text())
    found = page.evaluate(VIOLATIONS)

    assert found == []


def test_nothing_is_told_when_the_settings_say_so(submit: Submit, page: Page, lab: Lab, gate: Path) -> None:
    live = submit("quiet", f"until [ -e {gate} ]; do sleep 0.05; done")
    lab.set_panel(notifications=False)
    page.reload()
    show_panel(page)
    expect(row_of(page, live)).to_contain_text("Running")

    gate.touch()

    expect(row_of(page, live)).to_contain_text("Succeeded")
    expect(page.get_by_text("quiet: succeeded")).to_have_count(0)
    assert page.evaluate("document.querySelectorAll('.Toastify__toast').length") == 0


@pytest.fixture
def batch_service(lab: Lab) -> Iterator[BatchService]:
    """A batch service that the user of the Jupyter server has logged in to, for this test."""
    lab.service_data.parent.mkdir()
    made = BatchService(lab.service_data)
    made.port = lab.service_port
    yield made.start()
    made.close()
    shutil.rmtree(lab.service_data.parent)


def test_batches_of_a_service_stand_among_the_runs_and_a_service_that_is_down_is_one_line(
    submit: Submit, batch_service: BatchService, page: Page, gate: Path, screenshots: Path
) -> None:
    submit("of this machine", "true").wait(90)
    batch_service.ended(batch_service.post(job(1, "exit 3"), attributes={"name": "broken there"}))
    live = batch_service.post(job(1, "echo said"), job(2, f"until [ -e {gate} ]; do sleep 0.05; done", [1]), attributes={"name": "live there"})
    page.get_by_role("button", name="Refresh the list of batches").click()
    panel = page.locator("#hail-batch-jupyter-panel")
    expect(panel.locator(".hbj-row-title")).to_have_text(["live there", "broken there", "of this machine"])
    row = panel.locator(f".hbj-row[data-run='{live}']")
    page.get_by_role("combobox", name="Show the batches in state").select_option("Failed")
    expect(panel.locator(".hbj-row-title")).to_have_text(["broken there"])
    page.get_by_role("combobox", name="Show the batches in state").select_option("All")

    row.locator(".hbj-row-open").click()
    tab = page.locator(".hbj-run-tab .hbj-root")
    expect(tab.locator(".hbj-node").first).to_be_visible()
    expect(tab.locator(".hbj-counts")).to_contain_text("1 of 2 done")
    for theme in THEMES:
        change_theme(page, theme)
        page.screenshot(path=screenshots / f"panel-service-{theme}.png", animations="disabled")
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    page.screenshot(path=screenshots / "panel-service-forced.png", animations="disabled")
    assert panel.evaluate("panel => panel.getAnimations({ subtree: true }).length") == 0
    page.emulate_media(forced_colors="none", reduced_motion="no-preference")
    press(row, "Cancel live there")
    page.get_by_role("button", name="Cancel the run").click()
    expect(row).to_contain_text("Cancelled")
    expect(tab.locator(".hbj-chip")).to_have_text("Cancelled")

    batch_service.stop()
    page.get_by_role("button", name="Refresh the list of batches").click()
    expect(panel.locator(".hbj-panel-note")).to_contain_text("cannot be reached")
    expect(panel.locator(".hbj-row")).to_have_count(3)


def test_the_launcher_makes_a_starter_notebook_and_the_defaults_are_those_of_the_file(page: Page, lab: Lab, screenshots: Path) -> None:
    page.locator(".jp-Launcher").get_by_text("Batch Notebook").scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "launcher.png", animations="disabled")
    page.locator(".jp-LauncherCard", has_text="Batch Notebook").click()
    expect(page.locator(".jp-NotebookPanel .jp-Cell").first).to_contain_text("A batch of your own")
    assert (lab.root / "batch-starter.ipynb").exists()

    page.get_by_role("button", name="Batch defaults").click()
    page.get_by_label("Default backend").select_option("local")
    page.get_by_label("Rate card").fill("hial")
    page.screenshot(path=screenshots / "defaults.png", animations="disabled")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("hail")
    page.get_by_label("Rate card").fill("hail")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.locator(".jp-Dialog")).to_have_count(0)
    config = lab.root.parent / "config-home" / "hail" / "config.ini"
    wait_until(config.exists)  # the dialog is gone before the server has answered
    wait_until(config.exists)  # the dialog goes before the file is there
    wait_until(lambda: config.read_text().split() == ["[batch]", "backend", "=", "local", "rate_card", "=", "hail"], story=config.read_text)
    config.unlink()


FAILS_AT_FIRST = """
import sys
from hail_batch_jupyter.batch.batch import Batch
from hail_batch_jupyter.core.ports import SubmitOptions
batch = Batch(name="again")
batch.new_job(name="fickle").command(f"test -e {sys.argv[1]}")
batch.backend.submit(batch.compile(), SubmitOptions(keep_files=True, detach=True)).wait(90)
"""


def test_a_failed_run_is_retried_when_that_is_confirmed(submit: Submit, page: Page, lab: Lab, gate: Path) -> None:
    subprocess.run([sys.executable, "-c", FAILS_AT_FIRST, str(gate)], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    [failed] = rundir.list_runs()
    page.get_by_role("button", name="Refresh the list of batches").click()
    row = page.locator(f"#hail-batch-jupyter-panel .hbj-row[data-run='{failed.run_id}']")
    expect(row).to_contain_text("Failed")
    gate.touch()

    press(row, "Retry again")
    page.locator(".jp-Dialog").get_by_role("button", name="Retry", exact=True).click()

    expect(page.locator("#hail-batch-jupyter-panel .hbj-row[data-state=success]")).to_have_count(1)
    assert [run.previous for run in rundir.list_runs()] == [failed.run_id, None]

"""The sheet of a job in JupyterLab: log, search, cancel and retry, also while a cell keeps the kernel busy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe.attach import attach
from hail_batch_jupyter.observe.running import RunningBatch
from tests.conftest import RUNS, wait_until
from tests.requirements import requires
from tests.ui.conftest import notebooks_of, watched_runs
from tests.ui.lab import Lab
from tests.ui.notebook_page import THEMES, NotebookPage, Theme
from tests.ui.test_states import VIOLATIONS

pytestmark = [pytest.mark.browser, pytest.mark.requires("chromium", "built front end")]

RUN, BLOCK = 6, 7
CELLS = [
    "%load_ext hail_batch_jupyter\ncohort = %batch cohort",
    """%%batch_job tidy --memory 256Mi
echo "reading samples.csv"
printf '\\033[33mwarning\\033[0m: 2 rows without a value were dropped\\n'
for part in $(seq 1 12); do echo "part $part of 12: 1000 rows"; done
printf '\\033[1;31merror\\033[0m: there is no column "age" in samples.csv; it has: id, sex, weight\\n'
echo id > {tidy.table}
exit 3""",
    "%%batch_job model\ncat {tidy.table} > {model.fit}",
    """%%batch_job simulate
seq -f 'step %06.0f' 1 20000
until [ -e GATE ]; do date +%s.%N; sleep 0.1; done""",
    "%%batch_job summary --after simulate\ntrue",
    "%%batch_job steady\nuntil [ -e GATE ]; do sleep 0.1; done",
    "%batch_run",
    "import time\ntime.sleep(600)",
]


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The jobs that go on end when it is there."""
    return tmp_path_factory.mktemp("gate") / "gate"


@pytest.fixture(scope="module")
def page(browser: Browser, lab: Lab, gate: Path) -> Iterator[NotebookPage]:
    """The notebook with its run, after one job has failed."""
    with watched_runs(lab), notebooks_of(browser, lab, "sheet") as open_one:
        notebook = open_one([cell.replace("GATE", str(gate)) for cell in CELLS])
        for index in range(RUN + 1):
            notebook.run(index)
        expect(notebook.expect_run(RUN, "failure").locator(".hbj-node[data-name=simulate]")).to_have_attribute("data-state", "running")
        yield notebook


@pytest.fixture(autouse=True)
def seen(lab: Lab, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test sees the runs of the server's kernels."""
    monkeypatch.setenv(RUNS, str(lab.runs))


def run_of(page: NotebookPage) -> RunningBatch:
    return attach(page.widget(RUN).locator(".hbj-title").get_attribute("title") or "")


def sheet_of(page: NotebookPage, name: str) -> Locator:
    """The sheet of a job, which is opened if it is not."""
    sheet = page.widget(RUN).get_by_role("region", name=f"Details of {name}")
    if not sheet.count():
        page.widget(RUN).locator(f".hbj-node[data-name={name}]").click()
    expect(sheet.locator(".hbj-log-view")).to_be_visible()
    return sheet


def state_of(page: NotebookPage, name: str) -> JobState:
    run = run_of(page)
    return next(view.state for job, view in zip(run.spec.jobs, run.snapshot().jobs, strict=True) if job.name == name)


def test_a_log_is_read_and_one_job_cancelled_while_a_cell_blocks_the_kernel(page: NotebookPage) -> None:
    page.start(BLOCK)

    sheet = sheet_of(page, "simulate")
    log = sheet.get_by_role("group", name="Log of simulate")
    first = log.inner_text()
    wait_until(lambda: log.inner_text() != first, story=log.inner_text)
    wait_until(lambda: log.evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight") < 5)
    assert "step 000001\n" not in log.inner_text()
    sheet.get_by_role("searchbox").fill("step 000007")
    page.page.keyboard.press("Enter")
    expect(sheet.locator("mark")).to_have_text("step 000007")
    sheet.locator(".hbj-log-view").scroll_into_view_if_needed()
    expect(sheet.locator("mark")).to_be_in_viewport()

    sheet.get_by_role("button", name="Cancel this job").click()
    expect(sheet.get_by_role("group", name="Cancel the job?")).to_contain_text("The 1 job that needs it will not run.")
    sheet.get_by_role("button", name="Cancel the job").click()

    expect(sheet.get_by_role("status").filter(has_text="is being cancelled")).to_have_text("Job 'simulate' is being cancelled")
    wait_until(lambda: state_of(page, "simulate") is JobState.CANCELLED)
    expect(sheet.locator(".hbj-sheet-head")).to_contain_text("cancelled")
    expect(sheet.locator("dl")).to_contain_text("took")
    page.wait_for_status("busy")
    assert state_of(page, "steady") is JobState.RUNNING
    page.interrupt()
    page.wait_for_status("idle")


def test_the_sheet_is_reached_and_left_with_the_keys(page: NotebookPage) -> None:
    node = page.widget(RUN).locator(".hbj-node[data-name=tidy]")
    node.focus()
    page.page.keyboard.press("Enter")
    sheet = sheet_of(page, "tidy")
    expect(sheet).to_be_focused()

    expect(sheet.get_by_role("button", name="Retry this job")).to_be_disabled()
    seen = set()
    for _ in range(16):
        page.page.keyboard.press("Tab")
        seen.add(page.page.evaluate("(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent).trim()"))
    assert {"Close the details", "Find in the log", "Previous place", "Next place", "Wrap", "Copy", "Log of tidy", "command"} <= seen
    sheet.get_by_role("searchbox").focus()
    page.page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    expect(node).to_be_focused()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.requires("axe-core")
def test_axe_finds_nothing_in_the_sheet_of_a_failure(page: NotebookPage, gate: Path, theme: Theme, images: Callable[[str], Path]) -> None:
    gate.touch()
    wait_until(lambda: run_of(page).snapshot().ended_ms is not None)
    sheet = sheet_of(page, "tidy")
    expect(sheet.get_by_role("button", name="Retry this job")).to_be_enabled()
    page.set_theme(theme)
    sheet.locator(".hbj-columns").evaluate("files => { files.hidden = true; }")  # where they lie on this machine is nobody's concern
    page.picture(sheet, images(f"failure-{theme}.png"))
    sheet.locator(".hbj-columns").evaluate("files => { files.hidden = false; }")

    page.page.evaluate(Path(requires("axe-core")).read_text())

    assert page.page.evaluate(VIOLATIONS) == []


def test_one_job_is_retried_when_the_run_has_ended_and_the_new_run_opens(page: NotebookPage) -> None:
    sheet = sheet_of(page, "tidy")
    sheet.get_by_role("button", name="Retry this job").click()
    report = sheet.get_by_role("status").filter(has_text="Retrying")
    expect(report).to_have_text(re.compile("Retrying job 'tidy' in run "))
    again = report.inner_text().split()[-1]
    sheet.get_by_role("button", name="Open the new run").click()

    expect(page.page.locator(".hbj-run-tab")).to_be_visible()
    expect(page.page.locator(f".hbj-run-tab [title='{again}']")).to_be_visible()
    attach(again).wait(90)
    assert [view.state.value for view in attach(again).snapshot().jobs][:2] == ["Failed", "Cancelled"]

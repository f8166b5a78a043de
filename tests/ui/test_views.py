"""The widget stays right: in a page that is loaded again, in a second tab, when the cell runs again, and in the saved notebook without any of this."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import wait_until
from tests.ui.conftest import OpenNotebook
from tests.ui.notebook_page import NotebookPage
from tests.ui.test_states import RUN, SURVEYED, expect_states, survey

pytestmark = [pytest.mark.browser, pytest.mark.requires("chromium", "built front end")]

SAVED_BYTES = 100_000
_BELOW = "log => log.scrollHeight - log.clientHeight - log.scrollTop"


def two_jobs(gate: Path) -> list[str]:
    """One job that waits for the gate and one that follows it."""
    return [
        "%load_ext hail_batch_jupyter\n%batch pair",
        f"gate = {str(gate)!r}",
        "%%batch_job first\nuntil [ -e {gate!s} ]; do sleep 0.05; done; echo done > {first.word}",
        "%%batch_job second\ncat {first.word}",
        "%batch_run",
    ]


def test_after_a_reload_the_widget_shows_the_right_state_and_stays_live(open_notebook: OpenNotebook, gate: Path) -> None:
    notebook = open_notebook(survey(gate))
    notebook.run_all()
    expect_states(notebook.expect_run(RUN, "failure"), SURVEYED)
    notebook.save()

    notebook.reload()

    widget = notebook.expect_run(RUN, "failure")
    expect_states(widget, SURVEYED)
    expect(widget.locator(".hbj-failure .hbj-log")).to_contain_text("row 17")
    gate.touch()
    expect_states(widget, {"fit": "success", "summary": "success", "check": "failed"})
    expect(widget.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "8")
    expect(widget.locator(".hbj-spoken")).to_contain_text("8 of 10 done")


def test_a_second_tab_shows_the_same_run_live(open_notebook: OpenNotebook, gate: Path) -> None:
    first = open_notebook(two_jobs(gate))
    first.run_all()
    first.expect_run(4, "running")
    first.save()

    second = NotebookPage(first.lab, first.context, first.path)

    expect_states(second.expect_run(4, "running"), {"first": "running", "second": "pending"})
    gate.touch()
    expect_states(second.expect_run(4, "success"), {"first": "success", "second": "success"})
    expect_states(first.expect_run(4, "success"), {"first": "success", "second": "success"})
    assert not second.problems


def test_what_was_opened_stays_open_when_the_run_ends(open_notebook: OpenNotebook, gate: Path) -> None:
    notebook = open_notebook(two_jobs(gate))
    notebook.run_all()
    widget = notebook.expect_run(4, "running")

    widget.locator(".hbj-node[data-name=first]").click()
    gate.touch()
    wait_until(lambda: "2 of 2 jobs done in" in notebook.saved(), story=notebook.saved)

    notebook.expect_run(4, "success")
    expect(widget.locator(".hbj-details")).to_contain_text("exit code")
    assert notebook.page.evaluate("document.activeElement.closest('.hbj-root') !== null")


def test_the_last_line_of_a_failures_log_is_in_sight(open_notebook: OpenNotebook) -> None:
    lines = "\n".join(f"echo 'step {step} of the way, with a few more words so that the line is broken where the place is narrow'" for step in range(12))
    notebook = open_notebook(["%load_ext hail_batch_jupyter\n%batch long", f"%%batch_job long\n{lines}\necho 'what is wrong'; exit 1", "%batch_run"])
    notebook.page.set_viewport_size({"width": 700, "height": 900})

    notebook.run_all()

    log = notebook.expect_run(2, "failure").locator(".hbj-failure .hbj-log")
    expect(log).to_contain_text("what is wrong")
    wait_until(lambda: log.evaluate(_BELOW) <= 1, story=lambda: f"{log.evaluate(_BELOW)} px of the log are below what is seen")


def test_the_cell_run_again_beside_its_live_run_attaches_and_later_takes_results_over(open_notebook: OpenNotebook, gate: Path) -> None:
    notebook = open_notebook(two_jobs(gate))
    notebook.run_all()
    run_id = notebook.expect_run(4, "running").locator(".hbj-title").get_attribute("title")

    notebook.run(4)
    widget = notebook.expect_run(4, "running")
    assert widget.locator(".hbj-title").get_attribute("title") == run_id
    wait_until(lambda: "running already" in notebook.output(4), story=lambda: notebook.output(4))

    gate.touch()
    notebook.expect_run(4, "success")
    notebook.run(4)
    expect_states(notebook.widget(4), {"first": "reused", "second": "reused"})
    widget = notebook.expect_run(4, "success")
    assert widget.locator(".hbj-title").get_attribute("title") != run_id
    expect(widget.locator(".hbj-counts")).to_contain_text("2 reused")


def test_the_saved_notebook_is_small_and_shows_the_last_state_without_javascript(
    open_notebook: OpenNotebook, browser: Browser, tmp_path: Path, screenshots: Path
) -> None:
    scatter = (
        "for number in range(299):\n    many.new_job(f'part-{number}').command(f'echo part {number}')\n"
        "many.new_job('last').command('echo \"<i>no room</i>\" >&2; exit 9')"
    )
    notebook = open_notebook(["%load_ext hail_batch_jupyter\nmany = %batch many", scatter, "%batch_run"])
    notebook.run_all()
    notebook.expect_run(2, "failure")

    wait_until(lambda: "299 of 300 jobs done in" in notebook.saved(), story=notebook.saved)

    saved = json.loads(notebook.file.read_text())
    assert len(json.dumps(saved["cells"][2]["outputs"]).encode()) <= SAVED_BYTES
    assert len(notebook.file.read_bytes()) <= SAVED_BYTES + 5_000
    page = browser.new_page(java_script_enabled=False)
    page.goto(html_of(notebook.file, tmp_path).as_uri())
    body = page.locator("body")
    for words in ("Failed · many · 299 of 300 jobs done", "299 succeeded, 1 failed", "exit code 9", "<i>no room</i>"):
        expect(body).to_contain_text(words)
    page.screenshot(path=screenshots / "still.png", full_page=True)
    page.close()


def test_a_notebook_opened_again_with_a_new_kernel_shows_the_last_state(open_notebook: OpenNotebook, gate: Path) -> None:
    first = open_notebook(two_jobs(gate))
    gate.touch()
    first.run_all()
    first.expect_run(4, "success")
    wait_until(lambda: "2 of 2 jobs done in" in first.saved(), story=first.saved)
    first.page.close()
    first.lab.end_kernels()

    again = NotebookPage(first.lab, first.context, first.path)

    expect(again.cell(4).locator(".jp-OutputArea-output")).to_contain_text("2 of 2 jobs done in")
    assert "Error displaying widget" not in again.output(4)
    assert not again.problems


def html_of(notebook: Path, folder: Path) -> Path:
    """The notebook as nbconvert exports it."""
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--output-dir", str(folder), str(notebook)]
    subprocess.run(command, check=True, capture_output=True)
    return folder / f"{notebook.stem}.html"


def test_an_untrusted_notebook_shows_the_last_state_and_after_restart_and_run_all_the_live_run(open_notebook: OpenNotebook, gate: Path) -> None:
    first = open_notebook(two_jobs(gate))
    gate.touch()
    first.run_all()
    first.expect_run(4, "success")
    wait_until(lambda: "2 of 2 jobs done in" in first.saved(), story=first.saved)
    first.page.close()
    first.lab.end_kernels()
    text = first.file.read_text()
    stranger = first.file.with_name(f"strange-{first.file.name}")
    stranger.write_text(text.replace("2 of 2 jobs done in", "2 of 2 jobs done, somebody says, in"))

    page = NotebookPage(first.lab, first.context, stranger.name)

    expect(page.cell(4).locator(".jp-OutputArea-output")).to_contain_text("somebody says")
    assert page.page.evaluate("window.jupyterapp.shell.currentWidget.content.model.cells.get(4).trusted") is False
    page.page.evaluate("void window.jupyterapp.commands.execute('notebook:restart-run-all')")
    page.page.get_by_role("dialog").get_by_role("button", name="Confirm Kernel Restart").click()
    widget = page.expect_run(4, "success")
    expect(widget.locator(".hbj-counts")).to_contain_text("2 of 2 done")

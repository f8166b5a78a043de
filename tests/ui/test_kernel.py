"""A run outlives its kernel: interrupted, or killed in the middle of 200 jobs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from playwright.sync_api import expect

from hail_batch_jupyter.core.events import BatchSnapshot
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import attach
from tests.conftest import wait_until
from tests.ui.conftest import OpenNotebook, live_runs
from tests.ui.test_views import two_jobs

pytestmark = [pytest.mark.browser, pytest.mark.requires("chromium", "built front end")]

N_JOBS = 200


def snapshot_of(run_id: str) -> BatchSnapshot:
    """What the run directory tells of a run."""
    return attach(run_id).snapshot()


def test_a_run_of_200_jobs_survives_the_kill_of_its_kernel_and_is_shown_again(open_notebook: OpenNotebook, gate: Path, screenshots: Path) -> None:
    scatter = (
        f"for number in range({N_JOBS}):\n"
        f"    hold = 'until [ -e {gate} ]; do sleep 0.05; done; ' if number >= {N_JOBS // 2} else ''\n"
        "    many.new_job(f'part-{number}').command(f'{hold}echo part {number}')"
    )
    notebook = open_notebook(["%load_ext hail_batch_jupyter\nmany = %batch many", "import os; print(os.getpid())", scatter, "%batch_run", "%batch_jobs"])
    notebook.run_all()
    [run] = live_runs()
    wait_until(lambda: snapshot_of(run.run_id).counts().get(JobState.SUCCESS, 0) >= N_JOBS // 4, story=lambda: snapshot_of(run.run_id).counts())

    os.kill(int(wait_until(lambda: notebook.output(1).strip())), signal.SIGKILL)
    gate.touch()
    wait_until(lambda: not live_runs(), story=live_runs)

    assert snapshot_of(run.run_id).counts() == {JobState.SUCCESS: N_JOBS}
    notebook.page.get_by_role("dialog").get_by_role("button", name="Ok").click()
    notebook.page.screenshot(path=screenshots / "kernel-killed.png")
    notebook.wait_for_status("idle")
    notebook.run(0)
    notebook.expect_first_line(0, f"many has succeeded: %batch_attach {run.run_id}")
    notebook.set_source(3, f"%batch_attach {run.run_id}")
    notebook.run(3)
    widget = notebook.expect_run(3, "success")
    expect(widget.locator(".hbj-node[data-name=part]")).to_have_attribute("data-state", "success")
    expect(widget.locator(".hbj-counts")).to_have_text(f"{N_JOBS} of {N_JOBS} done")
    notebook.run(4)
    wait_until(lambda: f"{N_JOBS} jobs: {N_JOBS} succeeded" in notebook.output(4), story=lambda: notebook.output(4))


def test_a_new_kernel_says_that_a_run_still_goes_on_and_shows_it_live(open_notebook: OpenNotebook, gate: Path) -> None:
    notebook = open_notebook([*two_jobs(gate), "later"])
    for index in range(5):
        notebook.run(index)
    notebook.expect_run(4, "running")
    [run] = live_runs()

    notebook.restart()
    notebook.run(0)
    notebook.expect_first_line(0, f"pair is still running: %batch_attach {run.run_id}")
    notebook.set_source(5, f"%batch_attach {run.run_id}")
    notebook.run(5)
    notebook.expect_run(5, "running")
    gate.touch()
    notebook.expect_run(5, "success")


def test_an_interrupt_stops_the_waiting_and_not_the_run(open_notebook: OpenNotebook, gate: Path) -> None:
    notebook = open_notebook([*two_jobs(gate), "print('it waits')\n%batch_wait"])
    for index in range(5):
        notebook.run(index)
    widget = notebook.expect_run(4, "running")
    [run] = live_runs()

    notebook.start(5)
    # An interrupt before the cell has begun is lost.
    expect(notebook.cell(5).locator(".jp-OutputArea")).to_contain_text("it waits")
    notebook.interrupt()
    expect(notebook.cell(5).locator(".jp-OutputArea")).to_contain_text("stopped waiting; the run goes on")

    assert [live.run_id for live in live_runs()] == [run.run_id]
    assert not (rundir.find(run.run_id) / "cancel").exists()
    expect(widget).to_have_attribute("data-state", "running")
    gate.touch()
    notebook.expect_run(4, "success")
    assert snapshot_of(run.run_id).counts() == {JobState.SUCCESS: 2}

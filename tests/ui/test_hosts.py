"""Hosts other than Jupyter's own: marimo, which has no ipykernel, and Voilà, which makes an application of a notebook."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import free_port, wait_until
from tests.ui.conftest import VIEW
from tests.ui.notebooks import write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.requires("chromium", "built front end"), pytest.mark.usefixtures("runs")]

STARTS_IN_MS = 240_000
RUNS = """
import hail_batch_jupyter.batch as hb
def begun(name):
    batch = hb.Batch(name=name)
    first = batch.new_job("first").command("true")
    batch.new_job("held").depends_on(first).command("until [ -e {gate} ]; do sleep 0.05; done")
    return batch.run(wait=False)
"""
MARIMO = """
import marimo
app = marimo.App()
@app.cell
def _():
    import marimo as mo
    from begun import begun
    mo.ui.anywidget(begun("there").dag())
    return
if __name__ == "__main__":
    app.run()
"""


def listens(port: int) -> bool:
    """Whether somebody takes connections there: a server may tell its address before it does."""
    with socket.socket() as asking:
        return not asking.connect_ex(("127.0.0.1", port))


@contextmanager
def shown(browser: Browser, folder: Path, *command: str) -> Iterator[Page]:
    """The page of an application that this command serves at the port that is put at its end; fails at the end when the page broke."""
    port, log = free_port(), folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", *command, f"--port={port}"], cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    context = browser.new_context(viewport=VIEW)
    page, problems = context.new_page(), list[str]()
    page.on("pageerror", lambda error: problems.append(str(error)))
    try:
        wait_until(lambda: str(port) in log.read_text(errors="replace") and listens(port), STARTS_IN_MS / 1000, lambda: log.read_text(errors="replace"))
        page.goto(f"http://127.0.0.1:{port}/", timeout=STARTS_IN_MS)
        yield page
    finally:
        context.close()
        process.terminate()
        process.wait()
    assert problems == []


@pytest.fixture
def folder(tmp_path: Path, gate: Path) -> Iterator[Path]:
    """A folder with the module that makes runs of two jobs, of which the second waits for the gate."""
    (tmp_path / "begun.py").write_text(RUNS.format(gate=gate))
    yield tmp_path
    gate.touch()


def test_a_view_is_live_in_marimo(browser: Browser, folder: Path, gate: Path, screenshots: Path) -> None:
    (folder / "app.py").write_text(MARIMO)

    with shown(browser, folder, "marimo", "run", "app.py", "--headless", "--no-token", "--host=127.0.0.1") as page:
        held = page.locator(".hbj-node[data-name=held]")
        expect(held).to_have_attribute("data-state", "running", timeout=STARTS_IN_MS)
        page.screenshot(path=screenshots / "marimo.png")
        gate.touch()
        expect(held).to_have_attribute("data-state", "success")


def test_voila_shows_a_dashboard_of_two_runs(browser: Browser, folder: Path, gate: Path, screenshots: Path) -> None:
    cells = ["from begun import begun\nfrom ipywidgets import VBox\none, two = begun('one'), begun('two')", "VBox([one.dag(), two.dag(), two.progress()])"]
    write_notebook(folder / "dashboard.ipynb", cells)

    with shown(browser, folder, "voila", "dashboard.ipynb", "--no-browser", "--Voila.ip=127.0.0.1") as page:
        roots = page.locator(".widget-vbox .hbj-root")
        expect(roots).to_have_count(3, timeout=STARTS_IN_MS)
        held = roots.locator(".hbj-node[data-name=held]")
        for place in (0, 1):
            expect(held.nth(place)).to_have_attribute("data-state", "running")
        page.screenshot(path=screenshots / "voila.png")
        gate.touch()
        for place in (0, 1):
            expect(held.nth(place)).to_have_attribute("data-state", "success")
        expect(roots.last).to_contain_text("2 of 2 done")

"""A JupyterLab and a browser for the tests of this folder; both end with the last of them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hail_batch_jupyter.observe import rundir
from tests.conftest import RUNS, wait_until
from tests.requirements import ROOT, requires
from tests.ui.lab import Lab
from tests.ui.notebooks import write_notebook

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

    from tests.ui.notebook_page import NotebookPage

# The unit tests also run where playwright is not installed.
collect_ignore_glob = [] if find_spec("playwright") else ["test_*.py"]
IMAGES = ROOT / "docs" / "images"
VIEW: ViewportSize = {"width": 1280, "height": 900}
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync"]

OpenNotebook = Callable[[Sequence[str] | Path], "NotebookPage"]


# Playwright's own event loop runs in this thread while it is started, which other tests (nbclient's) do not bear: so it ends with this package.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    from playwright.sync_api import expect, sync_playwright

    path = requires("chromium")
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, headless=True, args=_FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="package")
def lab(all_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A running JupyterLab."""
    server = Lab(tmp_path_factory.mktemp("lab"), all_runs / "ui")
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@contextmanager
def watched_runs(lab: Lab) -> Iterator[None]:
    """Lets this process see the runs of the server's kernels; at the end those that go on are cancelled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUNS, str(lab.runs))
        yield
        for run in live_runs():
            rundir.request_cancel(run.directory, "the test is over")
        wait_until(lambda: not live_runs(), story=live_runs)


def live_runs() -> list[rundir.RunInfo]:
    """Runs that go on now."""
    return [run for run in rundir.list_runs() if run.state == "live"]


@pytest.fixture
def open_notebook(browser: Browser, lab: Lab, request: pytest.FixtureRequest) -> Iterator[OpenNotebook]:
    """Opens a notebook of these cells, or a copy of one, in a page of its own; fails at the end when the browser told of errors."""
    with watched_runs(lab), notebooks_of(browser, lab, request.node.name) as open_one:
        yield open_one


@contextmanager
def notebooks_of(browser: Browser, lab: Lab, title: str) -> Iterator[OpenNotebook]:
    """What `open_notebook` is, also for fixtures of a whole module."""
    from tests.ui.notebook_page import NotebookPage

    context = browser.new_context(viewport=VIEW)
    opened: list[NotebookPage] = []
    stem = re.sub(r"\W+", "-", title)[:60].strip("-")

    def open_one(cells: Sequence[str] | Path) -> NotebookPage:
        if isinstance(cells, Path):
            path = Path(shutil.copy(cells, lab.root))
        else:
            path = write_notebook(lab.root / (f"{stem}-{len(opened)}.ipynb" if opened else f"{stem}.ipynb"), cells)
        opened.append(NotebookPage(lab, context, path.name))
        return opened[-1]

    yield open_one
    problems = [problem for page in opened for problem in page.problems]
    context.close()
    lab.end_kernels()
    assert not problems


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file that is not there yet; jobs of WAIT_FOR_GATE end when it is."""
    return tmp_path / "gate"


@pytest.fixture
def images(screenshots: Path) -> Callable[[str], Path]:
    """Where a picture that the documents show goes: into the documents with UPDATE_IMAGES=1, else beside the other screenshots."""

    def place(name: str) -> Path:
        folder = IMAGES if os.environ.get("UPDATE_IMAGES") == "1" else screenshots
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    return place

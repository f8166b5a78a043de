"""An executor's line in JupyterLab: it moves while its cell blocks the kernel, and is there after a reload."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.conftest import wait_until
from tests.ui.conftest import OpenNotebook

pytestmark = [pytest.mark.browser, pytest.mark.requires("chromium", "built front end")]

PREPARE = """
import os, time
from hail_batch_jupyter.batch import BatchPoolExecutor, LocalBackend
gate = {gate!r}
pool = BatchPoolExecutor(name="squares", backend=LocalBackend(cores=2))
def square(x):
    while x > 5 and not os.path.exists(gate):
        time.sleep(0.01)
    return x * x if x != 3 else x / 0
""".strip()
RUN = "futures = [pool.submit(square, x) for x in range(12)]\nfutures[-1].result()"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_line_of_an_executor_moves_while_its_cell_runs(open_notebook: OpenNotebook, gate: Path, screenshots: Path, theme: str) -> None:
    notebook = open_notebook([PREPARE.format(gate=str(gate)), RUN])
    notebook.set_theme("dark" if theme == "dark" else "light")
    notebook.run(0)
    notebook.start(1)
    line = notebook.cell(1).locator(".jp-OutputArea-output")

    expect(line).to_contain_text("squares")
    expect(line).to_contain_text("5 of 12 calls done")
    expect(line).to_contain_text("2 running, 1 failed")
    bar = line.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "6")
    box = wait_until(bar.bounding_box)  # the line may just be drawn anew
    assert box is not None and (box["width"], box["height"]) == (160, 8)
    whole = wait_until(line.bounding_box)
    assert whole is not None and whole["height"] < 40, "one line"
    notebook.picture(notebook.cell(1), screenshots / f"pool-{theme}.png")

    gate.touch()
    expect(line.first).to_contain_text("11 of 12 calls done")
    notebook.save()
    notebook.reload()
    expect(line.first).to_contain_text("11 of 12 calls done")

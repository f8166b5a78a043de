from __future__ import annotations

from typing import Any

import pytest

from hail_batch_jupyter.jupyter.extension import load_ipython_extension, unload_ipython_extension

MAGICS = {
    "line": {
        "batch",
        "batch_run",
        "batch_wait",
        "batch_output",
        "batch_jobs",
        "batch_cost",
        "batch_log",
        "batch_cancel",
        "batch_retry",
        "batch_attach",
        "batch_runs",
        "batch_service",
    },
    "cell": {"batch_job", "batch_python"},
}


def test_loading_adds_the_magics_and_the_completion_once(cells: Any) -> None:
    matchers = list(cells.shell.Completer.custom_matchers)

    load_ipython_extension(cells.shell)

    for kind, names in MAGICS.items():
        assert names <= set(cells.shell.magics_manager.magics[kind])
    assert cells.shell.Completer.custom_matchers == matchers


def test_loading_again_keeps_the_batches(cells: Any) -> None:
    batch = cells.run("%batch mine")

    cells.run("%reload_ext hail_batch_jupyter.jupyter.extension")

    assert cells.run("%batch mine").name == batch.name


def test_unloading_takes_everything_away_and_may_be_repeated(cells: Any) -> None:
    before = len(cells.shell.Completer.custom_matchers)

    unload_ipython_extension(cells.shell)
    unload_ipython_extension(cells.shell)

    for kind, names in MAGICS.items():
        assert not names & set(cells.shell.magics_manager.magics[kind])
    assert len(cells.shell.Completer.custom_matchers) == before - 1
    load_ipython_extension(cells.shell)
    assert MAGICS["cell"] <= set(cells.shell.magics_manager.magics["cell"])


def test_help_of_a_magic_shows_its_options(cells: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cells.run("%%batch_job?")

    shown = capsys.readouterr().out
    assert "--memory" in shown
    assert "Running the cell again replaces the job." in shown

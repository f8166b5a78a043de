"""Settings and starter notebooks, through a real Jupyter server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from hail_batch_jupyter.jupyter.server.starter_routes import TEMPLATE
from tests.conftest import RUNS
from tests.jupyter.jupyter_server import Server
from tests.jupyter.test_notebooks import execute

pytestmark = pytest.mark.slow

SETTINGS = "hail-batch-jupyter/settings"
STARTER = "hail-batch-jupyter/starter"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Jupyter server of a user with settings of their own, one of which a variable overrides."""
    folder = tmp_path_factory.mktemp("settings")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("HAIL_") and name != RUNS]:
            patch.delenv(name)
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.setenv("HAIL_BATCH_BILLING_PROJECT", "of-the-site")
        made = Server(folder)
    try:
        yield made.wait()
    finally:
        made.close()


def settings_of(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {setting["name"]: setting for setting in answer["settings"]}


def test_settings_are_those_of_the_configuration_file(server: Server) -> None:
    file = server.root / "config" / "hail" / "config.ini"
    file.parent.mkdir(parents=True)
    file.write_text("# mine\n[batch]\nbackend = service\n")

    status, answer = server.ask(SETTINGS, "GET")
    found = settings_of(answer)
    assert (status, answer["file"]) == (200, str(file))
    assert [found["batch/backend"][key] for key in ("value", "variable", "closed")] == ["service", "", True]
    assert "local" in found["batch/backend"]["choices"]
    assert "this-machine" in found["batch/rate_card"]["choices"] and not found["batch/rate_card"]["closed"]
    assert found["batch/billing_project"]["variable"] == "HAIL_BATCH_BILLING_PROJECT"

    status, answer = server.ask(SETTINGS, body={"batch/backend": "", "batch/rate_card": "core-hours:0.03"})
    assert status == 200
    assert [settings_of(answer)[name]["value"] for name in ("batch/backend", "batch/rate_card")] == ["", "core-hours:0.03"]
    assert file.read_text() == "# mine\n[batch]\nrate_card = core-hours:0.03\n"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        pytest.param({"batch/backend": "clowd", "batch/keep_runs_days": "1"}, "it must be one of local", id="no choice"),
        pytest.param({"batch/rate_card": "hial", "batch/keep_runs_days": "1"}, "hial", id="no card"),
        pytest.param({"domain": "evil.example"}, "names among batch/backend", id="not one of these"),
        pytest.param({"batch/backend": 1}, "object of texts", id="no text"),
        pytest.param(["batch/backend"], "object of texts", id="no object"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_changed(server: Server, wanted: object, words: str) -> None:
    file = server.root / "config" / "hail" / "config.ini"
    before = file.read_text() if file.exists() else None

    status, answer = server.ask(SETTINGS, body=wanted)

    assert status == 400
    assert words in answer["text"]
    assert (file.read_text() if file.exists() else None) == before


def test_a_starter_notebook_never_takes_the_place_of_another(server: Server) -> None:
    (server.root / "work").mkdir()
    assert server.ask(STARTER, body={"folder": "work"}) == (201, {"path": "work/batch-starter.ipynb"})
    mine = server.root / "work" / "batch-starter.ipynb"
    assert [cell.source for cell in nbformat.read(mine, 4).cells] == [cell.source for cell in nbformat.read(TEMPLATE, 4).cells]
    mine.write_text("mine")

    assert server.ask(STARTER, body={"folder": "/work/"}) == (201, {"path": "work/batch-starter1.ipynb"})

    assert mine.read_text() == "mine"
    assert server.ask(STARTER, body={"folder": "nowhere"})[0] == 404
    assert server.ask(STARTER, body={"folder": "../.."})[0] == 404
    assert server.ask(STARTER, body={})[0] == 400
    assert not list(server.root.parent.glob("batch-starter*"))


def test_who_has_no_token_changes_nothing(server: Server) -> None:
    for path, method, body in [(SETTINGS, "GET", None), (SETTINGS, "POST", {"batch/backend": "local"}), (STARTER, "POST", {"folder": ""})]:
        assert server.ask(path, method, token=None, body=body)[0] == 403


@pytest.mark.notebook
def test_the_starter_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [cell.source for cell in nbformat.read(TEMPLATE, 4).cells if cell.cell_type == "code"]

    done = execute(tmp_path, cells, monkeypatch)

    shares = json.loads(done.cells[-1].outputs[-1]["data"]["text/plain"].replace("'", '"'))
    assert list(shares) == list("aeiou")
    assert shares["o"] == 4 / 35

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from hail_batch_jupyter.backends.origin import cell_id, origin
from hail_batch_jupyter.batch.batch import Batch
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.observe import rundir


@pytest.mark.parametrize(
    ("parent", "cell"),
    [
        pytest.param({"metadata": {"cellId": "c-1"}}, "c-1", id="named"),
        pytest.param({"metadata": {}}, "", id="a host that names no cells"),
        pytest.param({"metadata": {"cellId": 7}}, "", id="no text"),
        pytest.param(None, "", id="no message"),
    ],
)
def test_the_cell_is_that_of_the_message_that_runs(parent: object, cell: str) -> None:
    assert cell_id(SimpleNamespace(parent_header=parent)) == cell
    assert cell_id(None) == ""


def test_a_run_notes_the_notebook_and_the_cell_that_made_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import IPython

    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "study.ipynb"))
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(parent_header={"metadata": {"cellId": "c-2"}}))
    batch = Batch(name="noted")
    batch.new_job(name="a").command("true")

    running = batch.backend.submit(batch.compile(), SubmitOptions(keep_files=True, detach=True))
    running.wait(90)

    noted = rundir.info(rundir.find(str(running.id)))
    assert (noted.notebook, noted.cell) == (str(tmp_path / "study.ipynb"), "c-2")


def test_a_script_has_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)

    assert origin() == {"notebook": "", "cell": ""}

"""Whole notebooks, executed as papermill and nbclient do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

from tests.requirements import ROOT, requires

pytestmark = pytest.mark.notebook

WITHOUT_PICTURE = ("tutorial", "files")

DATA = r"""
from pathlib import Path
import csv
data = Path('data.csv')
data.write_text('x,y\n1,2\n2,4.1\n3,5.9\n')
train = Path('train.py')
train.write_text('''
import csv, sys
rows = [(float(r["x"]), float(r["y"])) for r in csv.DictReader(open(sys.argv[1]))]
print(sum(x * y for x, y in rows) / sum(x * x for x, _ in rows))
''')
"""
STUDY = [
    "%load_ext hail_batch_jupyter\n%batch study",
    DATA,
    "%%batch_job fit --cpu 1 --memory 500Mi --output model=out/model.txt\npython {train} {data} > {fit.model}",
    "def squares(slope, rows):\n    return sum((float(r['y']) - slope * float(r['x'])) ** 2 for r in rows)",
    "%%batch_python evaluate -o loss\nwith data.open() as file:\n    loss = squares(float(open(fit.model).read()), list(csv.DictReader(file)))",
    "%batch_run",
    "%batch_wait",
    "%batch_jobs",
    "round(evaluate['loss'].result(), 3)",
]


def execute(folder: Path, cells: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The notebook after its cells were run; raises CellExecutionError as papermill would stop."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT) + os.pathsep + os.environ.get("PYTHONPATH", ""))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    try:
        client.execute()
    except CellExecutionError as error:
        error.notebook = notebook  # type: ignore[attr-defined]  # for the test to look at
        raise
    return notebook


def test_the_quickstart_runs_and_each_of_its_cells_can_be_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_BATCH_JUPYTER_RUNS", str(tmp_path / "runs"))
    cells = [cell.source for cell in nbformat.read(ROOT / "notebooks" / "quickstart.ipynb", as_version=4).cells if cell.cell_type == "code"]
    define = [cell for cell in cells if cell.startswith("%%batch_")]
    again = [*define, "%batch_run\n%batch_wait", "len(quick.jobs), len(fit), fit['score'].result()[3] == table.to_dict('records')[3]"]
    fewer = ["strengths = strengths[:20]", *define, "%batch_run\n%batch_wait", "len(quick.jobs), len(gather['table'].result())"]
    notebook = execute(tmp_path, [*cells, "quick = %batch", *again, *fewer], monkeypatch)

    assert any("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.outputs)
    assert data_of(notebook.cells[len(cells) + len(again)], "text/plain") == "(27, 24, True)"
    assert data_of(notebook.cells[-1], "text/plain") == "(23, 20)"


def data_of(cell: Any, mime: str) -> str:
    return "".join(output["data"].get(mime, "") for output in cell.outputs if "data" in output)


def test_a_study_runs_from_top_to_bottom_and_its_saved_outputs_show_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = execute(tmp_path, [*STUDY, "import time; time.sleep(0.6)"], monkeypatch)

    run, _, table, value = notebook.cells[5:9]
    assert [sorted(output["data"]) for output in run.outputs] == [["text/html", "text/plain"]]
    html, _ = HTMLExporter().from_notebook_node(notebook)
    assert "</span> Succeeded ·" in html
    assert data_of(value, "text/plain") == "0.019"
    assert "</span> succeeded" in data_of(table, "text/html")
    assert "2 of 2 jobs done" in data_of(run, "text/plain")
    assert "</span> Succeeded ·" in data_of(run, "text/html")
    assert (tmp_path / "out" / "model.txt").read_text().startswith("1.99")
    assert len(nbformat.writes(notebook)) < 100_000


def test_a_run_that_the_last_cell_waited_for_is_saved_as_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = "import hail_batch_jupyter.batch as hb\nb = hb.Batch()\nfor _ in range(3):\n    b.new_job().command('true')\nb.run()"

    notebook = execute(tmp_path, [cell], monkeypatch)

    assert "3 of 3 jobs done" in data_of(notebook.cells[0], "text/plain")


@pytest.mark.slow
@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notebook: Path, request: pytest.FixtureRequest) -> None:
    cells = nbformat.read(notebook, as_version=4).cells
    if notebook.stem == "gwas_clumping":
        requires("plink1.9")
    if notebook.stem == "slurm":
        requires("slurm")
        request.getfixturevalue("slurm")

    executed = execute(tmp_path, [cell.source for cell in cells if cell.cell_type == "code"], monkeypatch)

    assert "image/png" in {mime for cell in executed.cells for output in cell.outputs for mime in output.get("data", {})} or notebook.stem in (
        "tutorial",
        "files",
    )


def test_a_failed_job_stops_the_notebook_where_it_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [*STUDY[:2], "%%batch_job fit\necho gone wrong >&2; exit 4", "%batch_run", "%batch_wait", "raise SystemExit('not reached')"]

    with pytest.raises(CellExecutionError) as caught:
        execute(tmp_path, cells, monkeypatch)

    assert "job 'fit' failed with exit code 4 in run" in str(caught.value)
    assert "gone wrong" in str(caught.value)
    assert "not reached" not in str(caught.value)


def test_an_error_in_a_cell_that_defines_a_job_stops_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CellExecutionError):
        execute(tmp_path, [*STUDY[:2], "%%batch_job fit --cpus 1\ntrue", "raise SystemExit"], monkeypatch)

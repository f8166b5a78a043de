from __future__ import annotations

from typing import Any

import pytest

from hail_batch_jupyter.jupyter.cells.completion import Completer
from hail_batch_jupyter.jupyter.magics import BatchMagics
from tests.conftest import wait_until
from tests.recorder import Recorder

NAMES = {
    "job": ["align", "sort", "sort2"],
    "backend": ["local"],
    "region": ["us-east1"],
    "run": ["20260101-000000-b-1"],
    "attachable": ["20260101-000000-b-1", "study"],
    "batch": ["study"],
    "file": ["align.bam"],
    "variable": ["alphas"],
    "filter": ["failed", "align"],
}


@pytest.fixture
def completer() -> Completer:
    names = ("batch", "batch_job", "batch_wait", "batch_run", "batch_log", "batch_attach", "batch_output", "batch_jobs")
    return Completer({name: getattr(BatchMagics, name).parser for name in names}, lambda kind, _: NAMES[kind])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("%%batch_job fit --mem", ["--memory"], id="option"),
        pytest.param("%%batch_job fit --sp", ["--spot"], id="options"),
        pytest.param("%%batch_job fit --after ", ["align", "sort", "sort2"], id="jobs"),
        pytest.param("%%batch_job fit --after so", ["sort", "sort2"], id="jobs of that beginning"),
        pytest.param("%%batch_job fit --after sort ", ["align", "sort2"], id="more jobs"),
        pytest.param("%%batch_job fit --after sort --cpu ", [], id="a value that is none"),
        pytest.param("%%batch_job fit --spot --region ", ["us-east1"], id="regions"),
        pytest.param("%batch_wait al", ["align"], id="jobs of a line magic"),
        pytest.param("%batch_wait align s", ["sort", "sort2"], id="more jobs of a line magic"),
        pytest.param("%batch_run --only s", ["sort", "sort2"], id="only"),
        pytest.param("%batch b --backend ", ["local"], id="backends"),
        pytest.param("%batch st", ["study"], id="batches"),
        pytest.param("%batch --drop sort ", ["study"], id="one job only"),
        pytest.param("%batch_log --tail 5 al", ["align"], id="a job behind an option and its value"),
        pytest.param("%batch_attach 2026", ["20260101-000000-b-1"], id="runs"),
        pytest.param("%batch_attach st", ["study"], id="runs and batches"),
        pytest.param("%batch_output ali", ["align.bam"], id="files"),
        pytest.param("%batch_output align.bam ali", [], id="a destination"),
        pytest.param("%batch_jobs fa", ["failed"], id="states"),
        pytest.param("%%batch_jobs --me", [], id="another magic"),
        pytest.param("print(--me", [], id="no magic"),
    ],
)
def test_what_may_follow(completer: Completer, line: str, expected: list[str]) -> None:
    token = line[line.rfind(" ") + 1 :]

    assert [text for text, _ in completer.match(line, token)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("sort {align.b", ["align.bam"]), ("echo {alp", ["alphas"]), ("echo ${alp", []), ("echo {", []), ("echo {alphas} al", [])],
)
def test_what_may_stand_between_braces(completer: Completer, text: str, expected: list[str]) -> None:
    assert [name for name, _ in completer.inside(text)] == expected


def test_ipython_offers_options_and_jobs_on_the_line_and_nothing_in_the_cell(cells: Any) -> None:
    cells.run("%batch b")
    cells.run("%%batch_job align\ntrue")

    assert "%%batch_job x --memory" in offered(cells, "%%batch_job x --mem")
    assert "%%batch_job x --after align" in offered(cells, "%%batch_job x --after al")
    assert not [text for text in offered(cells, "%%batch_job x\necho --mem") if text.endswith("--memory")]


def offered(cells: Any, code: str) -> set[str]:
    from IPython.core.completer import provisionalcompleter

    with provisionalcompleter():
        return {code[: one.start] + one.text for one in cells.shell.Completer.completions(code, len(code))}


@pytest.fixture
def study(cells: Any) -> Any:
    cells.run("%batch study\nalphas = [1, 2]")
    cells.run("%%batch_job align --group loads\ntrue > {align.bam}")
    cells.run("%%batch_job fit --each alpha=alphas\necho {alpha} > {fit.model}")
    cells.run("%%batch_python qc -o score\nscore = 1")
    return cells


def test_ipython_offers_stages_jobs_files_groups_and_batches(study: Any) -> None:
    assert {"%batch_wait align", "%batch_wait fit", "%batch_wait qc"} == offered(study, "%batch_wait ")
    assert {"%batch_log fit[0]", "%batch_log fit[1]"} == offered(study, "%batch_log fit[")
    assert {"%batch_log fit-0", "%batch_log fit-1"} == offered(study, "%batch_log fit-")
    assert "%batch_output fit.model" in offered(study, "%batch_output fit.")
    assert "%batch_output align.bam" in offered(study, "%batch_output al")
    assert "%%batch_job x --group loads" in offered(study, "%%batch_job x --group l")
    assert "%batch study" in offered(study, "%batch st")
    assert "%batch x --backend slurm" in offered(study, "%batch x --backend s")
    assert "%%batch_job x --retry-on out-of-memory" in offered(study, "%%batch_job x --retry-on o")


def test_ipython_offers_files_and_variables_in_cells_and_in_python(study: Any) -> None:
    assert offered(study, "%%batch_job x\nsort {align.b") == {"%%batch_job x\nsort {align.bam"}
    assert offered(study, "%%batch_job x\nsort {fit[0].m") == {"%%batch_job x\nsort {fit[0].model"}
    assert offered(study, "%%batch_job x\nsort {alp") == {"%%batch_job x\nsort {alphas"}
    assert any(text.endswith("fit.model") for text in offered(study, "fit.mo"))
    assert any("score" in text for text in offered(study, "qc['sc"))


def test_regions_of_the_service_are_offered_once_it_has_answered(service: Recorder, cells: Any) -> None:
    cells.run("%batch b --backend service")
    line = "%%batch_job x --region us-"

    assert f"{line}central1" in offered(cells, line)
    wait_until(lambda: offered(cells, line) == {f"{line}central1", f"{line}east1"})


def test_runs_are_offered_newest_first(study: Any) -> None:
    study.run("%batch_run --wait")
    (run,) = study.run("%batch_runs")["run"]

    assert offered(study, "%batch_attach ") == {f"%batch_attach {run}", "%batch_attach study"}


def test_configuration_completion_and_registry_know_the_same_backends() -> None:
    from hail_batch_jupyter.config import variables
    from hail_batch_jupyter.core import registry

    assert set(variables.BACKENDS) == set(registry.BACKENDS)
    assert variables.BACKEND_GROUP == registry.BACKEND_GROUP

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError

from hail_batch_jupyter.batch.batch import Batch
from hail_batch_jupyter.batch.job import BashJob, PythonJob
from hail_batch_jupyter.errors import BatchException, ConfigError, ForeignJobError, GraphError, TemplateError, UnitError


def command_of(cells: Any, name: str) -> str:
    (job,) = [job for job in cells["b"].compile(only_new=False).jobs if job.name == name]
    return str(job.command[-1])


@pytest.fixture
def cells_b(cells: Any) -> Any:
    """A shell with a batch `b` and the file data.csv, whose path is in `data`."""
    Path("data.csv").write_text("1,2\n")
    cells.run("from pathlib import Path\ndata = Path('data.csv')\nb = %batch b")
    return cells


def test_batch_makes_a_batch_and_comes_back_to_it(cells: Any) -> None:
    first = cells.run("%batch one")
    other = cells.run("%batch two")

    assert isinstance(first, Batch)
    assert (first.name, other.name) == ("one", "two")
    assert cells.run("%batch") is other
    assert cells.run("%batch one") is first
    assert cells.run("%batch") is first


def test_a_batch_that_was_not_named_is_called_after_the_notebook(cells: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/somebody/My study.ipynb")

    assert cells.run("%batch").name == "My study"
    assert cells.run("%batch").lineage == "/home/somebody/My study.ipynb::My study"


def test_defaults_count_for_jobs_of_a_new_batch_and_are_refused_for_an_old_one(cells: Any) -> None:
    cells.run("%batch b --default-cpu 2 --default-memory 1Gi")
    cells.run("%%batch_job one\ntrue")

    assert (cells["one"].job_draft.cpu, cells["one"].job_draft.memory) == ("2", "1Gi")
    with pytest.raises(UsageError, match="batch 'b' is there already and --default-cpu counts for a new one; add --reset"):
        cells.run("%batch b --default-cpu 3")


def test_the_cell_that_makes_a_batch_with_defaults_may_run_again(cells: Any) -> None:
    made = cells.run("%batch b --default-cpu 2 --backend local")
    cells.run("%%batch_job one\ntrue")

    assert cells.run("%batch b --default-cpu 2 --backend local") is made
    assert cells.run("%batch b --reset --default-cpu 3") is not made
    cells.run("%batch b --default-cpu 3")


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        pytest.param("%batch x --backend slurmy", ConfigError, "backend 'slurmy' is not known; use one of: local", id="backend"),
        pytest.param("%batch x --default-memory 1Gb", UnitError, "unknown suffix 'Gb'", id="unit"),
        pytest.param("%batch x --drop y", UsageError, "there is no job 'y' in batch 'x'; it has no jobs yet", id="drop"),
    ],
)
def test_a_batch_that_cannot_be_made_says_why(cells: Any, line: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        cells.run(line)


def test_strict_makes_a_strict_backend(cells: Any) -> None:
    assert cells.run("%batch b --strict").backend.strict


def test_a_cell_of_bash_becomes_a_job_and_a_variable(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit --cpu 1 --memory 500Mi\nsort {data} > {fit.model}")

    job = cells_b["fit"]
    assert isinstance(job, BashJob)
    assert (job.name, job.job_draft.cpu, job.job_draft.memory) == ("fit", "1", "500Mi")
    assert cells_b["b"].job_named("fit") is job
    assert command_of(cells_b, "fit").count("data.csv") == 1


def test_the_job_keeps_the_cell_as_the_user_wrote_it(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit\nsort {data}  # all of it\n")

    (job,) = cells_b["b"].compile(only_new=False).jobs
    assert "sort {data}  # all of it" in job.user_code


def test_a_file_of_another_job_makes_an_edge(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit\nsort {data} > {fit.model}")
    cells_b.run("%%batch_job show\ncat {fit.model}")

    first, second = cells_b["b"].compile(only_new=False).jobs
    assert [edge.job_id for edge in second.parents] == [first.job_id]


def test_a_path_that_is_used_twice_is_one_input(cells_b: Any) -> None:
    cells_b.run("%%batch_job one\ncat {data} {data}")
    cells_b.run("%%batch_job two\ncat {data}")

    assert len(cells_b["b"].draft.inputs) == 1


def test_running_an_edited_cell_replaces_its_job_and_keeps_what_refers_to_it(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit\nsort {data} > {fit.model}")
    cells_b.run("%%batch_job show\ncat {fit.model}")
    before = cells_b["fit"]

    cells_b.run("%%batch_job fit\nsort -r {data} > {fit.model}")

    assert cells_b["fit"] is before
    assert [job.name for job in cells_b["b"].jobs] == ["fit", "show"]
    assert "sort -r" in command_of(cells_b, "fit")


def test_a_cell_that_fails_changes_nothing(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit\nsort {data} > {fit.model}")
    before, script = cells_b["fit"], command_of(cells_b, "fit")

    with pytest.raises(TemplateError):
        cells_b.run("%%batch_job fit --cpu 4\nsort {dataa} > {fit.model}")

    assert cells_b["fit"] is before
    assert before.job_draft.cpu is None
    assert command_of(cells_b, "fit") == script


def test_a_cell_that_fails_the_first_time_leaves_no_variable(cells_b: Any) -> None:
    with pytest.raises(TemplateError):
        cells_b.run("%%batch_job fit\nsort {dataa}")

    assert "fit" not in cells_b.names
    assert cells_b["b"].jobs == []


def test_an_edited_cell_that_no_longer_makes_a_used_file_is_refused(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit\nsort {data} > {fit.model}")
    cells_b.run("%%batch_job show\ncat {fit.model}")

    with pytest.raises(GraphError, match="job 'fit' no longer makes 'model', which job 'show' reads"):
        cells_b.run("%%batch_job fit\nsort {data} > {fit.other}")


def test_a_bash_cell_may_become_a_python_cell(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit\ntrue")
    cells_b.run("%%batch_python fit -o x\nx = 1")

    assert isinstance(cells_b["fit"], PythonJob)
    assert [job.name for job in cells_b["b"].jobs] == ["fit"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("my-job", "'my-job' cannot be a variable, and a job's name becomes one; use another name, such as 'my_job'", id="no identifier"),
        pytest.param("2nd", "such as 'job_2nd'", id="digit"),
        pytest.param("class", "'class' is a word of Python itself; use another name, such as 'class_job'", id="keyword"),
        pytest.param("list", "'list' is a name of Python itself; use another name, such as 'list_job'", id="builtin"),
        pytest.param("Out", "'Out' is a name that IPython uses", id="ipython"),
        pytest.param("_private", "'_private' is a name that IPython uses; use another name, such as 'private'", id="underscore"),
        pytest.param("data", "'data' is a variable that holds a PosixPath; use another name, such as 'data_job', or --replace", id="taken"),
    ],
)
def test_a_name_that_cannot_be_a_job_offers_another(cells_b: Any, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        cells_b.run(f"%%batch_job {name}\ntrue")


def test_the_name_that_is_offered_is_free(cells_b: Any) -> None:
    cells_b.run("data_job = 1")

    with pytest.raises(UsageError, match="such as 'data_job2'"):
        cells_b.run("%%batch_job data\ntrue")


def test_replace_takes_a_variable(cells_b: Any) -> None:
    cells_b.run("%%batch_job data --replace\ntrue")

    assert isinstance(cells_b["data"], BashJob)


def test_a_variable_that_holds_a_job_of_another_batch_may_be_taken(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit\ntrue")
    cells_b.run("%batch other")
    cells_b.run("%%batch_job fit\ntrue")

    assert cells_b["fit"].job_batch.name == "other"


@pytest.mark.parametrize(
    ("cell", "kind", "message"),
    [
        pytest.param("cat {dat}", TemplateError, "line 2, 'cat {dat}': the notebook has no variable 'dat'; did you mean data", id="unknown"),
        pytest.param("\ncat {missing}", TemplateError, r"line 3, {missing}: there is no file 'dat.csv' in .*, but 'data.csv'", id="missing file"),
        pytest.param("cat {fit.nothing}", BatchException, "undefined resource 'nothing' of job 'fit'", id="file that nobody makes"),
        pytest.param("cat {fit}", TemplateError, "line 2, {fit}: it is a job; name one of its files", id="job"),
        pytest.param("cat {score}", TemplateError, "line 2, {score}: it is a Python value; insert its text", id="result"),
        pytest.param("cat {foreign}", ForeignJobError, "line 2, {foreign}: the file belongs to another batch", id="another batch"),
        pytest.param("cat {nothing}", TemplateError, "line 2, {nothing}: the value is None", id="none"),
    ],
)
def test_what_cannot_stand_in_a_command_is_an_error_with_its_line(cells_b: Any, cell: str, kind: type[Exception], message: str) -> None:
    cells_b.run("%%batch_job fit\ntrue > {fit.model}")
    cells_b.run("%%batch_python qc -o score\nscore = 1")
    cells_b.run("score = qc['score']; missing = Path('dat.csv'); nothing = None")
    cells_b.run("%batch other\n")
    cells_b.run("%%batch_job away\ntrue > {away.x}")
    cells_b.run("foreign = away.x\n%batch b")

    with pytest.raises(kind, match=message):
        cells_b.run(f"%%batch_job bad\n{cell}")


def test_after_waits_for_jobs_by_name_and_by_variable(cells_b: Any) -> None:
    for name in ("one", "two", "three"):
        cells_b.run(f"%%batch_job {name}\ntrue")
    cells_b.run("some = [two, three]")
    cells_b.run("%%batch_job last --after one {some}\ntrue")

    last = cells_b["b"].compile(only_new=False).jobs[-1]
    assert [edge.job_id for edge in last.parents] == [1, 2, 3]


def test_after_an_unknown_job_names_close_ones(cells_b: Any) -> None:
    cells_b.run("%%batch_job align\ntrue")

    with pytest.raises(UsageError, match="there is no job 'algin' in batch 'b'; did you mean align"):
        cells_b.run("%%batch_job sorted_reads --after algin\ntrue")


def test_outputs_of_a_cell_are_replaced_with_it(cells_b: Any, work: Path) -> None:
    cells_b.run("%%batch_job fit --output model=one.txt\nsort {data} > {fit.model}")
    cells_b.run("%%batch_job fit --output model=two.txt\nsort {data} > {fit.model}")

    (job,) = cells_b["b"].compile(only_new=False).jobs
    assert [output.dest for output in job.outputs] == [str(work / "two.txt")]


def test_an_output_that_the_cell_does_not_make_names_what_it_makes(cells_b: Any) -> None:
    with pytest.raises(UsageError, match="--output modle=…: the cell of 'fit' does not make 'modle'; did you mean model"):
        cells_b.run("%%batch_job fit --output modle=x\ntrue > {fit.model}")

    assert "fit" not in cells_b.names


def test_batch_output_writes_a_file_or_a_result(cells_b: Any, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells_b.run("%%batch_job fit\ntrue > {fit.model}")
    cells_b.run("%%batch_python qc -o score\nscore = 1")
    cells_b.run("place = Path('out') / 'm.bin'")
    for line in ("fit.model {place}", "fit.model {place}", "qc['score'] score.pickle"):
        cells_b.run(f"%batch_output {line}")

    outputs = [output.dest for job in cells_b["b"].compile(only_new=False).jobs for output in job.outputs]
    assert outputs == [str(work / "out" / "m.bin"), str(work / "score.pickle")]
    assert "fit.model is written to out/m.bin when the batch runs" in capsys.readouterr().out


@pytest.mark.parametrize("words", ["fit.model.nothing out", "data out", "5 out"])
def test_batch_output_of_something_else_is_refused(cells_b: Any, words: str) -> None:
    cells_b.run("%%batch_job fit\ntrue > {fit.model}")

    with pytest.raises((UsageError, TemplateError)):
        cells_b.run(f"%batch_output {words}")


def test_drop_takes_a_job_and_its_variable_away(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit\ntrue > {fit.model}")
    cells_b.run("%%batch_job show\ncat {fit.model}")
    with pytest.raises(GraphError, match="job 'fit' is used by job 'show'"):
        cells_b.run("%batch --drop fit")

    cells_b.run("%batch --drop show")
    cells_b.run("%batch --drop {fit}")

    assert cells_b["b"].jobs == []
    assert not {"fit", "show"} & set(cells_b.names)


def test_reset_begins_the_batch_anew(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit\ntrue")

    again = cells_b.run("%batch --reset")

    assert again is not cells_b["b"]
    assert (again.name, again.jobs, again.lineage) == ("b", [], cells_b["b"].lineage)
    assert "fit" not in cells_b.names


def test_dry_run_shows_the_command_and_defines_nothing(cells_b: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cells_b.run("%%batch_job fit --dry-run --env TOKEN=hush\nsort {data} > {fit.model}")

    shown = capsys.readouterr().out
    assert "sort" in shown
    assert "data.csv" in shown
    assert "hush" not in shown
    assert "fit" not in cells_b.names


def test_a_cell_says_what_it_reads_and_makes(cells_b: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cells_b.run("%%batch_job fit\nsort {data} > {fit.model}")
    cells_b.run("%%batch_python qc -o score\nscore = open(fit.model).read()")

    assert capsys.readouterr().out.splitlines()[-2:] == ["fit: reads data.csv; makes model", "qc: reads fit.model; makes score"]


def test_errors_of_ours_are_shown_in_one_line(cells_b: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnitError):
        cells_b.run("%%batch_job fit --memory 3Gb\ntrue")

    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert shown.startswith("UnitError: memory '3Gb': unknown suffix 'Gb'")


def test_a_batch_shows_itself_as_the_graph_of_its_stages(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit\ntrue > {fit.model}")
    cells_b.run("%%batch_python qc -o score\nscore = fit.model")

    data, _ = cells_b.shell.display_formatter.format(cells_b["b"])
    assert data["text/plain"] == "batch 'b' (local), 2 jobs\n  fit → qc: bash\n  qc: python"
    assert "<td" in data["text/html"]
    assert "qc" in data["text/html"]


def test_jobs_whose_cell_has_gone_from_the_notebook_are_marked(cells_b: Any, monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    notebook = work / "n.ipynb"
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    for cell_id in ("kept", "gone"):
        monkeypatch.setattr(cells_b.shell, "parent_header", {"metadata": {"cellId": cell_id}}, raising=False)
        cells_b.run(f"%%batch_job {cell_id}\ntrue")
    notebook.write_text('{"cells": [{"id": "kept"}]}')
    import os
    import time

    os.utime(notebook, (time.time() + 60, time.time() + 60))

    data, _ = cells_b.shell.display_formatter.format(cells_b["b"])
    assert data["text/plain"] == "batch 'b' (local), 2 jobs\n  kept: bash\n  gone: bash, cell gone"


def test_before_a_run_the_table_shows_the_jobs_of_the_batch(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit\ntrue > {fit.model}")
    cells_b.run("%%batch_job show --cpu 2\ncat {fit.model}")

    frame = cells_b.run("%batch_jobs")
    assert frame[["name", "state", "cores"]].values.tolist() == [["fit", "Pending", 1.0], ["show", "Pending", 2.0]]
    assert list(cells_b.run("%batch_jobs sho")["name"]) == ["show"]


@pytest.mark.parametrize(("asked", "hint"), [("faild", "did you mean failed"), ("fti", "did you mean fit"), ("zzz", "states are waiting, running")])
def test_a_filter_that_can_find_nothing_names_what_is_close(cells_b: Any, asked: str, hint: str) -> None:
    cells_b.run("%%batch_job fit\ntrue")

    with pytest.raises(UsageError, match=f"'{asked}' is no state and in no name of the jobs of batch 'b'; {hint}"):
        cells_b.run(f"%batch_jobs {asked}")
    assert len(cells_b.run("%batch_jobs failed")) == 0


@pytest.mark.parametrize("line", ["%batch_wait", "%batch_jobs", "%batch_cancel", "%batch_log fit"])
def test_without_a_run_the_magics_say_how_to_make_one(cells: Any, line: str) -> None:
    with pytest.raises(UsageError, match="nothing has run yet; %batch_run runs the batch"):
        cells.run(line)


def test_an_empty_batch_does_not_run(cells: Any) -> None:
    with pytest.raises(UsageError, match="has no jobs yet; a cell that begins with %%batch_job NAME makes one"):
        cells.run("%batch_run")

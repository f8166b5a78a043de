from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError

from hail_batch_jupyter.batch import JobStage
from hail_batch_jupyter.batch.job import BashJob
from hail_batch_jupyter.errors import GraphError, TemplateError


@pytest.fixture
def cells_b(cells: Any) -> Any:
    """A shell with a batch `b`, a file and some items."""
    Path("a.csv").write_text("1\n")
    Path("b.csv").write_text("2\n")
    cells.run("from pathlib import Path\nalphas = [0.1, 1, 10]\nfiles = [Path('a.csv'), Path('b.csv')]\nb = %batch b")
    return cells


def code(cells: Any, name: str) -> str:
    (job,) = [job for job in cells["b"].compile(only_new=False).jobs if job.name == name]
    (line,) = [line for line in str(job.command[-1]).splitlines() if line.startswith("echo")]
    return line.partition(" >")[0]


def reads(cells: Any, name: str) -> list[str]:
    return [f"{cells['b'].job_of(ref.owner).name}.{ref.name}" for ref in cells["b"].job_named(name).job_draft.reads]


FIT = "%%batch_job fit --each alpha=alphas\necho {alpha} > {fit.model}"
GATHER = "%%batch_job gather\ncat {fit.model} > {gather.all}"
PYTHON = "%%batch_python score -o best --each alpha=alphas\nbest = -alpha"


def test_a_cell_with_each_is_a_stage_and_says_so(cells_b: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cells_b.run(FIT)
    assert capsys.readouterr().out == "fit: 3 jobs over alpha; makes model\n"
    cells_b.run(GATHER)
    assert capsys.readouterr().out == "gather: reads fit.model; makes all\n"
    cells_b.run("%%batch_job one\ncat {fit[1].model}")
    assert capsys.readouterr().out == "one: reads fit[1].model\n"

    fit = cells_b["fit"]
    assert (isinstance(fit, JobStage), len(fit), fit.items) == (True, 3, [0.1, 1, 10])
    assert [code(cells_b, f"fit-{number}") for number in range(3)] == ["echo 0.1", "echo 1", "echo 10"]
    assert [job.name for job in cells_b["b"].select_jobs("fit")] == ["fit-0", "fit-1", "fit-2"]


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        pytest.param("--each x=[0.1, 1]", ["0.1", "1"], id="list"),
        pytest.param('--each \'x=["a b", "c"]\'', ["'a b'", "c"], id="quoted"),
        pytest.param('--each x=["a b", "c"] --cpu 1', ["'a b'", "c"], id="quotes inside"),
        pytest.param("--each x=range(2)", ["0", "1"], id="range"),
        pytest.param("--each x=range(len_)", ["0", "1"], id="range of a variable"),
        pytest.param("--each x=found['k']", ["1", "2"], id="item"),
        pytest.param("--each x=found['k'][:1]", ["1"], id="slice"),
        pytest.param("--each x=place.parts", ["u", "v"], id="attribute"),
        pytest.param("--each x={alphas}", ["0.1", "1", "10"], id="braces"),
        pytest.param("--each x=$alphas", ["0.1", "1", "10"], id="dollar"),
        pytest.param("--each x=found", ["k", "l"], id="keys"),
        pytest.param("--each x=array", ["1.5", "2.0"], id="array"),
        pytest.param("--each x=series", ["3", "4"], id="series"),
    ],
)
def test_items_are_variables_ranges_and_literals(cells_b: Any, each: str, expected: list[str]) -> None:
    cells_b.run("import numpy as np, pandas as pd\nlen_ = 2\nfound = {'k': [1, 2], 'l': 0}\nplace = Path('u/v')")
    cells_b.run("array = np.array([1.5, 2])\nseries = pd.Series([3, 4], index=['p', 'q'])")
    cells_b.run(f"%%batch_job fit {each}\necho {{x}}")

    scripts = [str(job.command[-1]) for job in cells_b["b"].compile().jobs]
    assert [script.split("echo ")[1].split("\n")[0] for script in scripts] == expected


def test_rows_of_a_table_are_dicts(cells_b: Any) -> None:
    cells_b.run("import pandas as pd\ntable = pd.DataFrame({'name': ['p', 'q'], 'n': [1, 2]})")
    cells_b.run("%%batch_job fit --each row=table\necho {row['name']} {row['n']}")

    assert code(cells_b, "fit-1") == "echo q 2"


@pytest.mark.parametrize(
    ("each", "message"),
    [
        pytest.param("--each x=nothing", "--each x=nothing: the notebook has no variable 'nothing'; make it in an earlier cell", id="unknown"),
        pytest.param("--each x=alpha", "did you mean alphas", id="close"),
        pytest.param("--each x=sorted(alphas)", "put anything else into a variable first", id="call"),
        pytest.param("--each x", "it takes VAR=ITEMS", id="form"),
        pytest.param("--each x='abc'", "it is one str, not a list of items; use a list", id="text"),
        pytest.param("--each x=5", r"it is one int, not a list of items; use range\(5\)", id="number"),
        pytest.param("--each x=some_set", "has no order; use sorted", id="set"),
        pytest.param("--each x=lazy", r"used up when the cell runs again; use list\(…\)", id="iterator"),
        pytest.param("--each x=[]", "it holds no items", id="empty"),
        pytest.param("--each fit=alphas", "'fit' is the stage itself", id="own name"),
        pytest.param("--each input=alphas", "'input' is a name of Python itself", id="builtin"),
        pytest.param("--each x=alphas --each x=alphas", "it is there twice", id="twice"),
        pytest.param(
            "--each x=alphas --each y=[1, 2]", "x has 3 and y has 2 items; make the lists equally long, or add --cross for all 6 combinations", id="lengths"
        ),
        pytest.param("--cross", "--cross multiplies several --each", id="cross alone"),
        pytest.param("--each x=alphas[7]", "cannot be read, IndexError", id="index"),
    ],
)
def test_items_that_cannot_be_are_told(cells_b: Any, each: str, message: str) -> None:
    cells_b.run("some_set = {1, 2}\nlazy = (x for x in [1])")

    with pytest.raises((UsageError, TemplateError), match=message):
        cells_b.run(f"%%batch_job fit {each}\ntrue")
    assert cells_b["b"].jobs == []


def test_several_lists_go_side_by_side_or_are_multiplied(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit --each x=[1, 2] --each y=['a', 'b']\necho {x}{y}")
    assert [code(cells_b, f"fit-{number}") for number in range(2)] == ["echo 1a", "echo 2b"]
    assert cells_b["fit"].items == [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]
    cells_b.run("%%batch_job fit --each x=[1, 2] --each y=['a', 'b'] --cross\necho {x}{y}")
    assert [code(cells_b, f"fit-{number}") for number in range(4)] == ["echo 1a", "echo 1b", "echo 2a", "echo 2b"]


def test_running_the_cell_again_keeps_the_jobs_and_who_reads_all_of_them_follows(cells_b: Any) -> None:
    for cell in (FIT, GATHER, "%%batch_python joined -o text\ntext = ''.join(open(path).read() for path in fit.model)", "%%batch_job last --after fit\ntrue"):
        cells_b.run(cell)
    fit = cells_b["fit"]
    uids = [job.job_draft.uid for job in fit]
    cells_b.run("alphas = [1, 2, 3, 4]")
    cells_b.run(FIT)

    assert cells_b["fit"] is fit
    assert [job.job_draft.uid for job in fit][:3] == uids
    names = [f"fit-{number}.model" for number in range(4)]
    assert (reads(cells_b, "gather"), reads(cells_b, "joined")) == (names, names)
    assert len(cells_b["last"].job_draft.depends_on) == 4
    cells_b.run("alphas = [5]")
    cells_b.run(FIT)
    assert (reads(cells_b, "gather"), reads(cells_b, "joined")) == (names[:1], names[:1])
    assert (len(fit), code(cells_b, "fit-0")) == (1, "echo 5")


def test_a_job_that_reads_a_dropped_one_is_named_and_nothing_changes(cells_b: Any) -> None:
    cells_b.run(FIT)
    cells_b.run("%%batch_job reader\ncat {fit[2].model}")

    with pytest.raises(GraphError, match="job 'fit-2' would be dropped, which job 'reader' uses"):
        cells_b.run("%%batch_job fit --each alpha=[1, 2]\necho {alpha} > {fit.model}")
    with pytest.raises(GraphError, match="no longer makes 'model', which job 'reader' reads"):
        cells_b.run("%%batch_job fit --each alpha=alphas\necho {alpha} > {fit.other}")
    assert (len(cells_b["fit"]), code(cells_b, "fit-2")) == (3, "echo 10")


def test_one_job_becomes_a_stage_and_a_stage_one_job(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit\necho 1 > {fit.model}")
    uid = cells_b["fit"].job_draft.uid
    cells_b.run(GATHER)
    cells_b.run(FIT)
    assert (cells_b["fit"][0].job_draft.uid, len(reads(cells_b, "gather"))) == (uid, 3)
    cells_b.run("%%batch_job fit\necho 1 > {fit.model}")

    assert (isinstance(cells_b["fit"], BashJob), cells_b["fit"].job_draft.uid) == (True, uid)
    assert [job.name for job in cells_b["b"].jobs] == ["fit", "gather"]
    assert reads(cells_b, "gather") == ["fit.model"]


def test_outputs_and_environment_are_filled_for_each_item(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit --each alpha=alphas --output model=out/m-{alpha}.txt --env A={alpha} --env B=$alphas\ntouch {fit.model}")
    spec = cells_b["b"].compile()

    assert [Path(out.dest).name for job in spec.jobs for out in job.outputs] == ["m-0.1.txt", "m-1.txt", "m-10.txt"]
    assert [dict(job.env)["A"] for job in spec.jobs] == ["0.1", "1", "10"]
    with pytest.raises(UsageError, match=r"--output model=out/m.txt: items 0 and 1 would both write it; put the item into it, such as \{alpha\}"):
        cells_b.run("%%batch_job fit --each alpha=alphas --output model=out/m.txt\ntouch {fit.model}")
    with pytest.raises(UsageError, match="--output mode=…: the cell of 'fit' does not make 'mode'; did you mean model"):
        cells_b.run("%%batch_job fit --each alpha=alphas --output mode=out/{alpha}\ntouch {fit.model}")


def test_paths_and_files_of_a_stage_are_items(cells_b: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cells_b.run("%%batch_job count --each file=files\nwc -l < {file} > {count.n}")
    cells_b.run("%%batch_job twice --each n=count.n\ncat {n} {n}")

    assert capsys.readouterr().out == "count: 2 jobs over file; reads a.csv, b.csv; makes n\ntwice: 2 jobs over n; reads count.n\n"
    assert [edge.job_id for job in cells_b["b"].compile().jobs[2:] for edge in job.parents] == [1, 2]


def test_an_item_that_the_cell_does_not_use_is_remarked(cells_b: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cells_b.run("%%batch_job fit --each alpha=alphas\ntrue")
    assert capsys.readouterr().out == "fit: 3 jobs over alpha; the cell does not use alpha\n"


def test_the_magics_know_stages(cells_b: Any) -> None:
    cells_b.run(FIT)
    cells_b.run(GATHER)
    with pytest.raises(GraphError, match="stage 'fit' is used by job 'gather'; drop those first"):
        cells_b.run("%batch --drop fit")
    with pytest.raises(UsageError, match="--drop fit-1: it is one job of the stage 'fit'"):
        cells_b.run("%batch --drop fit-1")
    with pytest.raises(UsageError, match=r"there is no job 'fot' in batch 'b'; did you mean fit\?"):
        cells_b.run("%%batch_job x --after fot\ntrue")
    cells_b.run("%batch --drop gather")
    cells_b.run("%batch --drop fit")

    assert (cells_b["b"].jobs, "fit" in cells_b.shell.user_ns) == ([], False)


def test_a_stage_itself_cannot_stand_in_a_cell(cells_b: Any) -> None:
    cells_b.run(FIT)

    with pytest.raises(TemplateError, match="it is a stage; name files of its jobs, such as {fit.model}"):
        cells_b.run("%%batch_job x\ncat {fit}")
    with pytest.raises(TemplateError, match=r"it is a job; name one of its files, such as {fit\[1\].model}, or wait for it with --after fit\[1\]"):
        cells_b.run("%%batch_job x\ncat {fit[1]}")
    with pytest.raises(TemplateError, match=r"name one of its files or results, such as fit.model or fit\['score'\]"):
        cells_b.run("%%batch_python x\nprint(fit)")
    with pytest.raises(TemplateError, match=r"line 2, 'print\(fit\[9\].model\)': 'fit\[9\]' cannot be read, IndexError: stage 'fit' has 3 jobs"):
        cells_b.run("%%batch_python x\nprint(fit[9].model)")


def test_python_stages_share_one_function_unless_items_are_of_another_kind(cells_b: Any) -> None:
    cells_b.run(PYTHON)
    calls = [job.job_draft.calls[0] for job in cells_b["score"]]
    assert ([call.kwargs for call in calls], len({id(call.function) for call in calls})) == ([{"alpha": 0.1}, {"alpha": 1}, {"alpha": 10}], 1)
    cells_b.run("mixed = [Path('a.csv'), 'a.csv']")
    cells_b.run("%%batch_python size --each file=mixed -o n\nn = (type(file).__name__, size.csv)")
    assert len({id(job.job_draft.calls[0].function) for job in cells_b["size"]}) == 2


def test_a_stage_runs_and_its_values_and_files_come_back(cells_b: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cells_b.run(PYTHON.replace("best = -alpha", "best = -alpha\nopen(score.txt, 'w').write(str(alpha))"))
    cells_b.run("%%batch_python total -o both\nboth = (sum(score['best']), score['best'][1], score[-1]['best'], [open(path).read() for path in score.txt])")
    cells_b.run("%%batch_job texts\ncat {score.txt} > {texts.all}")
    cells_b.run("%batch_run")
    cells_b.run("%batch_wait score")
    cells_b.run("%batch_wait")

    assert cells_b.run("total['both'].result()") == (-11.1, -1, -10, ["0.1", "1", "10"])
    assert cells_b.run("score['best'].result()") == [-0.1, -1, -10]
    assert [path.read_text() for path in cells_b.run("score.txt.path()")] == ["0.1", "1", "10"]
    assert cells_b.run("texts.all.path().read_text()") == "0.1110"
    with pytest.raises(UsageError, match="'score' is a stage of 3 jobs; name one of them, such as score-0"):
        cells_b.run("%batch_log score")
    cells_b.run("%batch_log score[1]")
    assert "job 'score-1' (succeeded) has printed nothing" in capsys.readouterr().out
    assert len(cells_b.run("%batch_jobs score")) == 3


def test_the_log_of_a_stage_is_that_of_the_job_that_failed(cells_b: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cells_b.run("%%batch_job fit --each alpha=alphas --run\ntest {alpha} != 1 || { echo gone wrong; exit 3; }")
    with pytest.raises(Exception, match="fit-1"):
        cells_b.run("%batch_wait fit")
    cells_b.run("%batch_log fit")

    assert "1 of 3 jobs of 'fit' failed; this is fit-1:\ngone wrong\n" in capsys.readouterr().out


def test_only_runs_the_stage_and_what_it_needs(cells_b: Any) -> None:
    cells_b.run("%%batch_job other\ntrue")
    cells_b.run(FIT)
    cells_b.run("%batch_run --only fit --wait")

    assert [job.name for job in cells_b["b"].last_run.spec.jobs] == ["fit-0", "fit-1", "fit-2"]

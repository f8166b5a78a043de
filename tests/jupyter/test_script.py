"""Batches of cells as scripts: what the script describes is what the cells described."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError

from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.errors import BatchException
from tests.requirements import ROOT

SETUP = """
from pathlib import Path
from collections import Counter
import csv
data = Path('data.csv')
data.write_text('x,y\\n1,2\\n2,4.1\\n')
alphas = [0.1, 1, 10]
words = ['a b', '$c', "it's {x}"]
scale = 2
def squares(rows):
    return sum(float(row['y']) for row in rows) * scale
"""
STUDY = [
    (
        "%%batch_job fit --each alpha=alphas --cpu 1 --group loads --at-most 2 --env TOKEN=hush-hush\n"
        "echo {alpha} ${#TOKEN} | awk '{print $1, \"{}\"}' > {fit.model}; wc -l < {data} >> {fit.model}"
    ),
    "%%batch_job said --each w=words --output out=w/{w}.txt\nprintf '%s\\n' {w} \"{w}\" '{w}' > {said.out}",
    "%%batch_job gather --retry 3 --retry-on 3 timeout --no-spot-after 2 --timeout 2m\ncat {fit.model} {said[1].out} > {gather.all}\n# it's a remark {{zz}}\n",
    (
        "%%batch_python evaluate -o loss counts\nwith data.open() as file:\n    loss = squares(list(csv.DictReader(file)))  # a remark\n"
        "text = '''two\nlines'''\ncounts = Counter(open(gather.all).read().split() + text.split('\\n'))"
    ),
    "%%batch_python each --each alpha=alphas -o y\nü = 'ü'; y = alpha * scale + len(open(fit.model[0]).read()) + evaluate['loss'] + len(ü)",
    "%%batch_python total -o s\ns = sum(each['y'])",
    "text = total['s'].as_json()",
    "%%batch_job last --always-run --after each\ncat {text} > {last.txt}",
    "%batch_output last.txt out/last.txt",
    "%batch_output fit.model out/models",
    "%batch_output evaluate['counts'] out/counts.pickle",
]


@pytest.fixture
def cells_b(cells: Any) -> Any:
    cells.run(SETUP)
    cells.run("b = %batch b --default-memory 100Mi")
    return cells


def facts(job: JobSpec, spec: BatchSpec) -> tuple[object, ...]:
    """What a job is, without what differs between a cell's function and the same one in a script."""
    name_of = {one.job_id: one.name for one in spec.jobs}
    parents = sorted((str(name_of[edge.job_id]), edge.on) for edge in job.parents)
    settings = (job.kind, job.request, job.timeout_s, job.retry, job.always_run, job.n_max_attempts, job.image, dict(job.env), dict(job.attributes))
    text = re.sub("inputs/[0-9a-z]{5}/", "inputs/", " ".join(job.command))
    command = text if job.kind == "bash" else job.results
    group = spec.groups[job.group - 1].name if job.group else ""
    return job.name, command, parents, settings, group, [output.dest for output in job.outputs]


def same_batches(cells: Any, script: Path) -> Any:
    """The batch of the script, which describes what the notebook's does."""
    made = runpy.run_path(str(script), run_name="saved")
    mine, theirs = cells["b"].compile(only_new=False), made["b"].compile()
    assert sorted([facts(job, theirs) for job in theirs.jobs], key=str) == sorted([facts(job, mine) for job in mine.jobs], key=str)
    assert [group._replace(group_id=0) for group in theirs.groups] == [group._replace(group_id=0) for group in mine.groups]
    return made


def test_a_script_in_a_process_of_its_own_writes_what_the_notebook_wrote(cells_b: Any, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for cell in STUDY:
        cells_b.run(cell)

    def written() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for folder in ("out", "w") for path in Path(folder).rglob("*") if path.is_file()}

    cells_b.run("%batch_save saved/study.py")
    assert "run it with: python saved/study.py" in capsys.readouterr().out
    cells_b.run("%batch_run --wait")
    first = written()
    for path in first:
        Path(path).unlink()

    subprocess.run([sys.executable, "saved/study.py"], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)

    assert written() == first
    assert len(first) == 8
    made = same_batches(cells_b, Path("saved/study.py"))
    assert [len(made["fit"]), len(made["each"])] == [3, 3]


def test_a_script_reads_like_one_and_keeps_secrets_out(cells_b: Any) -> None:
    for cell in STUDY:
        cells_b.run(cell)

    cells_b.run("%batch_save study.py")

    text = Path("study.py").read_text()
    assert "fit = b.map('fit', [0.1, 1, 10], f'''echo {{item}}" in text
    assert "for job, alpha in zip(each, each.items):\n" in text
    assert "        loss = squares(list(csv.DictReader(file)))  # a remark\n" in text
    assert "def squares(rows):" in text
    assert "import csv\n" in text
    assert "_batch_0" not in text
    assert "hush-hush" not in text
    assert oct(Path("study.values").stat().st_mode)[-3:] == "600"


def test_a_script_runs_in_any_folder_and_reads_a_file_once(cells_b: Any, work: Path) -> None:
    cells_b.run("j = b.new_job('one').command(f\"cat {b.read_input('data.csv')} {b.read_input(str(data.absolute()))}\")")

    cells_b.run("%batch_save study.py")

    text = Path("study.py").read_text()
    assert f"data = b.read_input('{work / 'data.csv'}')" in text
    assert "cat {data} {data}" in text


def test_what_is_no_literal_lies_beside_the_script_and_only_then(cells_b: Any) -> None:
    cells_b.run("import numpy as np\ntable = np.arange(5)")
    cells_b.run("%%batch_python one -o x\nx = int(table.sum())")
    cells_b.run("%batch_save one.py")
    assert "table=values['one.table']" in Path("one.py").read_text()
    same_batches(cells_b, Path("one.py"))

    cells_b.run("%%batch_python one -o x\nx = 1")
    cells_b.run("%batch_save one.py")

    assert not Path("one.values").exists()
    assert "dill" not in Path("one.py").read_text()


@pytest.mark.parametrize(
    "cells_of",
    [
        pytest.param(["%%batch_job one --each w=words\necho {w!s} > {one.x}"], id="text that differs"),
        pytest.param(["%%batch_job one --each w=words --shell '/bin/sh -u'\necho {w} > {one.x}"], id="a shell"),
        pytest.param(["%%batch_job one --each i=range(12) --env N={i}\necho '{item}' {i} > {one.x}"], id="what looks like a hole, and env that differs"),
        pytest.param(["%%batch_job one --each w=words --each i=range(3)\necho {w} {i} {w} > {one.x}"], id="two lists"),
        pytest.param(
            [
                "%%batch_job one --each w=words\necho {w} > {one.x}",
                "%%batch_job two --each f=one.x\ncp {f} {two.y}",
                "%%batch_job ends\ncat {two.y} {one[0].x}",
            ],
            id="files of a stage as items",
        ),
        pytest.param(["files = [data, data]", "%%batch_python one -o n\nn = [file.name for file in files]"], id="a list of paths"),
        pytest.param(["%%batch_python one --each w=words -o n\nn = w\nopen(one.text, 'w').write(w)", "%%batch_job two\ncat {one.text}"], id="own files"),
        pytest.param(["%%batch_python hb -o b\nb = 1", "%%batch_python values -o job\njob = hb['b']"], id="names that the script needs"),
        pytest.param(["%%batch_job one\necho '''a''' \"\"\"b\"\"\" \\\\ {{data}} > {one.x}"], id="quotes of every kind"),
        pytest.param(["%%batch_job one\ncat <<'END' > {one.x}\n$HOME {data} \\\nEND"], id="a here-document"),
        pytest.param(["j = b.new_python_job('free'); j.call(sorted, [3, 1], reverse=True); j.call(squares, []); j.call(lambda: 5)"], id="calls of the library"),
        pytest.param(
            [
                "g = b.read_input_group(bed='a.bed', bim='a.bim')",
                "j = b.new_job('plink').cpu(2).n_max_attempts(3); j.declare_resource_group(out={'bed': '{root}.bed', 'log': '{root}.log'})",
                "j.command(f'plink --bfile {g} --out {j.out} {g.bim}'); j.out.log.add_extension('.txt'); b.write_output(j.out, 'all')",
                "k = b.new_job('other'); k.command(f'cat {j.out.log} > {k[\"a/b.txt\"]}'); k.after(j); b.write_output(k['a/b.txt'], 'k.txt')",
                "s = b.map('sq', range(3), pow, 2); t = b.new_python_job('t').call(sum, s.results)",
            ],
            id="groups of files",
        ),
    ],
)
def test_the_script_describes_the_same_batch(cells_b: Any, cells_of: list[str]) -> None:
    for cell in cells_of:
        cells_b.run(cell)

    cells_b.run("%batch_save study.py")

    same_batches(cells_b, Path("study.py"))


def test_a_stage_that_grew_stands_before_its_users(cells_b: Any) -> None:
    cells_b.run("%%batch_job fit --each alpha=alphas\necho {alpha} > {fit.model}")
    cells_b.run("%%batch_job one\ncat {fit[0].model}")
    cells_b.run("alphas = [1, 2, 3, 4]")
    cells_b.run("%%batch_job fit --each alpha=alphas\necho {alpha} > {fit.model}")

    cells_b.run("%batch_save study.py")

    same_batches(cells_b, Path("study.py"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("%batch_save study.txt", "%batch_save study.txt: a script ends in .py; write %batch_save study.py", id="ending"),
        pytest.param("%batch_save study.py", "batch 'b' has no jobs yet", id="empty"),
    ],
)
def test_what_cannot_be_saved_says_why(cells_b: Any, line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        cells_b.run(line)


def test_a_value_that_cannot_be_saved_is_named(cells_b: Any) -> None:
    cells_b.run("import threading\nlock = threading.Lock()\nclass Held:\n    def __reduce_ex__(self, protocol):\n        raise TypeError('no')\nheld = Held()")
    cells_b.run("%%batch_python one -o x\nx = held")

    with pytest.raises(BatchException, match="the value 'one.held', a Held, cannot be saved"):
        cells_b.run("%batch_save study.py")

    assert not Path("study.py").exists()

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.batch.batch import Batch
from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.jupyter.batchview import batch_html, batch_text


def shown(cells: Any) -> tuple[str, str]:
    data, _ = cells.shell.display_formatter.format(cells.run("%batch"))
    return data["text/plain"], data["text/html"]


@pytest.fixture
def study(cells: Any) -> Any:
    cells.run("%batch study\nitems = [1, 2, 3]")
    cells.run("%%batch_job load\necho 1 > {load.table}")
    cells.run("%%batch_job fit --each i=items\necho {i} < {load.table} > {fit.model}")
    cells.run("%%batch_job gather\ncat {fit.model}")
    return cells


def test_stages_are_shown_with_counts_and_arrows(study: Any) -> None:
    text, html = shown(study)

    assert text == "batch 'study' (local), 5 jobs in 3 stages\n  load → fit ×3: bash\n  fit ×3 → gather: bash\n  gather: bash"
    assert html.count("<rect") == 3
    assert html.count("<path") == 2
    assert "fit ×3" in html
    assert "last run" not in html


def test_after_a_run_the_view_says_how_it_went_and_what_changed_since(study: Any) -> None:
    study.run("%batch_run --wait")
    assert shown(study)[0].splitlines()[1:] == ["  load → fit ×3: bash, 1 succeeded", "  fit ×3 → gather: bash, 3 succeeded", "  gather: bash, 1 succeeded"]

    study.run("items = [1, 2, 5, 6]")
    study.run("%%batch_job fit --each i=items\necho {i} < {load.table} > {fit.model}")
    study.run("%%batch_job gather\ncat {fit.model} | sort")
    text, html = shown(study)

    assert "  fit ×4 → gather: bash, 3 succeeded, 1 of 4 changed since the run; 1 of 4 new since the run" in text
    assert "  gather: bash, 1 succeeded, cell changed since the run" in text
    assert "1 of 4 changed since the run" in html


def test_a_job_that_was_dropped_since_the_run_is_told(study: Any) -> None:
    study.run("%batch_run --wait")
    study.run("%batch --drop gather")

    assert "of the last run, and no longer in the batch: gather" in shown(study)[0]


def test_ten_thousand_jobs_are_a_few_lines() -> None:
    b = Batch(name="large")
    first = b.map("first", range(5000), "echo {item} > {job.out}")
    b.map("second", [one.out for one in first], "cat {item} > {job.out}")
    b.new_job(name="end").command(f"cat {first.out}")

    text, html = batch_text(b, lambda _: False), batch_html(b, lambda _: False)

    assert text.splitlines() == [
        "batch 'large' (local), 10001 jobs in 3 stages",
        "  first ×5000 → second ×5000, end: bash",
        "  second ×5000: bash",
        "  end: bash",
    ]
    assert len(html) < 6000


def test_names_are_escaped_and_cut(tmp_path: Path) -> None:
    b = Batch(name="<b>")
    one = b.new_job(name="<script>" + "x" * 200)
    one.command(f"echo > {one.out}")
    b.new_job(name='a"b').command(f"cat {one.out}")

    html = batch_html(b, lambda _: False)

    assert "<script>" not in html
    assert "<b>" not in html
    assert 'a"b after' not in html
    assert len(html) < 3000


def test_jobs_that_wait_for_one_another_are_told(cells: Any) -> None:
    b = cells.run("b = %batch b\none = b.new_job('one'); two = b.new_job('two'); one.depends_on(two); two.depends_on(one); b")

    assert "one" in batch_text(cells["b"], lambda _: False)
    assert "wait" in batch_text(cells["b"], lambda _: False) or "cycl" in batch_text(cells["b"], lambda _: False)
    assert b is cells["b"]


def test_what_changed_since_the_run_is_told_by_the_cell_the_table_and_the_result(study: Any, capsys: pytest.CaptureFixture[str]) -> None:
    study.run("%%batch_python n -o x\nx = 1")
    study.run("%batch_run --wait")
    study.run("%%batch_python n -o x\nx = 1")
    study.run("%batch_jobs")
    assert "since" not in capsys.readouterr().out

    study.run("%%batch_python n -o x\nx = 2")
    assert capsys.readouterr().out == "n: makes x; changed since the last run, %batch_run brings the results up to date\n"
    study.run("%batch_jobs")
    assert capsys.readouterr().out.startswith("n changed since this run, which is of the older text; %batch_run brings it up to date\n")
    for words in ("n['x'].result()", "n['x'].as_json().path()"):
        with pytest.raises(BatchException, match="job 'n' was described anew after the last run of batch 'study', which has the result of the older text"):
            study.run(words)

    study.run("%batch_run --wait")
    assert study.run("n['x'].result()") == 2

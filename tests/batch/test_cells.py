from __future__ import annotations

from pathlib import Path

import pytest

from hail_batch_jupyter.batch import Batch
from hail_batch_jupyter.batch.job import BashJob, PythonJob
from hail_batch_jupyter.errors import BatchException, GraphError


def fit(b: Batch, command: str = "touch {model}") -> BashJob:
    """What a cell `fit` does each time it runs."""
    staged = b.stage_bash_job("fit", b.job_named("fit"))
    staged.command(command.format(model=staged.model, other=staged.other))
    job = b.put_job(staged)
    assert isinstance(job, BashJob)
    return job


def test_a_staged_job_is_not_in_the_batch(b: Batch) -> None:
    staged = b.stage_bash_job("fit", cpu=2, memory="1Gi", env={"A": 1}, shell="/bin/sh", attributes={"k": "v"}, timeout=None)
    draft = staged.job_draft

    assert (b.jobs, b.job_named("fit")) == ([], None)
    assert (draft.cpu, draft.memory, draft.env, draft.shell, draft.attributes) == ("2", "1Gi", {"A": "1"}, "/bin/sh", {"k": "v"})


def test_putting_a_job_again_replaces_it_in_its_place(b: Batch) -> None:
    first = fit(b)
    other = b.new_job("other").command("true")
    again = fit(b, "echo new > {model}")

    assert again is first
    assert [first, other] == b.jobs
    assert b.compile().jobs[0].user_code == "echo new > {fit.model}"


def test_files_that_others_hold_stay_valid(b: Batch) -> None:
    model = fit(b).model
    reader = b.new_job("reader").command(f"cat {model}")
    fit(b, "echo new > {model}")
    spec = b.compile()

    assert model is b.job_named("fit").model
    assert (spec.jobs[0].job_id,) == tuple(edge.job_id for edge in spec.jobs[1].parents)
    assert spec.jobs[1].needs == spec.jobs[0].promises
    assert [reader] == b.users_of(b.jobs[0])


def test_a_cell_that_no_longer_makes_a_file_in_use_changes_nothing(b: Batch) -> None:
    first = fit(b)
    b.new_job("reader").command(f"cat {first.model}")
    before = b.compile()

    with pytest.raises(GraphError, match="job 'fit' no longer makes 'model', which job 'reader' reads; make it under that name, or change job 'reader' first"):
        fit(b, "touch {other}")
    assert before == b.compile()


def test_a_job_may_become_one_of_the_other_kind(b: Batch) -> None:
    first = fit(b)
    staged = b.stage_python_job("fit", first)
    staged.call_named(lambda path: {"score": open(path, "w").close()}, ["score"], staged.model)
    reader = b.new_job("reader").command(f"cat {first.model}")
    job = b.put_job(staged)

    assert isinstance(job, PythonJob)
    assert job is not first
    assert [job, reader] == b.jobs
    assert first.model.source() is job
    with pytest.raises(BatchException, match="was dropped"):
        first.command("true")


def test_outputs_of_a_cell_are_replaced_with_it_and_others_stay(b: Batch, tmp_path: Path) -> None:
    for name in ("old", "new"):
        staged = b.stage_bash_job("fit", b.job_named("fit"))
        staged.command(f"touch {staged.model}")
        job = b.put_job(staged, {"model": tmp_path / name})
    b.write_output(job.model, tmp_path / "also")
    fit_again = b.stage_bash_job("fit", job)
    fit_again.command(f"touch {fit_again.model}")
    assert {str(tmp_path / "new"), str(tmp_path / "also")} == {copy.dest for copy in b.compile().jobs[0].outputs}

    b.put_job(fit_again)

    assert [str(tmp_path / "also")] == [copy.dest for copy in b.compile().jobs[0].outputs]


def test_an_output_that_is_not_made_any_more_is_dropped_with_a_warning(b: Batch, tmp_path: Path) -> None:
    b.write_output(fit(b).model, tmp_path / "out")

    with pytest.warns(UserWarning, match="no longer makes 'model', so nothing is written to"):
        fit(b, "touch {other}")
    assert b.compile().jobs[0].outputs == ()


def test_an_output_must_be_made_by_its_cell(b: Batch) -> None:
    staged = b.stage_bash_job("fit").command("true")

    with pytest.raises(BatchException, match="makes no 'model' that could be written to 'x'"):
        b.put_job(staged, {"model": "x"})
    assert b.jobs == []


def test_extensions_and_text_forms_that_others_asked_for_are_kept(b: Batch) -> None:
    def put() -> PythonJob:
        staged = b.stage_python_job("score", b.job_named("score"))
        staged.call_named(dict, ["value"])
        job = b.put_job(staged)
        assert isinstance(job, PythonJob)
        return job

    job = put()
    fit(b).model.add_extension(".pkl")
    b.new_job("reader").command(f"cat {job.value.as_json()} {b.jobs[1].model}")
    before = b.compile()
    put()
    fit(b)

    assert before.jobs[2].needs == b.compile().jobs[2].needs
    assert before.jobs[0].promises == b.compile().jobs[0].promises


def test_dropping_a_job_in_use_names_its_users(b: Batch) -> None:
    first = fit(b)
    b.new_job("reader").command(f"cat {first.model}")
    b.new_job("after").depends_on(first)

    with pytest.raises(GraphError, match="job 'fit' is used by job 'reader', 'after'; drop those first"):
        b.drop_job(first)
    b.drop_job(first, force=True)
    with pytest.raises(GraphError, match="job 'reader' uses a job that was dropped"):
        b.compile()


def test_a_dropped_job_takes_its_outputs_away(b: Batch, tmp_path: Path) -> None:
    first = fit(b)
    b.write_output(first.model, tmp_path / "out")
    b.drop_job(first)

    assert (b.compile().jobs, b.job_named("fit")) == ((), None)
    with pytest.raises(BatchException, match="was dropped"):
        first.depends_on()


def test_a_dropped_job_can_be_made_again(b: Batch) -> None:
    first = fit(b)
    b.drop_job(first)
    staged = b.stage_bash_job("fit", first).command("true")

    assert [b.put_job(staged)] == b.jobs


def test_an_abandoned_stage_changes_nothing(b: Batch, tmp_path: Path) -> None:
    first = fit(b)
    b.stage_bash_job("fit", first).command("false")
    b.write_output(first.model, tmp_path / "out")

    assert b.compile().jobs[0].user_code == "touch {fit.model}"

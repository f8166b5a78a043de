from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.batch import Batch, JobStage
from hail_batch_jupyter.core.template import Files
from hail_batch_jupyter.errors import BatchException, GraphError, TemplateError
from tests.batch.running import Ended


def test_map_makes_a_job_an_item_whose_names_sort(b: Batch) -> None:
    stage = b.map("fit", range(12), "echo {item} > {job.out}")

    assert [job.name for job in stage] == sorted(f"fit-{number:02d}" for number in range(12))
    assert b.select_jobs("fit-") == list(stage)
    assert (len(stage), stage[3], stage[-1], stage[3:5].jobs) == (12, b.jobs[3], b.jobs[11], b.jobs[3:5])
    assert stage.items == list(range(12))
    assert b.jobs[4] in stage


def test_commands_get_items_quoted_files_as_paths_and_leave_the_shell_its_braces(b: Batch, run: Callable[[], dict[str, Ended]]) -> None:
    given = b.new_job("given").command("true")
    given.command(f"printf 'a b' > {given.text}")
    values = ["it's", "$HOME"]
    stage = b.map("say", values, f"x=9; printf '%s ' {{item}} \"{{item}}\" ${{x}} {{{{item}}}} {{1..3}} > {{job.out}}; cat {given.text} >> {{job.out}}")
    b.new_job("all").command(f"cat {stage.out}")

    assert run()["all"].text == "it's it's 9 {item} 1 2 3 a b$HOME $HOME 9 {item} 1 2 3 a b"


def test_parts_and_files_of_items_stand_in_commands(b: Batch, tmp_path: Path, run: Callable[[], dict[str, Ended]]) -> None:
    (tmp_path / "one").write_text("1")
    file = b.read_input(tmp_path / "one")
    b.map("cut", [(file, {"n": 2, "l": ["x", "y z"]})], "echo $(cat {item[0]}) {item[1][n]} {item[1]['l']}")

    assert run()["cut-0"].text == "1 2 x y z\n"


@pytest.mark.parametrize(
    ("command", "items", "error", "message"),
    [
        pytest.param("echo {item.x}", [1], TemplateError, r"job 'm-0': \{item.x\} cannot be read, AttributeError", id="attribute"),
        pytest.param("echo {item:3}", [1], TemplateError, r"cannot be filled in; write \{item\}, \{item.attribute\}", id="format"),
        pytest.param("echo {item}", [None], TemplateError, r"\{item\} is a NoneType, and a command takes text", id="kind"),
        pytest.param("echo {item}", "abc", BatchException, "the items are 'abc', one str; pass a list", id="text"),
        pytest.param(7, [1], TypeError, "takes a command or a function, and 7 is a int", id="work"),
    ],
)
def test_what_cannot_be_mapped_is_told_and_makes_no_job(b: Batch, command: Any, items: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        b.map("m", items, command)

    assert b.jobs == []


def test_functions_get_the_item_as_one_argument_and_the_rest_alike(b: Batch, run: Callable[[], dict[str, Ended]]) -> None:
    given = b.new_python_job("given").call(lambda: 10)
    stage = b.map("add", [(1, 2), (3, 4)], lambda pair, base, times=1: (sum(pair) + base) * times, given, times=2)
    total = b.new_python_job("total")
    total.call(lambda values: print(sum(values)), stage.results)

    assert run()["total"].text == "60\n"


def test_setters_count_for_each_job_and_give_the_stage(b: Batch) -> None:
    first = b.new_job("first").command("true")
    stage = b.map("fit", [1, 2], "true")
    last = b.new_job("last").command("true").depends_on(stage)

    assert stage.cpu(2).memory("1Gi").depends_on(first) is stage
    assert [(job.job_draft.cpu, job.job_draft.memory) for job in stage] == [("2", "1Gi")] * 2
    assert [job.name for job in b.users_of(first)] == ["fit-0", "fit-1"]
    assert [b.users_of(job) for job in stage] == [[last], [last]]


def test_results_have_text_forms_and_lists_travel_plain(b: Batch, run: Callable[[], dict[str, Ended]]) -> None:
    stage = b.map("double", [1, 2], lambda x: 2 * x)
    b.new_job("text").command(f"cat {stage.results.as_json()}")
    b.new_python_job("kind").call(lambda values: print(type(values).__name__, values), stage.results[:1])
    ended = run()

    assert ended["text"].text.split() == ["2", "4"] or ended["text"].text == "24"
    assert ended["kind"].text == "list [2]\n"


def test_a_stage_is_no_argument(b: Batch) -> None:
    stage = b.map("double", [1, 2], lambda x: 2 * x)

    with pytest.raises(BatchException, match="cannot be other job objects"):
        b.new_python_job().call(print, stage)


def test_members_of_groups_are_lists_too(b: Batch) -> None:
    stage = b.map("make", [1, 2], "true")
    stage.declare_resource_group(table={"csv": "{root}.csv"})

    assert list(stage.table.csv) == [stage[0].table.csv, stage[1].table["csv"]]


def test_an_empty_stage_is_a_stage(b: Batch) -> None:
    assert (len(b.map("none", [], "true")), b.jobs) == (0, [])


def cell(b: Batch, count: int, text: str = "echo {item} > {job.model}") -> JobStage[Any]:
    """What a cell with --each does each time it runs."""
    from hail_batch_jupyter.batch.item_text import filled, split_holes
    from hail_batch_jupyter.batch.stage import jobs_among, stage_names

    old = b.stages.get("fit") or b.job_named("fit")
    before = jobs_among([old]) if old else []
    staged = []
    for index, name in enumerate(stage_names("fit", count)):
        job = b.stage_bash_job(name, before[index] if index < len(before) else None)
        staged.append(job.command(filled(split_holes(text), job, index)))
    return b.put_stage("fit", staged, list(range(count)), [{}] * count, old)


def reads(b: Batch, name: str) -> list[str]:
    (job,) = b.select_jobs(name)
    return [f"{b.job_of(ref.owner).name}.{ref.name}" for ref in job.job_draft.reads]


def test_a_stage_that_is_made_again_keeps_its_jobs_and_who_reads_all_of_it_follows(b: Batch) -> None:
    stage = cell(b, 3)
    kept = stage[1]
    models = stage.model
    files = tuple(model.file_ref for model in models)
    b.new_job("gather").command(("cat ", Files(files)))
    b.new_python_job("python").call(print, models)
    b.new_job("last").command("true").depends_on(stage)
    cell(b, 4)

    assert (b.stages["fit"] is stage, len(stage), stage[1]) == (True, 4, kept)
    expected = [f"fit-{number}.model" for number in range(4)]
    assert (reads(b, "gather"), reads(b, "python")) == (expected, expected)
    assert len(b.select_jobs("last")[0].job_draft.depends_on) == 4
    cell(b, 2)
    assert (reads(b, "gather"), reads(b, "python"), len(models)) == (expected[:2], expected[:2], 2)
    assert [job.name for job in b.jobs] == ["fit-0", "fit-1", "gather", "python", "last"]
    assert [needed.count("model") for job in b.compile().jobs if job.name == "gather" for needed in [" ".join(job.needs)]] == [2]


def test_a_job_that_reads_one_of_the_dropped_is_named_and_nothing_changes(b: Batch) -> None:
    stage = cell(b, 3)
    b.new_job("reader").command(f"cat {stage[2].model}")

    with pytest.raises(GraphError, match="job 'fit-2' would be dropped, which job 'reader' uses; change or drop 'reader' first"):
        cell(b, 2)
    with pytest.raises(GraphError, match="job 'fit-2' no longer makes 'model', which job 'reader' reads"):
        cell(b, 3, "echo {item} > {job.other}")
    with pytest.raises(GraphError, match="stage 'fit' is used by job 'reader'; drop those first"):
        b.drop_stage(stage)
    assert (len(stage), [job.name for job in b.jobs]) == (3, ["fit-0", "fit-1", "fit-2", "reader"])
    assert b.compile().jobs[2].user_code.strip() == "echo 2 > {fit-2.model}"


def test_one_job_becomes_a_stage_and_one_job_again(b: Batch) -> None:
    one = b.stage_bash_job("fit")
    one.command(f"touch {one.model}")
    job = b.put_job(one)
    uid = job.job_draft.uid
    b.new_job("gather").command(("cat ", job.model.file_ref))
    b.new_python_job("python").call(print, job.model)

    stage = cell(b, 2)
    assert (stage[0].job_draft.uid, b.job_named("fit")) == (uid, None)
    assert (reads(b, "gather"), reads(b, "python")) == (["fit-0.model", "fit-1.model"],) * 2
    again = b.stage_bash_job("fit", stage[0])
    again.command(f"touch {again.model}")
    b.put_alone(again, {}, stage)
    assert (reads(b, "gather"), reads(b, "python"), b.stages) == (["fit.model"], ["fit.model"], {})
    assert b.job_named("fit").job_draft.uid == uid
    b.compile()


def test_a_dropped_stage_is_gone(b: Batch) -> None:
    stage = cell(b, 3)
    b.drop_job(stage[1])
    assert (len(stage), stage.items) == (2, [0, 2])
    b.drop_stage(stage)
    assert (b.jobs, b.stages) == ([], {})

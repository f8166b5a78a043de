from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hail_batch_jupyter.batch import Batch
from hail_batch_jupyter.batch.job import Job
from hail_batch_jupyter.compile.compiler import compile_batch, job_keys
from hail_batch_jupyter.core.spec import Edge, Transfer
from hail_batch_jupyter.errors import CycleError, GraphError


def described(seed: int) -> Batch:
    """A batch of bash and Python jobs that use one another's files in a way that the seed decides."""
    choose = random.Random(seed)
    b = Batch(name="some")
    jobs: list[Job] = []
    inputs = [b.read_input(f"/in/{n}.txt") for n in range(2)]
    group = b.read_input_group(a="/x/d.txt", b="/y/d.txt")
    for n in range(choose.randrange(1, 8)):
        parents = choose.sample(jobs, min(len(jobs), choose.randrange(3)))
        files = [parent.out for parent in parents] + choose.sample(inputs, 1)
        if choose.random() < 0.3:
            p = b.new_python_job(f"p{n % 3}")
            p.call(print, files, p.out, {"k": group}).as_str()
            jobs.append(p)
            continue
        j = b.new_job(choose.choice([None, "same", f"j {n}"])).declare_resource_group(g={"x": "{root}.x"})
        j.command(f"cat {' '.join(files)} {group.a} > {j.out}; touch {j.g}.x")
        j.command("v" * choose.choice([3, 20_000]))
        j.depends_on(*choose.sample(jobs, min(len(jobs), 1))).env("A", n).cpu(choose.choice([1, "250m"]))
        b.write_output(choose.choice([j.out, j.g]), f"/out/{n}")
        jobs.append(j)
    b.write_output(group, "/out/group")
    return b


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_compiling_twice_gives_equal_specs_and_changes_nothing(seed: int) -> None:
    b = described(seed)
    before = repr(b.draft)
    first = b.compile()

    assert first == b.compile()
    assert before == repr(b.draft)


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_equal_descriptions_give_equal_specs(seed: int) -> None:
    assert described(seed).compile() == described(seed).compile()


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_parents_stand_before_children_and_make_what_they_need(seed: int) -> None:
    spec = described(seed).compile()
    made: set[str] = set()

    assert list(range(1, len(spec.jobs) + 1)) == [job.job_id for job in spec.jobs]
    for job in spec.jobs:
        assert all(edge.job_id < job.job_id for edge in job.parents)
        assert set(job.needs) <= made
        made |= {*job.promises, *job.results}
    assert len({job.directory for job in spec.jobs}) == len(spec.jobs)


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_keys_alone_are_those_of_the_specs(seed: int) -> None:
    b = described(seed)

    assert {job.uid: job.key for job in b.compile().jobs} == job_keys(b.draft)


def test_children_made_before_their_parents_come_later() -> None:
    b = Batch()
    child, parent = b.new_job("child"), b.new_job("parent")
    child.depends_on(parent)
    spec = b.compile()

    assert [("parent", ()), ("child", (Edge(1),))] == [(job.name, job.parents) for job in spec.jobs]


def test_a_job_that_waits_for_itself_is_a_cycle() -> None:
    b = Batch()
    j = b.new_job("me")
    j.depends_on(j)

    with pytest.raises(CycleError, match="cycle detected in dependency graph: me -> me"):
        b.compile()


def test_a_loop_through_files_is_a_cycle() -> None:
    b = Batch()
    j, k = b.new_job("j"), b.new_job("k")
    j.command(f"touch {j.o}")
    k.command(f"cat {j.o} > {k.o}")
    j.command(f"cat {k.o}")

    with pytest.raises(CycleError, match="cycle detected") as caught:
        b.compile()

    assert {"j", "k"} == set(caught.value.jobs)
    assert isinstance(caught.value, GraphError)


def test_a_long_chain_compiles() -> None:
    b = Batch()
    last = b.new_job()
    last.command(f"touch {last.o}")
    for _ in range(20_000):
        job = b.new_job()
        job.command(f"cat {last.o} > {job.o}")
        last = job

    assert (Edge(20_000),) == b.compile().jobs[-1].parents


def test_all_files_of_a_group_travel_together() -> None:
    b = Batch()
    j, k = b.new_job("j"), b.new_job("k")
    j.declare_resource_group(g={"x": "{root}.x", "y": "{root}.y"})
    j.command(f"touch {j.g}.x {j.g}.y")
    k.command(f"cat {j.g.x}")
    made, read = b.compile().jobs

    assert (f"{made.directory}/g.x", f"{made.directory}/g.y") == made.promises == read.needs


def test_only_files_that_somebody_uses_are_promised() -> None:
    b = Batch()
    j, k = b.new_job("j"), b.new_job("k")
    j.command(f"touch {j.a} {j.b} {j.c}")
    k.command(f"cat {j.a}")
    b.write_output(j.c, "/out/c")
    made = b.compile().jobs[0]

    assert {f"{made.directory}/a", f"{made.directory}/c"} == set(made.promises)
    assert (Transfer(f"${{BATCH_TMPDIR}}/{made.directory}/c", "/out/c"),) == made.outputs


def test_inputs_are_staged_once_a_job_and_written_out_from_their_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    b = Batch()
    i = b.read_input("a.txt")
    b.new_job().command(f"cat {i} {i}")
    b.write_output(i, "/out/a")
    b.write_output(b.read_input_group(x="g.x", y="gs://b/g.y"), "/out/g")
    spec = b.compile()

    assert [f"{tmp_path}/a.txt"] == [copy.source for copy in spec.jobs[0].inputs]
    assert (Transfer(f"{tmp_path}/a.txt", "/out/a"), Transfer(f"{tmp_path}/g.x", "/out/g.x"), Transfer("gs://b/g.y", "/out/g.y")) == spec.external


def test_links_beside_an_input_group_are_made_only_when_its_root_is_written() -> None:
    b = Batch()
    g = b.read_input_group(bed="/d/one.bed", bim="/d/two.bim")
    b.new_job().command(f"cat {g.bed}")
    b.new_job().command(f"plink --bfile {g}")
    members, whole = b.compile().jobs
    root = whole.inputs[-1].dest.removesuffix(".bim")

    assert [f"{root}/one.bed", f"{root}/two.bim"] == [copy.dest for copy in members.inputs]
    assert [f"{root}/one.bed", f"{root}/two.bim", f"{root}.bed", f"{root}.bim"] == [copy.dest for copy in whole.inputs]


def test_what_people_read_has_names_instead_of_paths() -> None:
    b = Batch()
    j, p = b.new_job("fit"), b.new_python_job("score")
    j.command(f"python {b.read_input('/d/train.py')} > {j.model}")
    r = p.call(len, j.model)
    p.call(print, r, sep=[1] * 100)

    assert [job.user_code for job in b.compile().jobs] == [
        "python {train.py} > {fit.model}",
        "len({fit.model})\nprint({score.result1}, sep=[1, 1, 1, 1, 1, 1, ...])",
    ]


def test_settings_of_the_batch_reach_the_spec() -> None:
    b = Batch("n", attributes={"k": "v"}, requester_pays_project="p", cancel_after_n_failures=3)
    b.lineage = "here"
    spec = b.compile()

    assert (spec.name, spec.attributes, spec.requester_pays_project, spec.cancel_after_n_failures, spec.lineage) == ("n", {"k": "v"}, "p", 3, "here")


def test_a_verbose_run_traces_its_shells() -> None:
    b = Batch()
    b.new_job().command("true")

    assert compile_batch(b.draft, verbose=True).jobs[0].command[-1].startswith("set -ex\n")

from __future__ import annotations

import json
from typing import Any

import pytest

from hail_batch_jupyter.batch import Batch
from hail_batch_jupyter.core.retry import Retry
from hail_batch_jupyter.core.spec import Edge, GroupSpec, from_json, to_json
from hail_batch_jupyter.errors import BatchException, ForeignJobError, UnitError


@pytest.fixture
def b() -> Batch:
    return Batch(name="b")


def described() -> Batch:
    b = Batch(name="b").at_most(7)
    outer = b.new_group("outer", {"kind": "shards"}, cancel_after_n_failures=3, at_most=4)
    inner = outer.new_group("inner").at_most(2)
    first = outer.new_job("first").command("true").retry(4, on=("timeout", 75), delay="10s", max_delay="1m", memory_factor=1.5).gpu(2, "T4")
    inner.new_python_job("second").after(first).call(print, "hello")
    b.new_job("third").command("true").depends_on(first)
    return b


def test_groups_limits_and_policies_are_in_the_spec() -> None:
    spec = described().compile()

    assert spec.at_most == 7
    assert spec.groups == (GroupSpec(1, "outer", 0, {"kind": "shards"}, 3, 4), GroupSpec(2, "inner", 1, {}, None, 2))
    assert [(job.name, job.group, job.parents) for job in spec.jobs] == [
        ("first", 1, ()),
        ("second", 2, (Edge(1, "end"),)),
        ("third", 0, (Edge(1),)),
    ]
    assert spec.jobs[0].retry == Retry(4, ("timeout",), (75,), 10.0, 2.0, 60.0, 1.5)
    assert (spec.jobs[0].request.gpus, spec.jobs[0].request.gpu_kind) == (2, "T4")
    assert spec.jobs[1].retry is None


def test_they_survive_json_and_equal_drafts_give_equal_specs() -> None:
    spec = described().compile()
    again = from_json(json.loads(json.dumps(to_json(spec))))

    assert spec == described().compile()
    assert (again.groups, again.at_most) == (spec.groups, spec.at_most)
    assert [(job.retry, job.group, job.request) for job in again.jobs] == [(job.retry, job.group, job.request) for job in spec.jobs]


def test_a_group_knows_its_jobs_and_those_of_groups_in_it(b: Batch) -> None:
    outer = b.new_group("outer")
    jobs = [outer.new_job("1"), outer.new_group("inner").new_bash_job("2")]
    b.new_job("3")

    assert outer.jobs == jobs
    assert repr(outer) == "<JobGroup 'outer': 2 jobs>"


def test_a_policy_and_a_group_do_not_change_what_a_job_does(b: Batch) -> None:
    plain = b.new_job("x").command("true")
    ruled = b.new_group("g").new_job("y").command("true").retry(5)
    gpu = b.new_job("z").command("true").gpu()

    keys = [job.key for job in b.compile().jobs]
    assert keys[0] == keys[1] != keys[2]
    assert (plain, ruled, gpu) == tuple(b.jobs)


def test_every_setter_gives_the_job_or_what_it_sets(b: Batch) -> None:
    j, group = b.new_job(), b.new_group("g")

    assert j.retry() is j
    assert j.gpu(1) is j
    assert j.after() is j
    assert b.at_most(2) is b
    assert group.at_most(None) is group


def test_one_attempt_is_no_policy_and_the_default_of_the_batch_is_for_jobs_that_say_nothing() -> None:
    b = Batch(default_retry={"attempts": 2, "delay": 5})
    jobs = [b.new_job(), b.new_job().retry(1), b.new_python_job().retry(3, "lost")]

    assert [job.job_draft.retry for job in jobs] == [
        Retry(2, delay_s=5, growth=2, memory_factor=2),
        None,
        Retry(3, ("lost",), growth=2, memory_factor=2),
    ]
    assert Batch(default_retry=4).new_job().job_draft.retry == Retry(4, growth=2, memory_factor=2)


def test_to_fall_back_from_spot_is_a_policy_of_its_own(b: Batch) -> None:
    job = b.new_job().spot(True).retry(1, no_spot_after=2)

    assert job.job_draft.retry == Retry(1, growth=2, memory_factor=2, no_spot_after=2)


def test_a_delay_longer_than_the_longest_counts(b: Batch) -> None:
    retry = b.new_job().retry(delay="2h").job_draft.retry

    assert retry is not None
    assert (retry.delay_s, retry.max_delay_s) == (7200, 7200)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"attempts": 0}, "attempts 0 is not a number of attempts", id="attempts"),
        pytest.param({"attempts": True}, "attempts True", id="bool"),
        pytest.param(
            {"on": "oom"}, r"'oom' is not a cause to try again; use 'exit', 'out of memory', 'timeout', 'lost', or exit codes from 1 to 255", id="cause"
        ),
        pytest.param({"on": (0,)}, "0 is not a cause", id="success"),
        pytest.param({"on": 256}, "256 is not a cause", id="code"),
        pytest.param({"on": ()}, "'on' names no cause", id="none"),
        pytest.param({"delay": "soon"}, "retry: delay 'soon' is not a duration", id="delay"),
        pytest.param({"growth": 0.5}, "growth 0.5 is not a factor", id="growth"),
        pytest.param({"memory_factor": "2"}, "memory_factor '2' is not a factor", id="factor"),
        pytest.param({"no_spot_after": 0}, "no_spot_after 0 is not a number of lost machines; use 1 or more, or None", id="spot"),
    ],
)
def test_a_wrong_policy_is_refused_at_the_call(b: Batch, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UnitError, match=words):
        b.new_job().retry(**settings)


def test_wrong_gpus_limits_and_names_are_refused_at_the_call(b: Batch) -> None:
    b.new_group("taken")
    with pytest.raises(UnitError, match="gpu -1 is not a number of GPUs"):
        b.new_job().gpu(-1)
    with pytest.raises(UnitError, match="kind '' is not the name of a model"):
        b.new_job().gpu(1, "")
    with pytest.raises(UnitError, match="at_most 0 is not a number of jobs; use 1 or more, or None for no limit"):
        b.at_most(0)
    with pytest.raises(UnitError, match="cancel_after_n_failures 0"):
        b.new_group("g", cancel_after_n_failures=0)
    with pytest.raises(BatchException, match="batch 'b' already has a group 'taken'"):
        b.new_group("taken")
    with pytest.raises(BatchException, match="'' cannot be the name of a group"):
        b.new_group("")


def test_after_takes_jobs_of_the_same_batch_and_never_weakens_a_dependency(b: Batch) -> None:
    first, second = b.new_job("first").command("true"), b.new_job("second").command("true")
    second.depends_on(first).after(first)
    reader = b.new_job("reader")
    first.command(f"echo > {first.o}")
    reader.after(first).command(f"cat {first.o}")

    assert [job.parents for job in b.compile().jobs] == [(), (Edge(1),), (Edge(1),)]
    with pytest.raises(ForeignJobError, match="cannot depend on"):
        second.after(Batch().new_job())
    with pytest.raises(BatchException, match="after takes jobs, and 3 is a int"):
        second.after(3)  # type: ignore[arg-type]  # that is the mistake


def test_a_group_maps_as_its_batch_does_and_owns_the_jobs(b: Batch) -> None:
    outer = b.new_group("outer")
    stage = outer.new_group("inner").map("square", range(3), pow, 2)

    assert outer.jobs == list(stage)
    assert b.stages["square"] is stage
    assert {job.group for job in b.compile().jobs} == {2}


def test_a_map_of_a_group_that_fails_makes_no_job(b: Batch) -> None:
    with pytest.raises(BatchException, match="supplied arguments"):
        b.new_group("outer").map("square", range(3), lambda: 1)
    assert b.jobs == []

from __future__ import annotations

from hail_batch_jupyter.core.spec import BatchSpec, Edge, JobSpec, Transfer
from hail_batch_jupyter.jupyter.cells.subset import same_work, with_ancestors


def job(number: int, name: str, *parents: int, key: str = "") -> JobSpec:
    return JobSpec(number, key or name, name, "bash", ("true",), name, parents=tuple(Edge(parent) for parent in parents))


SPEC = BatchSpec("b", (job(1, "a"), job(2, "b"), job(3, "c", 2), job(4, "d", 1), job(5, "e", 3, 4)))


def test_a_job_comes_with_all_that_it_needs_numbered_anew() -> None:
    spec = with_ancestors(SPEC, ["c"])

    assert [(one.job_id, one.name, [edge.job_id for edge in one.parents]) for one in spec.jobs] == [(1, "b", []), (2, "c", [1])]


def test_several_jobs_share_what_they_need() -> None:
    assert [one.name for one in with_ancestors(SPEC, ["d", "c"]).jobs] == ["a", "b", "c", "d"]
    assert with_ancestors(SPEC, ["e"]) == SPEC


def test_the_same_work_is_the_same_in_any_order_and_differs_by_key_and_output() -> None:
    other = SPEC._replace(jobs=(job(1, "b"), job(2, "a"), *SPEC.jobs[2:]), previous_run="r")
    changed = SPEC._replace(jobs=(job(1, "a", key="new"), *SPEC.jobs[1:]))
    written = SPEC._replace(jobs=(SPEC.jobs[0]._replace(outputs=(Transfer("x", "y"),)), *SPEC.jobs[1:]))

    assert same_work(SPEC, other)
    assert not same_work(SPEC, changed)
    assert not same_work(SPEC, written)

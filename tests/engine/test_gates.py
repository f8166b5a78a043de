from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.core.ports import Gpu
from hail_batch_jupyter.core.spec import BatchSpec, GroupSpec, JobSpec, Request
from hail_batch_jupyter.engine.gates import Gates


def job(job_id: int, group: int = 0, gpus: int = 0, kind: str | None = None) -> JobSpec:
    return JobSpec(job_id, "", None, "bash", (), f"d{job_id}", group=group, request=Request(gpus=gpus, gpu_kind=kind))


def gates(spec: BatchSpec, gpus: list[Gpu] | None = None) -> Gates:
    return Gates(spec, {one.job_id: 0 for one in spec.jobs}, gpus or [])


@st.composite
def specs(draw: st.DrawFn) -> BatchSpec:
    limits = st.none() | st.integers(1, 3)
    groups = [GroupSpec(number, str(number), draw(st.integers(0, number - 1)), at_most=draw(limits)) for number in range(1, draw(st.integers(0, 4)) + 1)]
    count = draw(st.integers(1, 15))
    jobs = [job(number, draw(st.integers(0, len(groups))), draw(st.sampled_from([0, 0, 1, 2]))) for number in range(1, count + 1)]
    return BatchSpec("x", tuple(jobs), groups=tuple(groups), at_most=draw(limits))


@given(specs(), st.randoms(use_true_random=False))
def test_every_job_gets_through_and_no_limit_is_ever_passed(spec: BatchSpec, chance: object) -> None:
    jobs = {one.job_id: one for one in spec.jobs}
    made = gates(spec, [Gpu("0"), Gpu("1"), Gpu("5")])
    inside = {one.job_id for one in spec.jobs if made.enter(one)}
    through = set(inside)
    while inside:
        counts = Counter(group for job_id in inside for group in spec.groups_of(jobs[job_id].group))
        held = [gpu for job_id in inside for gpu in made.gpus_of(job_id)]
        assert all(counts[group.group_id] <= group.at_most for group in spec.groups if group.at_most is not None)
        assert spec.at_most is None or len(inside) <= spec.at_most
        assert len(held) == len(set(held)) == sum(jobs[job_id].request.gpus for job_id in inside)
        leaving = chance.choice(sorted(inside))  # type: ignore[attr-defined]  # hypothesis gives a random.Random
        inside.remove(leaving)
        passed = made.leave(leaving)
        inside.update(passed)
        through.update(passed)

    assert through == jobs.keys()
    assert made.clear() == []


@given(specs())
def test_nobody_waits_who_could_go_on(spec: BatchSpec) -> None:
    """A job waits only for a limit that is reached, or for GPUs."""
    jobs = {one.job_id: one for one in spec.jobs}
    made = gates(spec, [Gpu("0"), Gpu("1"), Gpu("2")])
    inside = {one.job_id for one in spec.jobs if made.enter(one)}
    counts = Counter(group for job_id in inside for group in spec.groups_of(jobs[job_id].group))
    free = 3 - sum(jobs[job_id].request.gpus for job_id in inside)

    for job_id in made.clear():
        full = [group for group in spec.groups_of(jobs[job_id].group) if counts[group] == spec.groups[group - 1].at_most]
        assert full or len(inside) == spec.at_most or jobs[job_id].request.gpus > free


def test_a_kind_is_a_part_of_the_name_in_any_case() -> None:
    wanted = job(1, gpus=1, kind="a100")
    made = gates(BatchSpec("x", (wanted,)), [Gpu("0", "Tesla T4"), Gpu("1", "NVIDIA A100-SXM4")])

    assert made.enter(wanted)
    assert made.gpus_of(1) == ("1",)


def test_the_longest_way_goes_first() -> None:
    spec = BatchSpec("x", tuple(job(number) for number in (1, 2, 3)), at_most=1)
    made = Gates(spec, {1: 0, 2: 0, 3: 5}, [])

    assert [made.enter(one) for one in spec.jobs] == [True, False, False]
    assert made.leave(1) == [3]
    assert made.leave(3) == [2]

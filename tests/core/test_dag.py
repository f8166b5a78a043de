from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.core.dag import Frontier, Verdict, descendants, heights, topological_order, verdict
from hail_batch_jupyter.core.spec import Edge, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import BatchException, CycleError, GraphError
from tests.core.graphs import graphs, node

P, X, OK, F, E, K = JobState.PENDING, JobState.RUNNING, JobState.SUCCESS, JobState.FAILED, JobState.ERROR, JobState.CANCELLED


@pytest.mark.parametrize(
    ("parents", "always_run", "cancelled", "expected"),
    [
        pytest.param([], False, False, Verdict.READY, id="no-parents"),
        pytest.param([], False, True, Verdict.CANCEL, id="no-parents-batch-cancelled"),
        pytest.param([], True, True, Verdict.READY, id="no-parents-batch-cancelled-always-run"),
        pytest.param([("success", OK)], False, False, Verdict.READY, id="parent-succeeded"),
        pytest.param([("success", OK)], False, True, Verdict.CANCEL, id="parent-succeeded-batch-cancelled"),
        pytest.param([("success", P)], False, False, Verdict.WAIT, id="parent-pending"),
        pytest.param([("success", X)], False, True, Verdict.WAIT, id="parent-runs-though-the-batch-is-cancelled"),
        pytest.param([("success", F)], False, False, Verdict.CANCEL, id="parent-failed"),
        pytest.param([("success", E)], False, False, Verdict.CANCEL, id="parent-error"),
        pytest.param([("success", K)], False, False, Verdict.CANCEL, id="parent-cancelled"),
        pytest.param([("success", F)], True, False, Verdict.READY, id="parent-failed-always-run"),
        pytest.param([("success", K)], True, True, Verdict.READY, id="all-cancelled-always-run"),
        pytest.param([("success", F), ("success", X)], False, False, Verdict.WAIT, id="one-failed-the-other-still-runs"),
        pytest.param([("success", F), ("success", X)], True, False, Verdict.WAIT, id="always-run-waits-for-all"),
        pytest.param([("success", OK), ("success", F)], False, False, Verdict.CANCEL, id="one-of-two-failed"),
        pytest.param([("end", F)], False, False, Verdict.READY, id="end-only-of-a-failed-one"),
        pytest.param([("end", K)], False, True, Verdict.CANCEL, id="end-only-batch-cancelled"),
        pytest.param([("end", X)], False, False, Verdict.WAIT, id="end-only-still-running"),
        pytest.param([("end", F), ("success", F)], False, False, Verdict.CANCEL, id="end-and-success-of-failed-ones"),
    ],
)
def test_verdict(parents: list[tuple[str, JobState]], always_run: bool, cancelled: bool, expected: Verdict) -> None:
    edges = [Edge(index, on) for index, (on, _) in enumerate(parents)]
    states = {index: state for index, (_, state) in enumerate(parents)}

    assert verdict(edges, states, always_run, cancelled) is expected


def test_a_diamond_ends_when_both_of_its_sides_have() -> None:
    frontier = Frontier([node(1), node(2, 1), node(3, 1), node(4, 2, 3)], {})

    assert frontier.begin() == [1]
    assert frontier.end(1, OK) == [2, 3]
    assert frontier.end(3, OK) == []
    assert frontier.end(2, F) == [4]
    assert frontier.verdict(4) is Verdict.CANCEL


def test_a_parent_of_an_earlier_run_is_known_by_its_state_only() -> None:
    frontier = Frontier([node(3, 1), node(4, 2)], {1: OK, 2: F})

    assert frontier.begin() == [3, 4]
    assert frontier.verdict(3) is Verdict.READY
    assert frontier.verdict(4) is Verdict.CANCEL


def naive_finals(jobs: list[JobSpec], own: Mapping[int, JobState]) -> dict[int, JobState]:
    """The rule in three lines: what a job becomes follows from its parents alone."""
    finals: dict[int, JobState] = {}
    for job in jobs:
        broken = any(edge.on == "success" and finals[edge.job_id] is not OK for edge in job.parents)
        finals[job.job_id] = K if broken and not job.always_run else own[job.job_id]
    return finals


def run_in_random_order(jobs: list[JobSpec], own: Mapping[int, JobState], chance: random.Random) -> tuple[dict[int, JobState], list[int]]:
    """Drive a Frontier as an engine does, ending running jobs in any order; gives final states and the order of the ends."""
    frontier = Frontier(jobs, {})
    open_jobs, ended = frontier.begin(), []
    while open_jobs:
        job_id = open_jobs.pop(chance.randrange(len(open_jobs)))
        ended.append(job_id)
        decided = frontier.verdict(job_id)
        assert decided is not Verdict.WAIT
        open_jobs.extend(frontier.end(job_id, K if decided is Verdict.CANCEL else own[job_id]))
    return frontier.states, ended


@given(graphs(), st.data())
def test_each_job_is_given_once_after_its_parents_with_the_final_state_of_the_naive_model(jobs: list[JobSpec], data: st.DataObject) -> None:
    own = {job.job_id: data.draw(st.sampled_from([OK, OK, F, E])) for job in jobs}

    finals, ended = run_in_random_order(jobs, own, data.draw(st.randoms(use_true_random=False)))

    assert sorted(ended) == [job.job_id for job in jobs]
    place = {job_id: index for index, job_id in enumerate(ended)}
    assert all(place[edge.job_id] < place[job.job_id] for job in jobs for edge in job.parents)
    assert finals == naive_finals(jobs, own)


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=10, max_size=10))
def test_any_order_has_parents_first_and_any_cycle_is_a_real_one(wanted: list[list[int]]) -> None:
    try:
        order = topological_order(10, wanted.__getitem__, str)
    except CycleError as error:
        members = [int(name) for name in error.jobs]
        assert members[0] == members[-1]
        assert all(parent in wanted[child] for child, parent in pairwise(members))
    else:
        place = {index: at for at, index in enumerate(order)}
        assert sorted(order) == list(range(10))
        assert all(place[parent] < place[child] for child in range(10) for parent in wanted[child])


def test_the_order_is_the_given_one_as_far_as_parents_allow() -> None:
    parents = {0: [], 1: [3], 2: [], 3: [4], 4: []}

    assert topological_order(5, parents.__getitem__, str) == [0, 4, 3, 1, 2]
    assert topological_order(5, parents.__getitem__, str) == topological_order(5, parents.__getitem__, str)
    assert topological_order(0, parents.__getitem__, str) == []


def test_a_cycle_is_named_in_its_order_and_with_a_remedy() -> None:
    names = ["start", "a", "b", "c"]
    parents = {0: [], 1: [2, 0], 2: [3], 3: [1]}

    with pytest.raises(CycleError, match=r"cycle detected in dependency graph: a -> b -> c -> a \(each waits for the next\); remove one") as caught:
        topological_order(4, parents.__getitem__, names.__getitem__)

    assert caught.value.jobs == ("a", "b", "c", "a")
    assert all(isinstance(caught.value, kind) for kind in (GraphError, ValueError, BatchException))


def test_a_job_that_waits_for_itself_is_a_cycle() -> None:
    with pytest.raises(CycleError, match="loop -> loop"):
        topological_order(1, lambda _: [0], lambda _: "loop")


def test_a_long_cycle_is_shortened_in_the_message_only() -> None:
    with pytest.raises(CycleError, match=r"0 -> 1 -> 2 -> 3 -> 4 -> 5 -> … -> 96") as caught:
        topological_order(100, lambda index: [(index + 1) % 100], str)

    assert len(caught.value.jobs) == 101


def test_a_chain_of_100_000_jobs_needs_no_recursion() -> None:
    count = 100_000
    backwards = topological_order(count, lambda index: [index + 1] if index + 1 < count else [], str)
    jobs = [node(1), *(node(job_id, job_id - 1) for job_id in range(2, count + 1))]
    frontier = Frontier(jobs, {})
    settled, ended = frontier.begin(), 0
    while settled:
        ended += 1
        settled = frontier.end(settled[0], OK)

    assert backwards == list(range(count - 1, -1, -1))
    assert ended == count
    assert heights(jobs)[1] == count - 1
    assert len(descendants(jobs, [2])) == count - 1


def test_heights_are_the_longest_ways_to_the_end() -> None:
    jobs = [node(1), node(2, 1), node(3, 2, 1), node(4, 1), node(5)]

    assert heights(jobs) == {1: 2, 2: 1, 3: 0, 4: 0, 5: 0}


def test_heights_ignore_parents_of_earlier_runs() -> None:
    assert heights([node(8, 3), node(9, 8)]) == {8: 1, 9: 0}


@given(graphs(), st.data())
def test_descendants_are_the_roots_and_all_that_follows(jobs: list[JobSpec], data: st.DataObject) -> None:
    roots = data.draw(st.sets(st.sampled_from([job.job_id for job in jobs])))
    expected = set(roots)
    for job in jobs:
        if any(edge.job_id in expected for edge in job.parents):
            expected.add(job.job_id)

    assert descendants(jobs, roots) == expected

from __future__ import annotations

from itertools import product

import pytest

from hail_batch_jupyter.core.state import BatchState, JobState, may_follow, roll_up

P, R, C, X = JobState.PENDING, JobState.READY, JobState.CREATING, JobState.RUNNING
OK, F, E, K = JobState.SUCCESS, JobState.FAILED, JobState.ERROR, JobState.CANCELLED
LEGAL = {(P, R), (R, C), (R, X), (R, OK), (R, K), (R, E), (C, C), (C, X), (C, R), (X, X), (X, OK), (X, F), (X, E), (X, R)}


@pytest.mark.parametrize(("before", "after"), list(product(JobState, JobState)), ids=lambda state: state.value)
def test_only_the_transitions_of_the_state_machine_are_legal(before: JobState, after: JobState) -> None:
    assert may_follow(before, after) is ((before, after) in LEGAL)


def test_a_running_job_is_cancelled_by_way_of_ready() -> None:
    assert not may_follow(X, K)
    assert may_follow(X, R)
    assert may_follow(R, K)


@pytest.mark.parametrize(
    ("state", "complete", "unsuccessful"),
    [(P, False, False), (R, False, False), (C, False, False), (X, False, False), (OK, True, False), (F, True, True), (E, True, True), (K, True, True)],
)
def test_four_states_are_final_and_three_of_them_unsuccessful(state: JobState, complete: bool, unsuccessful: bool) -> None:
    assert state.complete is complete
    assert state.unsuccessful is unsuccessful


def test_states_have_the_words_of_the_wire() -> None:
    assert [state.value for state in JobState] == ["Pending", "Ready", "Creating", "Running", "Success", "Failed", "Error", "Cancelled"]
    assert [state.value for state in BatchState] == ["open", "running", "success", "failure", "cancelled"]


@pytest.mark.parametrize(
    ("counts", "cancelled", "state"),
    [
        pytest.param({}, False, BatchState.SUCCESS, id="no-jobs"),
        pytest.param({OK: 3}, False, BatchState.SUCCESS, id="all-succeeded"),
        pytest.param({OK: 3, X: 1}, False, BatchState.RUNNING, id="one-runs"),
        pytest.param({OK: 3, X: 0}, False, BatchState.SUCCESS, id="a-count-of-zero"),
        pytest.param({P: 2}, False, BatchState.RUNNING, id="nothing-began"),
        pytest.param({F: 1, X: 5}, False, BatchState.FAILURE, id="failed-while-others-run"),
        pytest.param({E: 1, OK: 5}, False, BatchState.FAILURE, id="an-error-is-a-failure"),
        pytest.param({F: 1, K: 5}, True, BatchState.FAILURE, id="failure-beats-cancelled"),
        pytest.param({K: 1, X: 5}, False, BatchState.CANCELLED, id="one-cancelled"),
        pytest.param({OK: 2, X: 1}, True, BatchState.CANCELLED, id="cancel-was-asked-for"),
        pytest.param({OK: 2}, True, BatchState.CANCELLED, id="cancelled-when-all-was-done"),
    ],
)
def test_failure_beats_cancellation_beats_completeness(counts: dict[JobState, int], cancelled: bool, state: BatchState) -> None:
    assert roll_up(counts, cancelled) is state

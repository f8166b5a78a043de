from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.core.events import AttemptView, BatchSnapshot, Granted, JobEvent, JobView, Usage, event_from_json, event_to_json
from hail_batch_jupyter.core.state import BatchState, JobState, may_follow

P, R, C, X = JobState.PENDING, JobState.READY, JobState.CREATING, JobState.RUNNING
OK, F, E, K = JobState.SUCCESS, JobState.FAILED, JobState.ERROR, JobState.CANCELLED
JOB_IDS = [1, 2, 3]

texts = st.text(max_size=8)
files = st.lists(st.tuples(texts, st.integers(0, 2**60), st.integers(0, 2**62)), max_size=2).map(tuple)
usages = st.builds(Usage, st.integers(0, 2**40), st.floats(0, 1e6), st.booleans())
events_of_any_kind = st.builds(
    JobEvent,
    seq=st.integers(1, 10**6),
    time_ms=st.integers(0, 2**42),
    job_id=st.integers(0, 10**6),
    state=st.none() | st.sampled_from(JobState),
    attempt=st.integers(0, 20),
    phase=st.sampled_from(["", "input", "main", "output", "start", "cancel", "end"]),
    slot=st.integers(-1, 99),
    pid=st.integers(0, 2**22),
    exit_code=st.none() | st.integers(0, 255),
    reason=texts,
    reused=st.booleans(),
    cost_usd=st.floats(0, 1e6),
    usage=st.none() | usages,
    files=files,
)


@st.composite
def histories(draw: st.DrawFn) -> list[JobEvent]:
    """Legal histories of three jobs, with events of the run between them."""
    states = dict.fromkeys(JOB_IDS, P)
    events: list[JobEvent] = []
    for _ in range(draw(st.integers(0, 30))):
        seq, time_ms = len(events) + 1, 1000 + 10 * len(events)
        job_id = draw(st.sampled_from([0, *JOB_IDS]))
        if not job_id:
            events.append(JobEvent(seq, time_ms, 0, phase=draw(st.sampled_from(["start", "cancel", "end"])), reason=draw(texts)))
            continue
        following = [state for state in JobState if may_follow(states[job_id], state)]
        if following:
            states[job_id] = draw(st.sampled_from(following))
            made = draw(events_of_any_kind)
            events.append(made._replace(seq=seq, time_ms=time_ms, job_id=job_id, state=states[job_id]))
    return events


@given(events_of_any_kind)
def test_an_event_comes_back_from_json_as_it_was(event: JobEvent) -> None:
    assert event_from_json(json.loads(json.dumps(event_to_json(event)))) == event


def test_defaults_are_left_out_of_json() -> None:
    assert event_to_json(JobEvent(3, 77, 1, R)) == {"seq": 3, "time_ms": 77, "job_id": 1, "state": "Ready"}


def test_fields_of_later_versions_are_ignored() -> None:
    assert event_from_json({"seq": 1, "time_ms": 2, "job_id": 3, "state": "Running", "colour": "blue"}) == JobEvent(1, 2, 3, X)


def test_an_unknown_state_is_no_event() -> None:
    with pytest.raises(KeyError, match="Sleeping"):
        event_from_json({"seq": 1, "time_ms": 2, "job_id": 3, "state": "Sleeping"})


@given(histories(), st.data())
def test_the_fold_in_any_chunks_is_the_fold_at_once(events: list[JobEvent], data: st.DataObject) -> None:
    at_once = BatchSnapshot.empty(JOB_IDS).after(events, strict=True)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=5)))
    in_chunks = BatchSnapshot.empty(JOB_IDS)
    for begin, end in zip([0, *cuts], [*cuts, len(events)], strict=True):
        in_chunks = in_chunks.after(events[begin:end])

    assert in_chunks == at_once


@given(histories(), st.data())
def test_events_that_were_folded_before_change_nothing(events: list[JobEvent], data: st.DataObject) -> None:
    snapshot = BatchSnapshot.empty(JOB_IDS).after(events)
    again = data.draw(st.lists(st.sampled_from(events))) if events else []

    assert snapshot.after(again) == snapshot


@given(histories())
def test_the_fold_leaves_the_snapshot_it_began_with_alone(events: list[JobEvent]) -> None:
    empty = BatchSnapshot.empty(JOB_IDS)

    empty.after(events)

    assert empty == BatchSnapshot.empty(JOB_IDS)


def test_an_illegal_transition_is_an_error_with_strict_only() -> None:
    events = [JobEvent(1, 0, 1, R), JobEvent(2, 0, 1, F)]

    with pytest.raises(AssertionError, match="job 1: Ready cannot become Failed"):
        BatchSnapshot.empty([1]).after(events, strict=True)
    assert BatchSnapshot.empty([1]).after(events).jobs[0].state is F


def history(*steps: tuple[JobState, dict[str, object]]) -> JobView:
    view = JobView(1)
    for seq, (state, facts) in enumerate(steps, 1):
        view = view.after(JobEvent(seq, 1000 * seq, 1, state, **facts))  # type: ignore[arg-type]  # facts of any kind
    return view


def test_a_view_knows_times_slot_exit_code_and_usage_of_a_job_that_ended() -> None:
    usage = Usage(4096, 0.25)

    view = history((R, {}), (X, {"attempt": 1, "phase": "main", "slot": 2, "pid": 99}), (F, {"attempt": 1, "exit_code": 3, "usage": usage}))

    assert view == JobView(1, F, 1, "", 2, 99, ready_ms=1000, started_ms=2000, ended_ms=3000, exit_code=3, usage=usage, main_ms=2000)
    assert view.duration_s == 1.0


def test_a_view_knows_when_each_phase_of_the_last_attempt_began() -> None:
    first = (X, {"attempt": 1, "phase": "input"}), (X, {"attempt": 1, "phase": "main"}), (X, {"attempt": 1, "phase": "output"})

    ended = history(*first, (JobState.SUCCESS, {"attempt": 1}))
    again = history(*first, (X, {"attempt": 2, "phase": "input"}))

    assert (ended.started_ms, ended.main_ms, ended.output_ms, ended.ended_ms) == (1000, 2000, 3000, 4000)
    assert (again.started_ms, again.main_ms, again.output_ms) == (4000, None, None)


def test_a_new_phase_of_an_attempt_keeps_its_start_and_its_pid() -> None:
    view = history((R, {}), (X, {"attempt": 1, "phase": "main", "pid": 99}), (X, {"attempt": 1, "phase": "output"}))

    assert (view.phase, view.pid, view.started_ms, view.duration_s) == ("output", 99, 2000, None)


def test_a_second_attempt_starts_its_own_clock_and_keeps_the_cost() -> None:
    lost = JobView(1, X, 1, started_ms=5, cost_usd=0.5)

    view = (
        lost.after(JobEvent(7, 8000, 1, R, reason="lost")).after(JobEvent(8, 9000, 1, X, attempt=2)).after(JobEvent(9, 9500, 1, OK, attempt=2, cost_usd=0.25))
    )

    assert (view.attempt, view.started_ms, view.duration_s, view.cost_usd) == (2, 9000, 0.5, 0.75)


def test_every_attempt_is_kept_with_how_it_ended() -> None:
    usage, granted = Usage(1 << 20, 0.5), Granted(1000, 2 << 30, ("3",))
    view = history(
        (R, {}),
        (X, {"attempt": 1, "phase": "main"}),
        (R, {"attempt": 1, "exit_code": 3, "usage": usage, "next_ms": 13_000}),
        (X, {"attempt": 2, "phase": "main", "granted": granted}),
        (X, {"attempt": 2, "phase": "output"}),
        (F, {"attempt": 2, "exit_code": 4}),
    )

    assert view.attempts == (
        AttemptView(1, 2000, 3000, 3, "", usage, main_ms=2000),
        AttemptView(2, 4000, 6000, 4, "", None, granted, 4000, 5000),
    )


def test_a_job_that_waits_for_its_next_attempt_says_so() -> None:
    failed = {"attempt": 1, "exit_code": 3, "next_ms": 13_000}

    assert history((R, {}), (X, {"attempt": 1}), (R, failed)).reason == "exit code 3; tried again after 10 s"
    assert history((R, {}), (X, {"attempt": 1}), (R, {**failed, "reason": "timed out", "next_ms": 3000})).reason == "timed out; tried again"


def test_a_running_job_that_is_cancelled_has_one_attempt_and_its_times() -> None:
    usage, granted = Usage(1 << 20, 0.5), Granted(1000, 2 << 30, ("3",))
    ended = {"attempt": 1, "reason": "cancelled", "usage": usage}
    view = history((R, {}), (X, {"attempt": 1, "phase": "main", "slot": 2, "granted": granted}), (R, ended), (K, {"attempt": 1, "reason": "cancelled"}))

    assert view.attempts == (AttemptView(1, 2000, 3000, None, "cancelled", usage, granted, 2000, slot=2),)
    assert (view.state, view.started_ms, view.ended_ms, view.duration_s) == (K, 2000, 3000, 1.0)
    assert (view.slot, view.main_ms, view.usage, view.granted, view.reason) == (2, 2000, usage, granted, "cancelled")


def test_a_job_that_is_cancelled_before_its_next_attempt_has_the_times_of_the_last_one() -> None:
    failed = {"attempt": 1, "exit_code": 3, "next_ms": 90_000}
    view = history((R, {}), (X, {"attempt": 1}), (R, failed), (K, {"attempt": 1, "reason": "cancelled"}))

    assert (view.started_ms, view.ended_ms, view.exit_code) == (2000, 3000, None)
    assert view.attempts == (AttemptView(1, 2000, 3000, 3),)


def test_a_job_that_never_ran_has_no_times_when_it_is_cancelled() -> None:
    view = history((R, {}), (K, {"reason": "cancelled"}))

    assert (view.started_ms, view.duration_s, view.attempts) == (None, None, ())


def test_the_cancel_of_a_group_is_none_of_the_run() -> None:
    snapshot = BatchSnapshot.empty([1]).after([JobEvent(1, 20, 0, phase="cancel", reason="its limit", group=2)])

    assert (snapshot.cancelled, snapshot.cancelled_groups, snapshot.note) == (False, {2}, "")


def test_what_was_granted_survives_json() -> None:
    event = JobEvent(1, 20, 1, X, 1, granted=Granted(500, 0, ("0", "1")))

    assert event_from_json(json.loads(json.dumps(event_to_json(event)))) == event


def test_a_job_that_never_started_has_no_duration() -> None:
    assert history((R, {}), (K, {"reason": "cancelled"})).duration_s is None


def test_a_snapshot_counts_states_and_rolls_them_up() -> None:
    snapshot = BatchSnapshot.empty(JOB_IDS).after([JobEvent(1, 0, 1, R), JobEvent(2, 0, 1, X), JobEvent(3, 0, 1, OK, cost_usd=0.5)])

    assert snapshot.counts() == {OK: 1, P: 2}
    assert not snapshot.complete
    assert snapshot.state is BatchState.RUNNING
    assert snapshot.cost_usd == 0.5


def test_events_of_the_run_set_start_end_note_and_cancellation() -> None:
    events = [
        JobEvent(1, 10, 0, phase="start", reason="2 of 3 jobs taken over"),
        JobEvent(2, 20, 0, phase="cancel", reason="by hand"),
        JobEvent(3, 30, 0, phase="end"),
    ]

    snapshot = BatchSnapshot.empty([]).after(events)

    assert snapshot == BatchSnapshot((), 3, True, 10, 30, "by hand")
    assert snapshot.state is BatchState.CANCELLED


def test_a_run_that_goes_on_again_has_not_ended() -> None:
    events = [JobEvent(1, 10, 0, phase="start"), JobEvent(2, 20, 0, phase="end"), JobEvent(3, 30, 0, phase="start")]

    snapshot = BatchSnapshot.empty([]).after(events)

    assert (snapshot.started_ms, snapshot.ended_ms) == (10, None)


def test_job_numbers_may_begin_anywhere() -> None:
    snapshot = BatchSnapshot.empty([41, 42]).after([JobEvent(1, 0, 42, R)])

    assert [view.state for view in snapshot.jobs] == [P, R]

from __future__ import annotations

from itertools import product

import pytest

from hail_batch_jupyter.core.answers import counters, exit_code_of, has_news, job_events, milliseconds, reason_of
from hail_batch_jupyter.core.events import BatchSnapshot, Granted, JobEvent, JobView, Usage
from hail_batch_jupyter.core.state import JobState

NOW_MS = 1_772_600_770_000


def entry(state: JobState, **values: object) -> dict[str, object]:
    return {"job_id": 1, "state": state.value, "exit_code": None, "end_time": None, "duration": None, "cost": 0.0, **values}


def view_in(state: JobState) -> BatchSnapshot:
    """A snapshot of one job in a state that it came to step by step."""
    ways = {
        JobState.PENDING: [],
        JobState.READY: [JobState.READY],
        JobState.CREATING: [JobState.READY, JobState.CREATING],
        JobState.CANCELLED: [JobState.READY, JobState.CANCELLED],
        JobState.RUNNING: [JobState.READY, JobState.RUNNING],
    }
    steps = ways.get(state, [JobState.READY, JobState.RUNNING, state])
    return BatchSnapshot.empty([1]).after([JobEvent(n, NOW_MS - 9000, 1, step, 1) for n, step in enumerate(steps, 1)], strict=True)


@pytest.mark.parametrize(("before", "after", "ran"), list(product(JobState, JobState, [False, True])))
def test_between_any_two_looks_only_legal_steps_are_put_in(before: JobState, after: JobState, ran: bool) -> None:
    known = view_in(before)

    found = job_events(known.jobs[0], entry(after, duration=1500 if ran else None), NOW_MS)

    made = known.after([event._replace(seq=known.seq + n) for n, event in enumerate(found, 1)], strict=True)
    expected = before if before.complete or after is JobState.PENDING else after
    assert made.jobs[0].state is expected


def test_times_exit_code_cost_and_reason_are_those_of_the_service() -> None:
    data = entry(JobState.FAILED, exit_code=3, end_time="2026-03-04T05:06:07.089Z", duration=1500, cost=0.5)
    view = JobView(1)

    events = job_events(view, data, NOW_MS, "out of memory")
    made = BatchSnapshot.empty([1]).after([event._replace(seq=n) for n, event in enumerate(events, 1)]).jobs[0]

    assert (made.started_ms, made.ended_ms, made.duration_s) == (1772600765589, 1772600767089, 1.5)
    assert (made.exit_code, made.cost_usd, made.reason, made.attempt) == (3, 0.5, "out of memory", 1)


def test_a_job_that_lost_its_worker_has_another_attempt() -> None:
    known = view_in(JobState.RUNNING)

    back = job_events(known.jobs[0], entry(JobState.READY), NOW_MS)
    again = known.after([event._replace(seq=known.seq + 1) for event in back])
    running = job_events(again.jobs[0], entry(JobState.RUNNING), NOW_MS)

    assert [(event.state, event.attempt) for event in running] == [(JobState.RUNNING, 2)]


def attempt(number: int, *, ends: bool = True, **values: object) -> dict[str, object]:
    begun = NOW_MS - 9000 + 1000 * number
    times = {"start_time_ms": begun, "end_time_ms": begun + 500 if ends else None}
    used = {"max_rss_bytes": 5 << 20, "cpu_s": 0.25} if ends else {"max_rss_bytes": None, "cpu_s": None}
    return {"number": number, **times, "exit_code": 3 if ends else None, "reason": "", "cores_mcpu": 500, "memory_bytes": None, **used, **values}


@pytest.mark.parametrize(
    ("before", "after", "n", "ends"),
    [(*states, n, ends) for *states, n, ends in product(JobState, JobState, (1, 2, 3), (False, True)) if JobState.PENDING not in states[1:]],
)
def test_attempts_that_a_service_tells_of_come_in_legal_steps_and_all_of_them(before: JobState, after: JobState, n: int, ends: bool) -> None:
    known = view_in(before)
    told = [*[attempt(number) for number in range(1, n)], attempt(n, ends=ends or after.complete)]

    found = job_events(known.jobs[0], entry(after, attempts=told), NOW_MS)

    made = known.after([event._replace(seq=known.seq + n) for n, event in enumerate(found, 1)], strict=True).jobs[0]
    if before.complete:
        assert found == []
        return
    assert [each.number for each in made.attempts] == list(range(1, n + 1))
    assert made.state is after
    assert all(each.usage == Usage(5 << 20, 0.25) for each in made.attempts[:-1])


def test_an_attempt_that_follows_unseen_is_news_and_each_has_its_times_and_its_use() -> None:
    known = view_in(JobState.RUNNING)
    assert not has_news(known.jobs[0], entry(JobState.RUNNING, attempts=[attempt(1, ends=False)]))
    again = entry(JobState.RUNNING, attempts=[attempt(1, reason="lost"), attempt(2, ends=False)])
    assert has_news(known.jobs[0], again)

    known = known.after([event._replace(seq=known.seq + n) for n, event in enumerate(job_events(known.jobs[0], again, NOW_MS), 1)], strict=True)
    last = entry(JobState.SUCCESS, exit_code=0, cost=0.5, attempts=[attempt(1), attempt(2, exit_code=0, max_rss_bytes=7 << 20)])
    known = known.after([event._replace(seq=known.seq + n) for n, event in enumerate(job_events(known.jobs[0], last, NOW_MS), 1)], strict=True)

    first, second = known.jobs[0].attempts
    assert (first.number, first.exit_code, first.reason, first.usage) == (1, 3, "lost", Usage(5 << 20, 0.25))
    assert (second.started_ms, second.ended_ms, second.usage) == (NOW_MS - 7000, NOW_MS - 6500, Usage(7 << 20, 0.25))
    assert (second.granted, known.jobs[0].cost_usd, known.jobs[0].exit_code) == (Granted(500, 0), 0.5, 0)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (None, ""),
        ({"container_statuses": {"main": {"short_error": "timed out", "error": "Traceback\nX"}}}, "timed out"),
        ({"container_statuses": {"input": {"error": "Traceback …\nFileNotFoundError: gs://b/x\n"}, "main": None}}, "FileNotFoundError: gs://b/x"),
        ({"error": "job has too many prior attempts", "container_statuses": {"main": None}}, "job has too many prior attempts"),
        ({"container_statuses": {"main": {"container_status": {"exit_code": 3}}}}, ""),
    ],
)
def test_the_reason_of_an_end_is_short(status: object, reason: str) -> None:
    assert reason_of({"status": status}) == reason


@pytest.mark.parametrize(
    ("text", "expected"), [(None, None), ("1970-01-01T00:00:01.002Z", 1002), ("1970-01-01T00:00:01Z", 1000), ("2026-03-04T05:06:07.5Z", 1772600767500)]
)
def test_times_are_milliseconds(text: str | None, expected: int | None) -> None:
    assert milliseconds(text) == expected


def test_counters_are_those_that_move() -> None:
    assert counters({"n_jobs": 3, "n_completed": 1, "state": "running", "complete": False, "cost": 1.0}) == (3, 1, "running", False)


def ended(code: int) -> dict[str, object]:
    return {"container_status": {"exit_code": code}}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (None, None),
        ({"container_statuses": {}}, None),
        ({"container_statuses": {"input": ended(0), "main": ended(0)}}, 0),
        ({"container_statuses": {"input": ended(0), "main": ended(3), "output": ended(4)}}, 3),
        ({"container_statuses": {"main": {"error": "ContainerTimeoutError"}}}, None),
        ({"container_statuses": {"input": ended(0), "main": None}}, None),
        ({"error": "gone", "container_statuses": {"main": ended(0)}}, None),
    ],
)
def test_the_exit_code_is_the_first_that_is_not_zero(status: object, code: int | None) -> None:
    assert exit_code_of({"status": status}) == code

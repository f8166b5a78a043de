"""What a run has cost so far: each attempt, the phases that are charged, and what the rest will probably cost."""

from __future__ import annotations

from fractions import Fraction

import pytest

from hail_batch_jupyter.core.events import BatchSnapshot, Granted, JobEvent
from hail_batch_jupyter.core.spec import BatchSpec, Budget, JobSpec, Request, from_json, to_json
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.cost.account import Account
from hail_batch_jupyter.cost.card import card_data, load_card
from hail_batch_jupyter.cost.meter import Meter
from hail_batch_jupyter.cost.money import NOTHING
from hail_batch_jupyter.cost.report import cost_text

HOUR_MS = 3_600_000
RATE = load_card("core-hours:1")
READY, RUNNING, SUCCESS, FAILED, CANCELLED = JobState.READY, JobState.RUNNING, JobState.SUCCESS, JobState.FAILED, JobState.CANCELLED
ANY = Request()


def batch(*requests: Request, card: str = "core-hours:1", budget: Budget | None = None, timeout_s: float | None = None) -> BatchSpec:
    jobs = [
        JobSpec(number, f"k{number}", f"fit-{number}", "bash", ("true",), f"d{number}", request=request, timeout_s=timeout_s)
        for number, request in enumerate(requests, 1)
    ]
    return BatchSpec("test", tuple(jobs), card=card_data(load_card(card)), budget=budget)


def happened(*facts: tuple[float, int, JobState, str]) -> list[JobEvent]:
    """Events of (hour, job, state, phase)."""
    return [JobEvent(seq, int(hour * HOUR_MS), job_id, state, 1, phase) for seq, (hour, job_id, state, phase) in enumerate(facts, 1)]


def account_of(spec: BatchSpec, events: list[JobEvent]) -> Account:
    account = Account(spec, "local")
    account.update(BatchSnapshot.empty([job.job_id for job in spec.jobs]).after(events))
    return account


def test_every_attempt_is_charged_until_it_ended() -> None:
    spec = batch(ANY)
    events = happened((0, 1, READY, ""), (1, 1, RUNNING, "main"), (3, 1, READY, ""), (5, 1, RUNNING, "main"), (10, 1, FAILED, ""))
    events = [event._replace(attempt=2) if event.seq > 3 else event for event in events]

    cost = account_of(spec, events).cost(20 * HOUR_MS)

    assert (cost.whole.finished.total, cost.whole.so_far.total, cost.whole.core_hours) == (7, 7, 7)


def test_an_attempt_on_a_machine_that_stays_costs_what_that_costs() -> None:
    spec = batch(Request(cpu_mcpu=1000, memory_bytes=1 << 30, spot=True), card="hail")
    events = happened((0, 1, READY, ""), (1, 1, RUNNING, "main"), (2, 1, READY, ""), (2, 1, RUNNING, "main"), (3, 1, SUCCESS, ""))
    events = [event._replace(attempt=2, granted=Granted(1000, 1 << 30, spot=False)) if event.seq > 3 else event for event in events]
    meter = Meter(spec)

    first, second = (event.cost_usd for event in map(meter.priced, events) if event.cost_usd)

    staying = Meter(batch(Request(cpu_mcpu=1000, memory_bytes=1 << 30, spot=False), card="hail"))
    assert first < second
    assert second in [staying.priced(event._replace(granted=None)).cost_usd for event in events[3:]]
    assert account_of(spec, events).cost(4 * HOUR_MS).whole.finished.total == pytest.approx(first + second)


def test_running_attempts_count_until_now_and_only_in_what_is_so_far() -> None:
    spec = batch(ANY, Request(cpu_mcpu=2000))
    events = happened((0, 1, READY, ""), (0, 2, READY, ""), (0, 1, RUNNING, "main"), (0, 2, RUNNING, "main"), (4, 1, SUCCESS, ""))

    cost = account_of(spec, events).cost(5 * HOUR_MS)

    assert (cost.whole.finished.total, cost.whole.so_far.total) == (4, 4 + 10)
    assert cost.stages[0].cores == 2


def test_the_rest_is_told_by_jobs_of_the_same_stage_then_by_the_budget_then_by_the_timeout() -> None:
    one_done = happened((0, 1, READY, ""), (0, 1, RUNNING, "main"), (6, 1, SUCCESS, ""), (6, 2, READY, ""), (6, 2, RUNNING, "main"))

    assert account_of(batch(ANY, ANY, ANY), one_done).cost(8 * HOUR_MS).whole.rest.total == 4 + 6
    assert account_of(batch(ANY, budget=Budget(9, (HOUR_MS,)), timeout_s=7200), []).cost(0).whole.unknown == 0
    nothing = [JobEvent(1, 0, 0, phase="start")]
    assert account_of(batch(ANY, budget=Budget(9, (HOUR_MS,)), timeout_s=7200), nothing).cost(0).whole.rest.total == 1
    assert account_of(batch(ANY, timeout_s=7200), nothing).cost(0).whole.rest.total == 2
    unknown = account_of(batch(ANY, ANY), nothing).cost(0)
    assert (unknown.whole.rest.total, unknown.whole.unknown) == (0, 2)


def test_the_copies_around_a_job_are_charged_by_the_card_that_says_so() -> None:
    events = happened((0, 1, READY, ""), (1, 1, RUNNING, "input"), (2, 1, RUNNING, "main"), (4, 1, RUNNING, "output"), (8, 1, SUCCESS, ""))

    by_attempt = account_of(batch(ANY, card="hail"), events).cost(9 * HOUR_MS)
    main_only = account_of(batch(ANY, card="hail-classic"), events).cost(9 * HOUR_MS)

    assert by_attempt.whole.core_hours == 7
    assert main_only.whole.core_hours == 2


def test_an_attempt_that_was_given_more_memory_is_charged_for_that() -> None:
    spec = batch(Request(1000, 3 << 30), card="hail-classic")
    events = happened((0, 1, READY, ""), (0, 1, RUNNING, "main"), (1, 1, FAILED, ""))
    more = [event._replace(granted=Granted(1000, 6 << 30)) if event.state is RUNNING else event for event in events]

    assert account_of(spec, events).cost(0).whole.core_hours == 1
    assert account_of(spec, more).cost(0).whole.core_hours == 2


def test_what_no_worker_has_is_counted_as_not_priced() -> None:
    spec = batch(Request(gpus=1), ANY, card="hail")

    cost = account_of(spec, happened((0, 1, READY, ""), (0, 1, RUNNING, "main"))).cost(HOUR_MS)

    assert (cost.whole.so_far, cost.whole.unpriced, cost.whole.unknown) == (NOTHING, 1, 1)


def test_following_snapshots_one_by_one_gives_what_looking_once_gives() -> None:
    spec = batch(ANY, ANY, Request(cpu_mcpu=3000), card="hail")
    events = happened(
        (0, 1, READY, ""), (0, 2, READY, ""), (0, 3, READY, ""), (0, 1, RUNNING, "main"), (1, 3, RUNNING, "main"), (2, 1, READY, ""),
        (2, 1, RUNNING, "main"), (3, 3, SUCCESS, ""), (4, 1, SUCCESS, ""), (4, 2, CANCELLED, ""),
    )  # fmt: skip
    step_by_step, snapshot = Account(spec, "local"), BatchSnapshot.empty([1, 2, 3])
    for event in events:
        snapshot = snapshot.after([event])
        step_by_step.update(snapshot)

    assert step_by_step.cost(5 * HOUR_MS) == account_of(spec, events).cost(5 * HOUR_MS)
    jobs = step_by_step.jobs(5 * HOUR_MS)
    assert sum([job.so_far.total for job in jobs], Fraction(0)) == step_by_step.cost(5 * HOUR_MS).whole.so_far.total
    assert [job.cores for job in jobs] == [1, 1, 4]


def test_the_meter_puts_the_price_of_an_attempt_into_the_event_of_its_end() -> None:
    meter = Meter(batch(ANY))
    events = happened((0, 1, READY, ""), (1, 1, RUNNING, "main"), (3, 1, READY, ""), (5, 1, RUNNING, "main"), (10, 1, SUCCESS, ""))

    priced = [meter.priced(event) for event in events]

    assert [event.cost_usd for event in priced] == [0, 0, 2, 0, 5]
    assert meter.spent == 7
    assert BatchSnapshot.empty([1]).after(priced).cost_usd == 7
    assert meter.running == set()


def test_the_meter_says_what_a_running_attempt_costs_and_will_probably_cost() -> None:
    meter = Meter(batch(ANY))
    for event in happened((0, 1, READY, ""), (1, 1, RUNNING, "main")):
        meter.priced(event)

    assert meter.usd(1, 3 * HOUR_MS) == 2
    assert meter.usd(1, 3 * HOUR_MS, expected_ms=9 * HOUR_MS) == 9
    assert meter.usd(1, 3 * HOUR_MS, expected_ms=HOUR_MS) == 2


def test_card_and_budget_survive_json() -> None:
    spec = batch(ANY, budget=Budget(2.5, (1, 0)))

    assert from_json(to_json(spec)) == spec


@pytest.mark.parametrize(
    ("card", "complete", "text"),
    [
        ("core-hours:1", False, "$2.00 so far, about $1.00 more · core-hours:1 (rate as set)"),
        ("core-hours:1", True, "$2.00 · core-hours:1 (rate as set)"),
        ("core-hours", True, "2.000 core-hours · core-hours (no rate set)"),
    ],
)
def test_a_line_says_what_is_spent_and_by_which_card(card: str, complete: bool, text: str) -> None:
    spec = batch(ANY, card=card, timeout_s=3 * 3600)
    account = account_of(spec, happened((0, 1, READY, ""), (0, 1, RUNNING, "main")))

    assert cost_text(account.cost(2 * HOUR_MS), complete=complete) == text

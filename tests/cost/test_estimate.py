"""Estimates: which duration counts for a job, what is said of it, and that the sums are exact."""

from __future__ import annotations

from fractions import Fraction

import pytest

from hail_batch_jupyter.core.spec import Edge, JobSpec, Request
from hail_batch_jupyter.cost.card import load_card
from hail_batch_jupyter.cost.estimate import estimate
from hail_batch_jupyter.cost.history import REFUSED, SAME_NAME, SAME_STAGE, TAKEN_OVER, TIMEOUT, UNKNOWN, History, seen_by
from hail_batch_jupyter.cost.money import amount_text
from hail_batch_jupyter.cost.report import estimate_line, estimate_text, hours_text

CLASSIC = load_card("hail-classic")
HOUR_MS = 3_600_000
ANY = Request()


def job(job_id: int, name: str, *parents: int, key: str = "", timeout_s: float | None = None, request: Request = ANY) -> JobSpec:
    edges = tuple(Edge(parent) for parent in parents)
    return JobSpec(job_id, key or name, name, "bash", ("true",), name, parents=edges, timeout_s=timeout_s, request=request)


HISTORY = History(seen_by([("fit-1", 3 * HOUR_MS), ("fit-1", HOUR_MS), ("fit-1", 2 * HOUR_MS)]), seen_by([("fit", HOUR_MS)]), ("run-1",))


def test_the_same_job_counts_before_its_stage_and_that_before_the_timeout() -> None:
    jobs = [job(1, "fit-1", timeout_s=9e9), job(2, "fit-2"), job(3, "sort", timeout_s=3600), job(4, "plot")]

    found = estimate(jobs, CLASSIC, HISTORY)

    assert [one.basis for one in found.jobs] == [SAME_NAME, SAME_STAGE, TIMEOUT, UNKNOWN]
    assert [(one.low_ms // HOUR_MS, one.expected_ms // HOUR_MS, one.high_ms // HOUR_MS) for one in found.jobs] == [(1, 2, 3), (1, 1, 1), (0, 1, 1), (0, 0, 0)]
    assert found.unknown == 1
    assert found.runs == ("run-1",)


def test_the_sums_are_those_of_the_jobs_by_stage_and_by_job() -> None:
    jobs = [job(1, "fit-1"), job(2, "fit-2", request=Request(cpu_mcpu=2000)), job(3, "sort", timeout_s=3600)]

    found = estimate(jobs, CLASSIC, HISTORY)

    assert [stage.stage for stage in found.stages] == ["fit", "sort"]
    assert found.cost.expected.total == sum((found.of_job(number).expected.total for number in (1, 2, 3)), Fraction(0))
    assert amount_text(found.cost.expected.total) == amount_text(5 * CLASSIC.hourly(CLASSIC.grant(Request())).total)
    assert found.core_hours == (3, 5, 6)
    assert (found.low_usd, found.high_usd) == (float(found.cost.low.total), float(found.cost.high.total))
    with pytest.raises(KeyError):
        found.of_job(9)


def test_a_timeout_bounds_what_earlier_runs_took() -> None:
    (one,) = estimate([job(1, "fit-1", timeout_s=5400)], CLASSIC, HISTORY).jobs

    assert (one.low_ms, one.expected_ms, one.high_ms) == (HOUR_MS, 5_400_000, 5_400_000)


def test_what_is_taken_over_costs_nothing_unless_a_parent_runs_again() -> None:
    history = HISTORY._replace(done=frozenset(["fit-1", "sort"]))
    jobs = [job(1, "fit-1"), job(2, "new"), job(3, "sort", 2, timeout_s=3600)]

    found = estimate(jobs, CLASSIC, history)

    assert [one.basis for one in found.jobs] == [TAKEN_OVER, UNKNOWN, TIMEOUT]
    assert (found.jobs[0].expected_ms, found.jobs[0].high_ms) == (0, 3 * HOUR_MS)


def test_jobs_that_no_worker_has_are_not_counted_and_named_by_the_reason() -> None:
    found = estimate([job(1, "fit-1", request=Request(gpus=2)), job(2, "fit-1")], CLASSIC, HISTORY)

    assert [one.basis for one in found.jobs] == [REFUSED, SAME_NAME]
    assert found.unknown == 1
    assert "not counted: 1 job: rate card 'hail-classic' has no workers with GPUs" in estimate_line(found)


def test_the_line_says_card_date_and_what_is_known() -> None:
    found = estimate([job(1, "fit-1"), job(2, "plot")], load_card("hail"), HISTORY)

    assert estimate_line(found) == (
        "$0.0537 expected, $0.0268 to $0.0805, by rate card hail (2026-08-21); "
        "1 job from earlier runs of the same job; not counted: 1 job of which nothing is known"
    )
    assert "expected: compute $0.0133, memory $0.006690, disk $0.003371, network fee $0.000312, service fee $0.0300" in estimate_text(found)


def test_without_prices_core_hours_are_told_instead() -> None:
    found = estimate([job(1, "fit-1", request=Request(cpu_mcpu=2000))], load_card("this-machine"), HISTORY)

    assert estimate_line(found).startswith("4.000 core-hours expected, 2.000 to 6.000, by rate card this-machine")
    assert "$" not in estimate_text(found)


def test_an_estimate_of_nothing_says_so() -> None:
    assert estimate_text(estimate([], CLASSIC)) == "0 jobs: nothing, by rate card hail-classic (undated); no jobs"


@pytest.mark.parametrize(
    ("hours", "text"), [("0", "0 core-hours"), ("0.0001", "under 0.001 core-hours"), ("0.25", "0.250 core-hours"), ("12.34", "12.3 core-hours")]
)
def test_core_hours_are_written_as_people_read_them(hours: str, text: str) -> None:
    assert hours_text(Fraction(hours)) == text

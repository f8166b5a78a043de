"""Estimates in words."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from hail_batch_jupyter.cost.history import REFUSED, SAME_NAME, SAME_STAGE, TAKEN_OVER, TIMEOUT, UNKNOWN
from hail_batch_jupyter.cost.money import PART_TITLES, Breakdown, decimal_text, dollars

if TYPE_CHECKING:
    from hail_batch_jupyter.cost.account import RunCost
    from hail_batch_jupyter.cost.estimate import Estimate, StageForecast
    from hail_batch_jupyter.cost.rates import Card

_BASIS_WORDS = {
    TAKEN_OVER: "taken over from an earlier run",
    SAME_NAME: "from earlier runs of the same job",
    SAME_STAGE: "from earlier jobs of the same stage",
    TIMEOUT: "at most, from the timeout",
    UNKNOWN: "nothing is known",
    REFUSED: "no worker of the card has it",
}
_SHOWN = 30


def hours_text(core_hours: Fraction | float) -> str:
    """'0.004 core-hours', '12.5 core-hours'."""
    return f"{_hours(Fraction(core_hours))} core-hours"


def _hours(core_hours: Fraction) -> str:
    if not core_hours:
        return "0"
    if core_hours < Fraction(1, 1000):
        return "under 0.001"
    return decimal_text(core_hours, 1 if core_hours >= 10 else 3)


def parts_text(amount: Breakdown) -> str:
    """'compute $0.01, disk $0.001454, network fee $0.00025, service fee $0.01'; parts without a price are left out."""
    return ", ".join([f"{PART_TITLES[name]} {dollars(part)}" for name, part in amount._asdict().items() if part])


def cost_text(cost: RunCost, *, complete: bool) -> str:
    """'$0.0123 so far, about $0.05 more · hail (2026-08-21)'; where nothing is charged core-hours."""
    whole = cost.whole
    if cost.free:
        return f"{hours_text(whole.core_hours)} · {cost.priced_by}"
    if complete:
        return f"{dollars(whole.so_far.total)} · {cost.priced_by}"
    more = f", about {dollars(whole.rest.total)} more" if whole.rest.total else ""
    missing = f" and {_jobs(whole.unknown)} unknown" if whole.unknown else ""
    return f"{dollars(whole.so_far.total)} so far{more}{missing} · {cost.priced_by}"


def card_text(card: Card) -> str:
    """'rate card hail (2026-08-21)'."""
    return f"rate card {card.label}"


def estimate_line(estimate: Estimate) -> str:
    """One line: what is expected, between what, by which card, what that is from, and where jobs run."""
    counted = len(estimate.jobs) - estimate.unknown
    if not counted:
        head = "not known yet" if estimate.jobs else "nothing"
    elif estimate.card.free:
        low, expected, high = map(_hours, estimate.core_hours)
        head = f"{expected} core-hours expected{_between(low, high)}"
    else:
        low, expected, high = [dollars(amount.total) for amount in estimate.cost]
        head = f"{expected} expected{_between(low, high)}"
    place = f"; they run {estimate.where}" if estimate.where else ""
    return f"{head}, by {card_text(estimate.card)}; {basis_text(estimate)}{place}"


def _between(low: str, high: str) -> str:
    """Nothing where both read alike."""
    return "" if low == high else f", {low} to {high}"


def basis_text(estimate: Estimate) -> str:
    """'2 jobs taken over from an earlier run, 3 jobs at most, from the timeout; not counted: 1 job, nothing is known'."""
    said = [f"{_jobs(estimate.bases[basis])} {_BASIS_WORDS[basis]}" for basis in (TAKEN_OVER, SAME_NAME, SAME_STAGE, TIMEOUT) if estimate.bases[basis]]
    missing = [f"{_jobs(estimate.bases[basis])} of which {_BASIS_WORDS[basis]}" for basis in (UNKNOWN,) if estimate.bases[basis]]
    missing += [f"{_jobs(count)}: {reason}" for reason, count in estimate.refused.items()]
    return "; ".join([part for part in (", ".join(said), f"not counted: {', '.join(missing)}" if missing else "") if part]) or "no jobs"


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def stage_heads(estimate: Estimate) -> list[str]:
    """What `stage_cells` gives; where nothing is charged in core-hours."""
    return ["stage", "jobs", "cores", "core-hours" if estimate.card.free else "expected", "low", "high", "duration"]


def stage_cells(estimate: Estimate, stage: StageForecast) -> list[str]:
    """The row of a stage under `stage_heads`."""
    if estimate.card.free:
        low, expected, high = map(_hours, stage.core_hours)
    else:
        low, expected, high = [dollars(amount.total) for amount in stage.cost]
    known = stage.jobs - stage.bases[UNKNOWN] - stage.bases[REFUSED]
    if not known:
        low = expected = high = "?"
    from_what = ", ".join([_BASIS_WORDS[basis] for basis in _BASIS_WORDS if stage.bases[basis]])
    return [stage.stage, str(stage.jobs), f"{float(stage.cores):g}", expected, low, high, from_what]


def estimate_text(estimate: Estimate) -> str:
    """All of it as text: the line, the parts, the stages."""
    lines = [f"{_jobs(len(estimate.jobs))}: {estimate_line(estimate)}"]
    parts = parts_text(estimate.cost.expected)
    if parts:
        lines.append(f"expected: {parts}")
    rows = [stage_heads(estimate), *[stage_cells(estimate, stage) for stage in estimate.stages[:_SHOWN]]]
    widths = [max([len(row[column]) for row in rows]) for column in range(len(rows[0]))]
    if len(rows) > 1:
        lines += ["  ".join([cell.ljust(width) for cell, width in zip(row, widths)]).rstrip() for row in rows]
    if len(estimate.stages) > _SHOWN:
        lines.append(f"… and {len(estimate.stages) - _SHOWN} more stages")
    return "\n".join(lines)

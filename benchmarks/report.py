"""The printed tables and the JSON file of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import median

from benchmarks.case import Group, Outcome
from benchmarks.machine import Facts
from benchmarks.targets import Verdict

FORMAT = 1
"""Version of the JSON file; raised when a reader of older files would misread it."""
RATE = "jobs_per_s"
BASELINES = {"bash": "spawn-bash", "chain": "spawn-chain"}
"""Group to the case that its `x loop` column divides by."""
HAILTOP = {"bash": "hailtop", "chain": "hailtop-chain", "python": "hailtop-python"}
"""Group to the case that its `x hailtop` column divides by."""
COUNTS = ("jobs", "cells")
"""Values that say how much a sample held; shown beside the case, not as a figure."""

Row = Sequence[str]


def text_report(groups: Sequence[Group], outcomes: Sequence[Outcome], verdicts: Sequence[Verdict]) -> str:
    """All tables: rates by group with ratios, other figures, targets with their bars."""
    parts = []
    for group in groups:
        members = [outcome for outcome in outcomes if outcome.case.group == group.name]
        if members:
            rows = _rate_rows(members) if _has_rates(members) else _figure_rows(members)
            parts.append(f"{group.title}\n{_table(rows)}")
    parts.append(f"Targets\n{_table(_verdict_rows(verdicts))}")
    return "\n\n".join(parts)


def facts_line(facts: Facts) -> str:
    """The machine in one line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def write_json(path: Path, started: datetime, facts: Facts, outcomes: Sequence[Outcome], verdicts: Sequence[Verdict]) -> None:
    """Everything that was measured: facts, each sample of each case, medians, verdicts; keys carry their units."""
    document = {
        "format": FORMAT,
        "started_utc": started.isoformat(timespec="seconds"),
        "machine": facts,
        "cases": [_case_json(outcome) for outcome in outcomes],
        "targets": [_verdict_json(verdict) for verdict in verdicts],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def _case_json(outcome: Outcome) -> dict[str, object]:
    case = outcome.case
    names = outcome.samples[0] if outcome.samples else {}
    return {
        "name": case.name,
        "tool": case.tool,
        "group": case.group,
        "timed": case.note,
        "problem": outcome.problem,
        "medians": {name: median(_column(outcome, name)) for name in names},
        "samples": outcome.samples,
    }


def _verdict_json(verdict: Verdict) -> dict[str, object]:
    target = verdict.target
    return {
        "name": target.name,
        "unit": target.unit,
        "at_least": target.at_least,
        "bar": verdict.bar,
        "measured": verdict.measured,
        "verdict": verdict.word,
        "reason": verdict.reason,
    }


def _column(outcome: Outcome, name: str) -> list[float]:
    return [sample[name] for sample in outcome.samples]


def _has_rates(members: Sequence[Outcome]) -> bool:
    return members[0].case.group in {"bash", "chain", "python"}


def _rate_rows(members: Sequence[Outcome]) -> list[Row]:
    rates = {outcome.case.name: median(_column(outcome, RATE)) for outcome in members if outcome.samples}
    group = members[0].case.group
    loop, hailtop = rates.get(BASELINES.get(group, "")), rates.get(HAILTOP.get(group, ""))
    header = ("tool", "jobs", "n", "jobs/s", "min - max", "ms/job", "x loop", "x hailtop", "timed")
    return [header, *(_rate_row(outcome, loop, hailtop) for outcome in members)]


def _rate_row(outcome: Outcome, loop: float | None, hailtop: float | None) -> Row:
    case = outcome.case
    if not outcome.samples:
        return (case.tool, "", "", "", "", "", "", "", outcome.problem or "not measured")
    values = _column(outcome, RATE)
    rate = median(values)
    return (
        case.tool,
        f"{outcome.samples[0]['jobs']:.0f}",
        str(len(values)),
        _number(rate),
        f"{_number(min(values))} - {_number(max(values))}",
        _number(1000 / rate),
        _ratio(rate, loop),
        _ratio(rate, hailtop),
        _remark(outcome),
    )


def _ratio(rate: float, baseline: float | None) -> str:
    return f"{rate / baseline:.2f}" if baseline else ""


def _figure_rows(members: Sequence[Outcome]) -> list[Row]:
    rows: list[Row] = [("what", "figure", "n", "median", "min - max", "timed")]
    for outcome in members:
        if not outcome.samples:
            rows.append((outcome.case.tool, "", "", "", "", outcome.problem or "not measured"))
        for name in outcome.samples[0] if outcome.samples else ():
            if name not in COUNTS:
                rows.append(_figure_row(outcome, name))
    return rows


def _figure_row(outcome: Outcome, name: str) -> Row:
    values = _column(outcome, name)
    spread = f"{_number(min(values))} - {_number(max(values))}"
    return (outcome.case.tool, name, str(len(values)), _number(median(values)), spread, _remark(outcome))


def _remark(outcome: Outcome) -> str:
    return "; ".join(part for part in (outcome.case.note, outcome.problem) if part)


def _verdict_rows(verdicts: Sequence[Verdict]) -> list[Row]:
    rows: list[Row] = [("target", "bar", "measured", "unit", "verdict")]
    for verdict in verdicts:
        side = "at least" if verdict.target.at_least else "at most"
        bar = "" if verdict.bar is None else f"{side} {_number(verdict.bar)}"
        measured = "" if verdict.measured is None else _number(verdict.measured)
        word = f"{verdict.word}: {verdict.reason}" if verdict.reason else verdict.word
        rows.append((verdict.target.name, bar, measured, verdict.target.unit, word))
    return rows


def _number(value: float) -> str:
    """Three figures or so, without an exponent: 1 234, 56.7, 0.123."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def _table(rows: Sequence[Row]) -> str:
    """Columns as wide as their widest cell, numbers to the right; the first and the last column to the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  " + _line(row, widths) for row in rows]
    rule = "  " + "  ".join("-" * width for width in [*widths[:-1], len(rows[0][-1])])
    return "\n".join([lines[0], rule, *lines[1:]])


def _line(row: Row, widths: Sequence[int]) -> str:
    middle = [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
    return "  ".join([row[0].ljust(widths[0]), *middle, row[-1]]).rstrip()

"""What a run costs as a DataFrame that draws itself; imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from hail_batch_jupyter.core.stems import stage_name
from hail_batch_jupyter.cost.money import PARTS, Breakdown, dollars
from hail_batch_jupyter.cost.report import hours_text
from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.jupyter.tables.costtable import parts_html
from hail_batch_jupyter.jupyter.tables.htmltable import cut, row_html, table_html, table_text
from hail_batch_jupyter.jupyter.tables.jobsframe import Drawn
from hail_batch_jupyter.jupyter.words import STATE_WORDS, plural, state_html

if TYPE_CHECKING:
    from hail_batch_jupyter.cost.account import RunCost
    from hail_batch_jupyter.observe.running import RunningBatch

PART_COLUMNS = tuple([f"{part}_usd" for part in PARTS])
MONEY_COLUMNS = ("finished_usd", "so_far_usd", "rest_usd", *PART_COLUMNS)
STAGE_COLUMNS = ("stage", "jobs", "cores_granted", "core_hours", *MONEY_COLUMNS, "unknown")
JOB_COLUMNS = ("job_id", "name", "stage", "state", "attempts", "cores_granted", "memory_granted_bytes", *MONEY_COLUMNS)
_SHOWN = 60


class CostFrame(Drawn):
    """The table of costs, of stages or of jobs."""

    _metadata = ["cost"]  # noqa: RUF012 - pandas reads it so
    cost: RunCost

    @property
    def _constructor(self) -> Callable[..., CostFrame]:
        return CostFrame

    @property
    def _is_whole(self) -> bool:
        return tuple(self.columns) in (STAGE_COLUMNS, JOB_COLUMNS) and hasattr(self, "cost")

    def _as_html(self) -> str | None:
        return cost_html(self, self.cost) if self._is_whole else None

    def _as_text(self) -> str | None:
        return cost_text(self, self.cost) if self._is_whole else None


def cost_frame(running: RunningBatch, by: str = "stage") -> CostFrame:
    """What a run costs, one row a stage or a job; `attrs['card']` names the rate card and its date. Amounts are dollars.

    stage  stage string · jobs int64 · cores_granted float64, of its largest job · core_hours float64, granted until now ·
           finished_usd float64, of attempts that ended · so_far_usd float64, those that run too · rest_usd float64, probably still to come ·
           compute_usd, memory_usd, disk_usd, network_usd, service_usd float64, the parts of so_far_usd, NaN where a service tells sums only ·
           unknown int64, jobs whose rest is not in rest_usd
    job    job_id int64 · name, stage string · state category, as people read it · attempts int64 · cores_granted float64 ·
           memory_granted_bytes Int64 · the same amounts, where rest_usd is NaN if nothing is known

    Raises BatchException for another `by`.
    """
    if by not in ("stage", "job"):
        raise BatchException(f"cost_frame(by={by!r}): it is 'stage' or 'job'")
    cost = running.costs()
    frame = CostFrame(_stages(cost) if by == "stage" else _jobs(running, cost), columns=list(STAGE_COLUMNS if by == "stage" else JOB_COLUMNS))
    frame.cost = cost
    frame.attrs["card"] = cost.priced_by
    return frame


def _stages(cost: RunCost) -> dict[str, Any]:
    stages = cost.stages
    return {
        "stage": pd.array([stage.stage for stage in stages], dtype="string"),
        "jobs": pd.array([stage.jobs for stage in stages], dtype="int64"),
        "cores_granted": pd.array([float(stage.cores) for stage in stages], dtype="float64"),
        "core_hours": pd.array([float(stage.core_hours) for stage in stages], dtype="float64"),
        **_money(cost, [stage.finished for stage in stages], [stage.so_far for stage in stages], [stage.rest for stage in stages]),
        "unknown": pd.array([stage.unknown + stage.unpriced for stage in stages], dtype="int64"),
    }


def _jobs(running: RunningBatch, cost: RunCost) -> dict[str, Any]:
    rows = list(zip(running.spec.jobs, running.snapshot().jobs, running.job_costs(), strict=True))
    priced = [job_cost for _, _, job_cost in rows]
    return {
        "job_id": pd.array([job.job_id for job, _, _ in rows], dtype="int64"),
        "name": pd.array([job.name or "" for job, _, _ in rows], dtype="string"),
        "stage": pd.array([stage_name(job) for job, _, _ in rows], dtype="string"),
        "state": pd.Categorical([STATE_WORDS[view.state] for _, view, _ in rows], categories=list(dict.fromkeys(STATE_WORDS.values()))),
        "attempts": pd.array([len(view.attempts) for _, view, _ in rows], dtype="int64"),
        "cores_granted": pd.array([float("nan") if one.cores is None else float(one.cores) for one in priced], dtype="float64"),
        "memory_granted_bytes": pd.array([one.memory_bytes for one in priced], dtype="Int64"),
        **_money(cost, [one.finished for one in priced], [one.so_far for one in priced], [one.rest for one in priced]),
    }


def _money(cost: RunCost, finished: Sequence[Breakdown], so_far: Sequence[Breakdown], rest: Sequence[Breakdown | None]) -> dict[str, Any]:
    nan = float("nan")
    parts = {f"{part}_usd": pd.array([float(getattr(amount, part)) if cost.by_part else nan for amount in so_far], dtype="float64") for part in PARTS}
    return {
        "finished_usd": pd.array([float(amount.total) for amount in finished], dtype="float64"),
        "so_far_usd": pd.array([float(amount.total) for amount in so_far], dtype="float64"),
        "rest_usd": pd.array([nan if amount is None else float(amount.total) for amount in rest], dtype="float64"),
        **parts,
    }


def cost_html(frame: pd.DataFrame, cost: RunCost) -> str:
    """The table as HTML: what it cost in all, by part, and the first rows."""
    whole = cost.whole
    parts = {"so far": whole.so_far, "still to come": whole.rest} if _goes_on(cost) else {"in all": whole.so_far}
    head = f"<div>{_sentence(cost, '<b>{}</b>', escape(cost.priced_by))}</div>{'' if cost.free else parts_html(parts)}"
    rows = [row_html(_html_cells(row, cost)) for row in frame.head(_SHOWN).itertuples(index=False)]
    return f"{head}{table_html('', _heads(frame, cost), rows, _more(frame))}"


def cost_text(frame: pd.DataFrame, cost: RunCost) -> str:
    """The same for a terminal, without the parts."""
    rows = [_cells(row, cost) for row in frame.head(_SHOWN).itertuples(index=False)]
    return table_text(_sentence(cost, "{}", cost.priced_by), _heads(frame, cost), rows, [_more(frame)] if _more(frame) else [])


def _heads(frame: pd.DataFrame, cost: RunCost) -> tuple[str, ...]:
    heads = ("stage", "jobs", "cores", "core-hours") if "jobs" in frame.columns else ("job", "name", "state", "attempts", "cores")
    return heads if cost.free else (*heads, "finished", "so far", "still to come")


def _more(frame: pd.DataFrame) -> str:
    noun = "stage" if "jobs" in frame.columns else "job"
    return f"… and {plural(len(frame) - _SHOWN, f'more {noun}')}" if len(frame) > _SHOWN else ""


def _goes_on(cost: RunCost) -> bool:
    whole = cost.whole
    return bool(whole.so_far != whole.finished or whole.rest.total or whole.unknown or whole.unpriced)


def _sentence(cost: RunCost, strong: str, card: str) -> str:
    whole = cost.whole
    if cost.free:
        return f"{strong.format(hours_text(whole.core_hours))}; priced by {card}"
    if not _goes_on(cost):
        return f"{strong.format(dollars(whole.so_far.total))}; priced by {card}"
    missing = f"; of {plural(whole.unknown + whole.unpriced, 'job')} nothing is known" if whole.unknown + whole.unpriced else ""
    rest = f"{dollars(whole.finished.total)} by what has ended, about {dollars(whole.rest.total)} still to come{missing}"
    return f"{strong.format(dollars(whole.so_far.total))} so far, {rest}; priced by {card}"


def _html_cells(row: Any, cost: RunCost) -> list[str]:  # a named tuple that pandas makes
    cells = [escape(cell) for cell in _cells(row, cost)]
    return cells if hasattr(row, "jobs") else [*cells[:2], state_html(row.state), *cells[3:]]


def _cells(row: Any, cost: RunCost) -> list[str]:  # as above
    if hasattr(row, "jobs"):
        cells = [cut(row.stage), str(row.jobs), f"{row.cores_granted:g}", f"{row.core_hours:.3f}" if row.core_hours else ""]
    else:
        cells = [str(row.job_id), cut(row.name), row.state, str(row.attempts), "" if pd.isna(row.cores_granted) else f"{row.cores_granted:g}"]
    return cells + _money_cells(row, cost)


def _money_cells(row: Any, cost: RunCost) -> list[str]:  # a named tuple that pandas makes
    if cost.free:
        return []
    return [dollars(row.finished_usd), dollars(row.so_far_usd), "?" if pd.isna(row.rest_usd) else dollars(row.rest_usd)]

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
from hail_batch_jupyter.jupyter.costtable import parts_html
from hail_batch_jupyter.jupyter.htmltable import cut, row_html, table_html
from hail_batch_jupyter.jupyter.words import STATE_WORDS, plural, state_html

if TYPE_CHECKING:
    from hail_batch_jupyter.cost.account import RunCost
    from hail_batch_jupyter.observe.running import RunningBatch

PART_COLUMNS = tuple([f"{part}_usd" for part in PARTS])
MONEY_COLUMNS = ("finished_usd", "so_far_usd", "rest_usd", *PART_COLUMNS)
STAGE_COLUMNS = ("stage", "jobs", "cores_granted", "core_hours", *MONEY_COLUMNS, "unknown")
JOB_COLUMNS = ("job_id", "name", "stage", "state", "attempts", "cores_granted", "memory_granted_bytes", *MONEY_COLUMNS)
_SHOWN = 60


class CostFrame(pd.DataFrame):
    """A DataFrame; only its HTML differs, and only while it has the columns of a table of costs."""

    _metadata = ["cost"]  # noqa: RUF012 - pandas reads it so
    cost: RunCost

    @property
    def _constructor(self) -> Callable[..., CostFrame]:
        return CostFrame

    def _repr_html_(self) -> str | None:
        if tuple(self.columns) not in (STAGE_COLUMNS, JOB_COLUMNS) or not hasattr(self, "cost"):
            return pd.DataFrame(self)._repr_html_()  # type: ignore[operator,no-any-return]  # not in pandas-stubs
        return cost_html(self, self.cost)


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
    by_stage = "jobs" in frame.columns
    rows = [_stage_row(row, cost) if by_stage else _job_row(row, cost) for row in frame.head(_SHOWN).itertuples(index=False)]
    noun = "stage" if by_stage else "job"
    more = f"… and {plural(len(frame) - len(rows), f'more {noun}')}" if len(frame) > len(rows) else ""
    heads = ("stage", "jobs", "cores", "core-hours") if by_stage else ("job", "name", "state", "attempts", "cores")
    money = () if cost.free else ("finished", "so far", "still to come")
    return f"{_head(cost)}{table_html('', (*heads, *money), rows, more)}"


def _head(cost: RunCost) -> str:
    whole = cost.whole
    by = f"priced by {escape(cost.priced_by)}"
    if cost.free:
        return f"<div><b>{hours_text(whole.core_hours)}</b>; {by}</div>"
    if whole.so_far == whole.finished and not (whole.rest.total or whole.unknown or whole.unpriced):
        return f"<div><b>{dollars(whole.so_far.total)}</b>; {by}</div>{parts_html({'in all': whole.so_far})}"
    missing = f"; of {plural(whole.unknown + whole.unpriced, 'job')} nothing is known" if whole.unknown + whole.unpriced else ""
    words = f"<b>{dollars(whole.so_far.total)}</b> so far, {dollars(whole.finished.total)} by what has ended, about {dollars(whole.rest.total)} still to come"
    return f"<div>{words}{missing}; {by}</div>{parts_html({'so far': whole.so_far, 'still to come': whole.rest})}"


def _stage_row(row: Any, cost: RunCost) -> str:  # a named tuple that pandas makes
    cells = [escape(cut(row.stage)), str(row.jobs), f"{row.cores_granted:g}", f"{row.core_hours:.3f}" if row.core_hours else ""]
    return row_html([*cells, *_money_cells(row, cost)])


def _job_row(row: Any, cost: RunCost) -> str:  # a named tuple that pandas makes
    cores = "" if pd.isna(row.cores_granted) else f"{row.cores_granted:g}"
    return row_html([str(row.job_id), escape(cut(row.name)), state_html(row.state), str(row.attempts), cores, *_money_cells(row, cost)])


def _money_cells(row: Any, cost: RunCost) -> list[str]:  # a named tuple that pandas makes
    if cost.free:
        return []
    return [dollars(row.finished_usd), dollars(row.so_far_usd), "?" if pd.isna(row.rest_usd) else dollars(row.rest_usd)]

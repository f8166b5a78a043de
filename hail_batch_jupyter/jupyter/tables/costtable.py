"""What a run will cost, as a line under a dry run and as a static table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from hail_batch_jupyter.cost.estimate import Estimate
from hail_batch_jupyter.cost.history import TAKEN_OVER
from hail_batch_jupyter.cost.money import PART_TITLES, PARTS, Breakdown, dollars
from hail_batch_jupyter.cost.report import estimate_line, stage_cells, stage_heads
from hail_batch_jupyter.jupyter.tables.htmltable import cut, row_html, table_html
from hail_batch_jupyter.jupyter.words import plural

if TYPE_CHECKING:
    import pandas as pd

    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.core.spec import BatchSpec
    from hail_batch_jupyter.jupyter.desk import Desk

_SHOWN = 60


def run_preview(batch: Batch, spec: BatchSpec, *, fresh: bool) -> str:
    """A dry run: its jobs, and a line about what they will probably cost, by which card and from what."""
    from hail_batch_jupyter.batch.estimate import estimate_spec
    from hail_batch_jupyter.jupyter.run import dry_run_text

    found = estimate_spec(batch, spec, takes_over=not fresh)
    taken = {job.job_id for job in found.jobs if job.basis == TAKEN_OVER}
    return f"{dry_run_text(spec, taken)}\n\ncost: {estimate_line(found)}"


def cost_of(desk: Desk, *, jobs: bool, before: bool, card: str | None) -> pd.DataFrame | Estimate:
    """What `%batch_cost` gives: the costs of the last run, or an estimate where there is none or it is asked for.

    Raises UsageError for a card without an estimate: a run is priced by the card that it began with.
    """
    from IPython.core.error import UsageError

    if card is not None and not before:
        raise UsageError(f"--card {card}: a run keeps the rate card that it began with; write %batch_cost --estimate --card {card}")
    if not before:
        try:
            return desk.last_run().cost_frame("job" if jobs else "stage")
        except UsageError:
            if not desk.has_batch():
                raise
    return desk.batch().estimate_cost(card)


def estimate_html(estimate: Estimate) -> str:
    """An estimate: the line, low, expected and high by part, and the stages."""
    rows = [row_html([escape(cut(cell)) for cell in stage_cells(estimate, stage)]) for stage in estimate.stages[:_SHOWN]]
    more = f"… and {len(estimate.stages) - len(rows)} more stages" if len(estimate.stages) > len(rows) else ""
    head = f"<b>{plural(len(estimate.jobs), 'job')}</b>: {escape(estimate_line(estimate))}"
    parts = "" if estimate.card.free else parts_html({"low": estimate.cost.low, "expected": estimate.cost.expected, "high": estimate.cost.high})
    return f"{head}{parts}{table_html('', stage_heads(estimate), rows, more)}"


def parts_html(amounts: dict[str, Breakdown]) -> str:
    """Amounts by what they are made of: one row an amount, one column a part that has a price."""
    used = [part for part in PARTS if any(getattr(amount, part) for amount in amounts.values())]
    heads: Sequence[str] = ["", *[PART_TITLES[part] for part in used], "sum"]
    rows = [row_html([title, *[dollars(getattr(amount, part)) for part in used], f"<b>{dollars(amount.total)}</b>"]) for title, amount in amounts.items()]
    return table_html("", heads, rows)

"""How a batch shows itself in a notebook: a compact list of its jobs, what each is, and what its cell became."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.jupyter.htmltable import cut, row_html, table_html
from hail_batch_jupyter.jupyter.words import plural, state_html, word_of

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch

MAX_ROWS = 60


class JobRow(NamedTuple):
    """A job in the list; `remark` says that its cell has gone or changed since the run."""

    name: str
    kind: str
    after: str
    state: str
    remark: str


def job_rows(batch: Batch, cell_is_gone: Callable[[str], bool]) -> list[JobRow]:
    """One row a job, in the order in which they would run; jobs that cannot be compiled stand in the order of their making.

    'state' is that of the last run of the batch in the widget's words, '' before it.
    """
    last = batch.last_run
    ran = {} if last is None else {job.name: (job, view) for job, view in zip(last.spec.jobs, last.snapshot().jobs, strict=True)}
    spec = batch.compile(only_new=False)
    name_of = {job.job_id: job.display_name for job in spec.jobs}
    rows = []
    for job in spec.jobs:
        old = ran.get(job.name)
        remarks = ["cell gone" if job.name and cell_is_gone(job.name) else "", "cell changed since the run" if old and old[0].key != job.key else ""]
        after = ", ".join(name_of[edge.job_id] for edge in job.parents if edge.job_id in name_of)
        rows.append(JobRow(job.display_name, job.kind, after, word_of(old[1]) if old else "", "; ".join(filter(None, remarks))))
    return rows


def batch_text(batch: Batch, cell_is_gone: Callable[[str], bool]) -> str:
    """The list as text."""
    try:
        rows = job_rows(batch, cell_is_gone)
    except BatchException as error:
        return f"batch {batch.name!r}: {error}"
    lines = [_title(batch, rows)]
    for row in rows[:MAX_ROWS]:
        parts = [row.kind, f"after {row.after}" if row.after else "", row.state, row.remark]
        lines.append(f"  {row.name}: {', '.join(filter(None, parts))}")
    if len(rows) > MAX_ROWS:
        lines.append(f"  … and {len(rows) - MAX_ROWS} more")
    return "\n".join(lines)


def batch_html(batch: Batch, cell_is_gone: Callable[[str], bool]) -> str:
    """The list as HTML."""
    try:
        rows = job_rows(batch, cell_is_gone)
    except BatchException as error:
        return f"<div>batch <b>{escape(batch.name or '')}</b>: {escape(str(error))}</div>"
    more = f"… and {len(rows) - MAX_ROWS} more" if len(rows) > MAX_ROWS else ""
    return table_html(escape(_title(batch, rows)), ("job", "kind", "after", "last run", "remark"), [_row_html(row) for row in rows[:MAX_ROWS]], more)


def _row_html(row: JobRow) -> str:
    state = state_html(row.state) if row.state else ""
    return row_html([escape(cut(row.name)), escape(row.kind), escape(cut(row.after)), state, escape(row.remark)])


def _title(batch: Batch, rows: list[JobRow]) -> str:
    if not rows:
        return f"batch {batch.name!r} has no jobs yet; a cell that begins with %%batch_job NAME makes one"
    return f"batch {batch.name!r}, {plural(len(rows), 'job')}"

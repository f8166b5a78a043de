"""How a batch shows itself in a notebook: its stages, how they follow from one another, and how their jobs stood in the last run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from hail_batch_jupyter.compile.compiler import link, ordered
from hail_batch_jupyter.core.stems import stem
from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.jupyter.cells.since import last_words, since_text
from hail_batch_jupyter.jupyter.live.graph import stages_of
from hail_batch_jupyter.jupyter.tables.htmltable import cut, row_html, table_html
from hail_batch_jupyter.jupyter.words import counts_text, plural, state_html, urgent_word

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch

MAX_ROWS = 60
_MAX_BOXES = 30
_ROW, _GAP, _LETTER = 34, 36, 7.2
_NAME = 28

CellIsGone = Callable[[str], bool]


class StageRow(NamedTuple):
    """Some jobs that people see as one.

    after, before  numbers of the stages that it waits for, and that wait for it
    counts         words of the last run, empty before it        remark  what its cell became since
    """

    name: str
    size: int
    kind: str
    after: tuple[int, ...]
    before: tuple[int, ...]
    counts: Counter[str]
    remark: str

    @property
    def title(self) -> str:
        """'fit ×24', 'load'."""
        return cut(self.name, _NAME * 2) + (f" ×{self.size}" if self.size > 1 else "")


def stage_rows(batch: Batch, cell_is_gone: CellIsGone) -> list[StageRow]:
    """One row a stage, those before that others wait for.

    Raises CycleError for jobs that wait for one another.
    """
    links, draft = link(batch.draft), batch.draft
    uids = ordered(draft, links)
    place = {uid: number for number, uid in enumerate(uids)}
    parents = [[place[parent] for parent in links.parents[uid] if parent in place] for uid in uids]
    names = [draft.jobs[uid].name or f"job {uid}" for uid in uids]
    inside = batch.stage_of_uid()
    stems = [inside[uid].name if uid in inside else stem(name) for uid, name in zip(uids, names, strict=True)]
    stage_of, stages = stages_of(names, stems, parents)
    members: list[list[int]] = [[] for _ in stages]
    after: list[set[int]] = [set() for _ in stages]
    for number, stage in enumerate(stage_of):
        members[stage].append(number)
        after[stage] |= {stage_of[parent] for parent in parents[number]} - {stage}
    before: list[set[int]] = [set() for _ in stages]
    for stage, parents_of in enumerate(after):
        for parent in parents_of:
            before[parent].add(stage)
    words = last_words(batch, uids)
    rows = []
    for stage, mine in enumerate(members):
        first = draft.jobs[uids[mine[0]]]
        said = [words[uids[number]] for number in mine] if words else []
        gone = "cell gone" if first.name and cell_is_gone(first.name) else ""
        remark = "; ".join(filter(None, (gone, since_text(said))))
        counts = Counter(word for word, _ in said if word)
        rows.append(StageRow(stages[stage].name, len(mine), first.kind, tuple(sorted(after[stage])), tuple(sorted(before[stage])), counts, remark))
    return rows


def batch_text(batch: Batch, cell_is_gone: CellIsGone) -> str:
    """The stages as text, a line each, with arrows to those that wait for them."""
    try:
        rows = stage_rows(batch, cell_is_gone)
    except BatchException as error:
        return f"batch {batch.name!r}: {error}"
    lines = [_title(batch, rows)]
    for row in rows[:MAX_ROWS]:
        arrow = f" → {_listed(rows, row.before)}" if row.before else ""
        facts = ", ".join(filter(None, [row.kind, counts_text(row.counts) if row.counts else "", row.remark]))
        lines.append(f"  {row.title}{arrow}: {facts}")
    if len(rows) > MAX_ROWS:
        lines.append(f"  … and {plural(len(rows) - MAX_ROWS, 'stage')} more")
    return "\n".join([*lines, *_left(batch)])


def batch_html(batch: Batch, cell_is_gone: CellIsGone) -> str:
    """The stages as a small picture, and as a table."""
    try:
        rows = stage_rows(batch, cell_is_gone)
    except BatchException as error:
        return f"<div>batch <b>{escape(batch.name or '')}</b>: {escape(str(error))}</div>"
    more = [f"… and {plural(len(rows) - MAX_ROWS, 'stage')} more"] if len(rows) > MAX_ROWS else []
    cells = [_cells(rows, row) for row in rows[:MAX_ROWS]]
    shown = [number for number, _ in enumerate(_HEADS) if any(row[number] for row in cells)]
    body = [row_html([row[number] for number in shown]) for row in cells]
    table = table_html("", [_HEADS[number] for number in shown], body, "<br>".join([*more, *map(escape, _left(batch))]))
    return f"<div>{escape(_title(batch, rows))}</div>{picture(rows)}{table}"


_HEADS = ("stage", "jobs", "kind", "after", "last run", "remark")


def _cells(rows: Sequence[StageRow], row: StageRow) -> list[str]:
    """The cells of a row as HTML; a column that says nothing of any stage is left out."""
    state = state_html(urgent_word(row.counts), "" if len(row.counts) == 1 else f": {counts_text(row.counts)}") if row.counts else ""
    return [escape(cut(row.name)), str(row.size), escape(row.kind), escape(_listed(rows, row.after)), state, escape(row.remark)]


def _listed(rows: Sequence[StageRow], numbers: Sequence[int]) -> str:
    names = [rows[number].title for number in numbers]
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _title(batch: Batch, rows: Sequence[StageRow]) -> str:
    if not rows:
        return f"batch {batch.name!r} has no jobs yet; a cell that begins with %%batch_job NAME makes one"
    jobs = sum(row.size for row in rows)
    return f"batch {batch.name!r} ({batch.backend.name or type(batch.backend).__name__}), {plural(jobs, 'job')}" + (
        f" in {plural(len(rows), 'stage')}" if len(rows) < jobs else ""
    )


def _left(batch: Batch) -> list[str]:
    """Jobs of the last run that the batch no longer has."""
    if batch.last_run is None:
        return []
    names = {job.name for job in batch.draft.jobs.values()}
    gone = list(dict.fromkeys([job.attributes.get("stage") or job.name or "" for job in batch.last_run.spec.jobs if job.name not in names]))
    return [f"of the last run, and no longer in the batch: {', '.join(gone[:6])}" + (f" and {len(gone) - 6} more" if len(gone) > 6 else "")] if gone else []


def picture(rows: Sequence[StageRow]) -> str:
    """Stages as boxes from left to right, with lines to those that wait for them; nothing where there are no lines, or too many boxes to be read."""
    if not 1 < len(rows) <= _MAX_BOXES or not any(row.after for row in rows):
        return ""
    depth: list[int] = []
    for row in rows:
        depth.append(max([depth[parent] for parent in row.after], default=-1) + 1)
    texts = [cut(row.name, _NAME) + (f" ×{row.size}" if row.size > 1 else "") for row in rows]
    columns = range(max(depth) + 1)
    widths = [max(len(text) for text, at in zip(texts, depth, strict=True) if at == column) * _LETTER + 20 for column in columns]
    lefts = [2 + sum(widths[:column]) + _GAP * column for column in columns]
    level: Counter[int] = Counter()
    tops = []
    for at in depth:
        tops.append(2 + _ROW * level[at])
        level[at] += 1
    boxes = [_box(text, lefts[at], top, widths[at]) for text, at, top in zip(texts, depth, tops, strict=True)]
    lines = [
        _line(lefts[depth[parent]] + widths[depth[parent]], tops[parent] + 12, lefts[at], top + 12)
        for row, at, top in zip(rows, depth, tops, strict=True)
        for parent in row.after
    ]
    width, height = lefts[-1] + widths[-1] + 4, _ROW * max(level.values())
    label = escape("; ".join(f"{text} after {_listed(rows, row.after)}" if row.after else text for text, row in zip(texts, rows, strict=True)), quote=True)
    size = f'width="{width:.0f}" height="{height}" style="max-width:none;font:12px sans-serif"'
    return f'<div style="overflow-x:auto"><svg {size} role="img" aria-label="{label}">{"".join(lines)}{"".join(boxes)}</svg></div>'


def _box(text: str, left: float, top: float, width: float) -> str:
    frame = f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="24" rx="5" fill="#8882" stroke="#888"/>'
    return f'{frame}<text x="{left + width / 2:.0f}" y="{top + 16}" text-anchor="middle" fill="currentColor">{escape(text)}</text>'


def _line(x: float, y: float, to_x: float, to_y: float) -> str:
    middle = (x + to_x) / 2
    head = f"M{to_x - 6:.0f} {to_y - 3:.0f}l6 3l-6 3"
    return f'<path d="M{x:.0f} {y:.0f}C{middle:.0f} {y:.0f} {middle:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}{head}" fill="none" stroke="#888"/>'

"""The last known state of a run as plain HTML, for places where neither kernel nor JavaScript runs: no script, no style sheet, all text escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from hail_batch_jupyter.core.events import BatchSnapshot, JobView
from hail_batch_jupyter.core.state import BROKEN
from hail_batch_jupyter.jupyter.live.graph import Graph
from hail_batch_jupyter.jupyter.words import (
    COLORS,
    GLYPHS,
    WORDS,
    counts_text,
    done_count,
    done_text,
    glyph_html,
    note_text,
    plural,
    run_word,
    tally,
    urgent_word,
    word_of,
)
from hail_batch_jupyter.observe.failure import describe_end
from hail_batch_jupyter.observe.running import RunningBatch

LIMIT_BYTES = 20_000
MAX_FAILURES = 20
_MAX_STAGES = 40
_PICTURE_BYTES = 7000
_TAIL_CHARACTERS = 1500
_CELL = "padding:2px 10px 2px 0;text-align:left"


def run_html(running: RunningBatch, snapshot: BatchSnapshot, graph: Graph) -> str:
    """The run as HTML of LIMIT_BYTES at most: counts, stages with a small drawing of how they hang together, failures with the end of their logs."""
    failed = [view for view in snapshot.jobs if view.state in BROKEN]
    picture = _picture(graph, snapshot)
    parts = [_head(running, snapshot), picture, _stage_table(graph, snapshot, LIMIT_BYTES - 6000 - len(picture.encode()))]
    size, shown = sum(len(part.encode()) for part in parts) + 600, 0
    for view in failed[:MAX_FAILURES]:
        part = _failure(running, view, min(_TAIL_CHARACTERS, (LIMIT_BYTES - size) // 2))
        if size + len(part.encode()) > LIMIT_BYTES:
            break
        parts.append(part)
        size += len(part.encode())
        shown += 1
    if shown < len(failed):
        parts.append(f"<div>… and {plural(len(failed) - shown, 'failed job')} more</div>")
    return _framed(parts)


def progress_html(running: RunningBatch, snapshot: BatchSnapshot) -> str:
    """The first lines of that: state, name, how far it is, with a bar."""
    return _framed([_head(running, snapshot), _bar(tally(snapshot.jobs), len(snapshot.jobs) or 1)])


def _framed(parts: Sequence[str]) -> str:
    return f'<div style="font-family:sans-serif;font-size:13px">{"".join(parts)}</div>'


def _head(running: RunningBatch, snapshot: BatchSnapshot) -> str:
    word = run_word(snapshot)
    lines = [
        f"{glyph_html(word)} {word.capitalize()} · <b>{escape(_cut(running.name, 80))}</b> · {escape(done_text(snapshot))}",
        escape(" · ".join(part for part in (running.backend, running.cost_text(), _cut(note_text(running, snapshot), 400), _cut(running.paused, 400)) if part)),
    ]
    if snapshot.ended_ms is None:
        lines.append(f"last known state; <code>%batch_attach {escape(str(running.id))}</code> shows the run as it is now")
    return "".join(f"<div>{line}</div>" for line in lines)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _stage_counts(graph: Graph, snapshot: BatchSnapshot) -> list[Counter[str]]:
    counts: list[Counter[str]] = [Counter() for _ in graph.stages]
    for view, stage in zip(snapshot.jobs, graph.stage_of, strict=True):
        counts[stage][word_of(view)] += 1
    return counts


def _stage_table(graph: Graph, snapshot: BatchSnapshot, limit_bytes: int) -> str:
    rows: list[str] = []
    for stage, mine in list(zip(graph.stages, _stage_counts(graph, snapshot), strict=True))[:_MAX_STAGES]:
        name = escape(_cut(stage.name, 60)) + (f" &times;{stage.size}" if stage.size > 1 else "")
        cells = (f"{glyph_html(urgent_word(mine))} {name}", _bar(mine, stage.size), counts_text(mine))
        row = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells)
        limit_bytes -= len(row.encode()) + 9
        if limit_bytes < 0:
            break
        rows.append(f"<tr>{row}</tr>")
    more = len(graph.stages) - len(rows)
    tail = f"<div>… and {plural(more, 'stage')} more</div>" if more > 0 else ""
    return f'<table style="border-collapse:collapse;margin:4px 0"><tbody>{"".join(rows)}</tbody></table>{tail}'


def _bar(counts: Mapping[str, int], total: int) -> str:
    parts, left = [], 0.0
    for word in WORDS[:-1]:
        width = 80 * counts.get(word, 0) / total
        if width:
            parts.append(f'<rect x="{left:.1f}" width="{width:.1f}" height="8" fill="{COLORS[word]}"/>')
            left += width
    label = f"{done_count(counts)} of {total} done"
    return f'<svg width="80" height="8" role="img" aria-label="{label}"><rect width="80" height="8" fill="#8885"/>{"".join(parts)}</svg>'


def _picture(graph: Graph, snapshot: BatchSnapshot) -> str:
    """Stages as dots from left to right by depth, with the lines between them; nothing where there are no lines or too many stages."""
    if not 1 < len(graph.stages) <= _MAX_STAGES:
        return ""
    between = {(graph.stage_of[a], graph.stage_of[b]) for a, b in zip(graph.sources, graph.targets, strict=True)}
    edges = sorted((a, b) for a, b in between if a != b)
    if not edges:
        return ""
    column = [0] * len(graph.stages)
    for a, b in edges:
        column[b] = max(column[b], column[a] + 1)
    filled: dict[int, int] = {}
    place = []
    for depth in column:
        place.append((16 + 44 * depth, 14 + 24 * filled.get(depth, 0)))
        filled[depth] = filled.get(depth, 0) + 1
    lines = "".join(f'<line x1="{place[a][0]}" y1="{place[a][1]}" x2="{place[b][0]}" y2="{place[b][1]}" stroke="#888"/>' for a, b in edges)
    dots = "".join(_dot(x, y, urgent_word(mine)) for (x, y), mine in zip(place, _stage_counts(graph, snapshot), strict=True))
    width, height = 32 + 44 * max(column), 28 + 24 * (max(filled.values()) - 1)
    label = escape("stages: " + ", ".join(_cut(stage.name, 30) for stage in graph.stages))
    picture = f'<svg width="{width}" height="{height}" role="img" aria-label="{label}">{lines}{dots}</svg>'
    return picture if len(picture.encode()) <= _PICTURE_BYTES else ""


def _dot(x: int, y: int, word: str) -> str:
    glyph = f'<text x="{x}" y="{y + 4}" font-size="10" text-anchor="middle" fill="#fff">{GLYPHS[word]}</text>'
    return f'<circle cx="{x}" cy="{y}" r="9" fill="{COLORS[word]}"/>{glyph}'


def _failure(running: RunningBatch, view: JobView, characters: int) -> str:
    job = running.spec.job(view.job_id)
    tail = running.log_tail(view.job_id, 10)[-max(characters, 0) :] if characters > 80 else ""
    shown = f'<pre style="margin:2px 0 2px 16px;white-space:pre-wrap">{escape(tail)}</pre>' if tail.strip() else ""
    word = word_of(view)
    words = f"{escape(_cut(job.display_name, 80))}: {escape(describe_end(view))}"
    return f"<div>{glyph_html(word)} {words}{shown}</div>"

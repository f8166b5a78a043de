"""The DataFrame of jobs that draws itself with states as colour, shape and word; imported only when a table is asked for."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import pandas as pd

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.core.units import format_bytes, format_duration
from hail_batch_jupyter.jupyter.words import COLORS, GLYPHS

COLUMNS = (
    "job_id", "name", "state", "attempt", "start", "end", "duration_s",
    "exit_code", "reason", "cores", "max_rss_bytes", "cost_usd", "parents", "reused",
)  # fmt: skip
LIMIT_BYTES = 40_000
_SHOWN = 60
_ORDER = {state: rank for rank, state in enumerate(("Failed", "Error", "Running", "Creating", "Cancelled", "Success", "Ready", "Pending"))}
_HEADS = ("job", "name", "state", "started", "duration", "exit code", "memory", "after")
_CELL = "text-align:left;padding:2px 8px"


class JobsFrame(pd.DataFrame):
    """A DataFrame; only its HTML differs, and only while it has the columns of the table of jobs."""

    @property
    def _constructor(self) -> Callable[..., JobsFrame]:
        return JobsFrame

    def _repr_html_(self) -> str | None:
        if tuple(self.columns) != COLUMNS:
            return pd.DataFrame(self)._repr_html_()  # type: ignore[operator,no-any-return]  # not in pandas-stubs
        return frame_html(self)


def frame_html(frame: pd.DataFrame) -> str:
    """The table as HTML of LIMIT_BYTES at most, whatever its length.

    Few jobs stand in their order; of many those that failed come first, then those that run, then the slowest.
    """
    rows = frame if len(frame) <= _SHOWN else _most_telling(frame)
    parts: list[str] = []
    size = 1500
    for row in rows.itertuples(index=False):
        text = _row(row)
        size += len(text.encode())
        if size > LIMIT_BYTES:
            break
        parts.append(text)
    head = "".join(f'<th style="{_CELL}">{name}</th>' for name in _HEADS)
    more = "" if len(parts) == len(frame) else f"{len(parts)} shown of "
    caption = f"<div>{more}{len(frame)} jobs: {_counts(frame)}</div>"
    return f'{caption}<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead><tbody>{"".join(parts)}</tbody></table>'


def _most_telling(frame: pd.DataFrame) -> pd.DataFrame:
    ranks = frame["state"].astype(object).map(_ORDER)
    order = pd.DataFrame({"rank": ranks, "duration": -frame["duration_s"].fillna(0.0)}).sort_values(["rank", "duration"], kind="stable")
    return frame.loc[order.index[:_SHOWN]]


def _counts(frame: pd.DataFrame) -> str:
    counts = frame["state"].value_counts()
    return ", ".join([f"{counts[state]} {state.lower()}" for state in _ORDER if counts.get(state, 0)]) or "none"


def _row(row: Any) -> str:  # a named tuple that pandas makes
    state = JobState(row.state)
    word = f"{GLYPHS[state]} {state.value}" + (" (reused)" if row.reused else "") + (f", {row.reason}" if row.reason else "")
    parents = list(row.parents)
    after = ", ".join(map(str, parents[:6])) + (" …" if len(parents) > 6 else "")
    cells = [
        str(row.job_id),
        _cut(row.name),
        f'<span style="color:{COLORS[state]}">{escape(_cut(word))}</span>',
        "" if pd.isna(row.start) else _local(row.start),
        "" if pd.isna(row.duration_s) else format_duration(row.duration_s),
        "" if pd.isna(row.exit_code) else str(row.exit_code),
        "" if pd.isna(row.max_rss_bytes) else format_bytes(int(row.max_rss_bytes)),
        after,
    ]
    shown = [text if number == 2 else escape(text) for number, text in enumerate(cells)]
    return "<tr>" + "".join(f'<td style="{_CELL}">{text}</td>' for text in shown) + "</tr>"


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"


def _local(moment: pd.Timestamp) -> str:
    from hail_batch_jupyter.jupyter.words import clock_text

    return clock_text(int(moment.timestamp() * 1000))

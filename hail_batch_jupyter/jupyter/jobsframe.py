"""The DataFrames of jobs and of runs that draw themselves with states as colour, shape and word; imported only when a table is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from pathlib import PurePath
from typing import Any

import pandas as pd

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.core.units import format_bytes
from hail_batch_jupyter.jupyter.htmltable import cut, row_html, table_html
from hail_batch_jupyter.jupyter.words import REUSED, STATE_WORDS, clock_text, counts_text, plural, state_html, took_text

COLUMNS = (
    "job_id", "name", "state", "attempt", "start", "end", "duration_s",
    "exit_code", "reason", "cores", "max_rss_bytes", "cost_usd", "parents", "reused",
    "cores_granted", "cores_used", "memory_bytes", "memory_granted_bytes", "gpus", "group", "hint",
)  # fmt: skip
RUN_COLUMNS = ("run", "name", "state", "started", "ended", "duration_s", "jobs", "backend", "notebook")
LIMIT_BYTES = 40_000
_SHOWN = 60
_HINTS = 3
_ORDER = {state: rank for rank, state in enumerate(("Failed", "Error", "Running", "Creating", "Cancelled", "Success", "Ready", "Pending"))}
_HEADS = ("job", "name", "state", "started", "duration", "exit code", "memory", "after")
_RUN_HEADS = ("run", "batch", "state", "started", "duration", "jobs", "where", "notebook")


class JobsFrame(pd.DataFrame):
    """A DataFrame; only its HTML differs, and only while it has the columns of the table of jobs.

    name_of   names of all jobs of the run by job_id, for its HTML
    """

    _metadata = ["name_of"]  # noqa: RUF012 - pandas reads it so
    name_of: Mapping[int, str]

    @property
    def _constructor(self) -> Callable[..., JobsFrame]:
        return JobsFrame

    def _repr_html_(self) -> str | None:
        if tuple(self.columns) != COLUMNS:
            return pd.DataFrame(self)._repr_html_()  # type: ignore[operator,no-any-return]  # not in pandas-stubs
        return frame_html(self, getattr(self, "name_of", {}))


class RunsFrame(pd.DataFrame):
    """The same for the table of runs."""

    @property
    def _constructor(self) -> Callable[..., RunsFrame]:
        return RunsFrame

    def _repr_html_(self) -> str | None:
        if tuple(self.columns) != RUN_COLUMNS:
            return pd.DataFrame(self)._repr_html_()  # type: ignore[operator,no-any-return]  # not in pandas-stubs
        return runs_html(self)


def frame_html(frame: pd.DataFrame, name_of: Mapping[int, str]) -> str:
    """The table as HTML of LIMIT_BYTES at most, whatever its length.

    Few jobs stand in their order; of many those that failed come first, then those that run, then the slowest.
    """
    rows = frame if len(frame) <= _SHOWN else _most_telling(frame)
    parts: list[str] = []
    size = 2500
    for row in rows.itertuples(index=False):
        text = _row(row, name_of)
        size += len(text.encode())
        if size > LIMIT_BYTES:
            break
        parts.append(text)
    more = "" if len(parts) == len(frame) else f"{len(parts)} shown of "
    hints = [f"{escape(cut(str(row.name)))} {escape(str(row.hint))}" for row in rows[rows["hint"] != ""].head(_HINTS).itertuples(index=False)]
    return table_html(f"{more}{plural(len(frame), 'job')}{_counts(frame)}", _HEADS, parts, "<br>".join(hints))


def _most_telling(frame: pd.DataFrame) -> pd.DataFrame:
    ranks = frame["state"].astype(object).map(_ORDER)
    order = pd.DataFrame({"rank": ranks, "duration": -frame["duration_s"].fillna(0.0)}).sort_values(["rank", "duration"], kind="stable")
    return frame.loc[order.index[:_SHOWN]]


def _counts(frame: pd.DataFrame) -> str:
    counts: dict[str, int] = {}
    for state, number in frame["state"].value_counts().items():
        word = STATE_WORDS[JobState(state)]
        counts[word] = counts.get(word, 0) + int(number)
    n_reused = int(frame["reused"].sum())
    counts["succeeded"] = counts.get("succeeded", 0) - n_reused
    return f": {counts_text({**counts, REUSED: n_reused})}" if len(frame) else ""


def _row(row: Any, name_of: Mapping[int, str]) -> str:  # a named tuple that pandas makes
    word = REUSED if row.reused else STATE_WORDS[JobState(row.state)]
    reason = f" ({cut(row.reason, 60)})" if row.reason and row.reason != word else ""
    after = [name_of.get(parent, str(parent)) for parent in row.parents[:6]] + (["…"] if len(row.parents) > 6 else [])
    return row_html(
        [
            str(row.job_id),
            escape(cut(row.name)),
            state_html(word, reason),
            "" if pd.isna(row.start) else _local(row.start),
            "" if pd.isna(row.duration_s) else escape(took_text(row.duration_s)),
            "" if pd.isna(row.exit_code) else str(row.exit_code),
            "" if pd.isna(row.max_rss_bytes) else format_bytes(int(row.max_rss_bytes)),
            escape(cut(", ".join(after))),
        ]
    )


def runs_html(frame: pd.DataFrame) -> str:
    """The runs as HTML, the first of them when there are very many."""
    rows = [_run_row(row) for row in frame.head(_SHOWN).itertuples(index=False)]
    more = f"… and {len(frame) - len(rows)} more" if len(frame) > len(rows) else ""
    return table_html(f"{plural(len(frame), 'run')}; %batch_attach RUN shows one", _RUN_HEADS, rows, more)


def _run_row(row: Any) -> str:  # a named tuple that pandas makes
    return row_html(
        [
            f'<code style="white-space:nowrap">{escape(row.run)}</code>',
            escape(cut(row.name, 40)),
            state_html(row.state),
            _local(row.started),
            "" if pd.isna(row.duration_s) else escape(took_text(row.duration_s)),
            str(row.jobs),
            escape(row.backend),
            f'<span title="{escape(row.notebook)}">{escape(PurePath(row.notebook).name)}</span>',
        ]
    )


def _local(moment: pd.Timestamp) -> str:
    return clock_text(int(moment.timestamp() * 1000))

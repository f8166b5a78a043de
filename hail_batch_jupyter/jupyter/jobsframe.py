"""The DataFrames of jobs and of runs that draw themselves with states as colour, shape and word; imported only when a table is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from html import escape
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pandas as pd

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.core.units import format_bytes
from hail_batch_jupyter.jupyter.htmltable import cut, row_html, table_html
from hail_batch_jupyter.jupyter.words import REUSED, STATE_WORDS, clock_text, counts_text, plural, state_html, took_text

if TYPE_CHECKING:
    from hail_batch_jupyter.observe.running import RunningBatch

COLUMNS = (
    "job_id", "name", "state", "attempt", "start", "end", "duration_s",
    "exit_code", "reason", "cores", "max_rss_bytes", "cost_usd", "parents", "reused",
    "cores_granted", "cores_used", "memory_bytes", "memory_granted_bytes", "gpus", "group", "hint",
)  # fmt: skip
RUN_COLUMNS = ("run", "name", "state", "started", "ended", "duration_s", "jobs", "backend", "notebook")
ATTEMPT_COLUMNS = (
    "job_id", "name", "attempt", "start", "end", "duration_s", "exit_code", "reason", "cores",
    "cores_granted", "cores_used", "memory_bytes", "memory_granted_bytes", "gpus", "max_rss_bytes", "node",
)  # fmt: skip
LIMIT_BYTES = 40_000
_SHOWN = 60
_OPEN_COMMAND = "hail-batch-jupyter:open-run"
_HINTS = 3
_ORDER = {state: rank for rank, state in enumerate(("Failed", "Error", "Running", "Creating", "Cancelled", "Success", "Ready", "Pending"))}
_HEADS = ("job", "name", "state", "started", "duration", "exit code", "memory", "after", "")
_COST_HEADS = (*_HEADS[:7], "cost", *_HEADS[7:])
_ATTEMPT_HEADS = ("job", "name", "attempt", "state", "started", "duration", "exit code", "memory", "")
_RUN_HEADS = ("run", "batch", "state", "started", "duration", "jobs", "where", "notebook")


class JobsFrame(pd.DataFrame):
    """A DataFrame; only its HTML differs, and only while it has the columns of the table of jobs.

    name_of   names of all jobs of the run by job_id, for its HTML      source   where the jobs are known from, for the links to logs; None before a run
    """

    _metadata = ["name_of", "source"]  # noqa: RUF012 - pandas reads it so
    name_of: Mapping[int, str]
    source: RunningBatch | None

    @property
    def _constructor(self) -> Callable[..., JobsFrame]:
        return JobsFrame

    def _repr_html_(self) -> str | None:
        if tuple(self.columns) != COLUMNS:
            return pd.DataFrame(self)._repr_html_()  # type: ignore[operator,no-any-return]  # not in pandas-stubs
        return frame_html(self, getattr(self, "name_of", {}), getattr(self, "source", None))


class AttemptsFrame(pd.DataFrame):
    """The same for the table of attempts."""

    _metadata = ["source"]  # noqa: RUF012 - pandas reads it so
    source: RunningBatch | None

    @property
    def _constructor(self) -> Callable[..., AttemptsFrame]:
        return AttemptsFrame

    def _repr_html_(self) -> str | None:
        if tuple(self.columns) != ATTEMPT_COLUMNS:
            return pd.DataFrame(self)._repr_html_()  # type: ignore[operator,no-any-return]  # not in pandas-stubs
        return attempts_html(self, getattr(self, "source", None))


class RunsFrame(pd.DataFrame):
    """The same for the table of runs."""

    @property
    def _constructor(self) -> Callable[..., RunsFrame]:
        return RunsFrame

    def _repr_html_(self) -> str | None:
        if tuple(self.columns) != RUN_COLUMNS:
            return pd.DataFrame(self)._repr_html_()  # type: ignore[operator,no-any-return]  # not in pandas-stubs
        return runs_html(self)


def frame_html(frame: pd.DataFrame, name_of: Mapping[int, str], source: RunningBatch | None = None) -> str:
    """The table as HTML of LIMIT_BYTES at most, whatever its length.

    Few jobs stand in their order; of many those that failed come first, then those that run, then the slowest.
    """
    rows = frame if len(frame) <= _SHOWN else _most_telling(frame)
    charged = bool((frame["cost_usd"] > 0).any())
    parts: list[str] = []
    size = 2500
    for row in rows.itertuples(index=False):
        text = _row(row, name_of, charged, source)
        size += len(text.encode())
        if size > LIMIT_BYTES:
            break
        parts.append(text)
    more = "" if len(parts) == len(frame) else f"{len(parts)} shown of "
    hints = [f"{escape(cut(str(row.name)))} {escape(str(row.hint))}" for row in rows[rows["hint"] != ""].head(_HINTS).itertuples(index=False)]
    if more:
        hints.append("the whole table is a DataFrame: <code>frame[frame.state == 'Failed']</code>, <code>frame.to_csv(…)</code>")
    caption = f"{more}{plural(len(frame), 'job')}{_counts(frame)}"
    return table_html(caption, _COST_HEADS if charged else _HEADS, parts, "<br>".join(hints))


def _most_telling(frame: pd.DataFrame) -> pd.DataFrame:
    """The first _SHOWN by state, then by duration; those only are sorted: 1 ms at 100 000 jobs."""
    import numpy as np

    ranks = np.array([_ORDER[state] for state in frame["state"].cat.categories], dtype=float)[frame["state"].cat.codes.to_numpy()]
    durations = frame["duration_s"].fillna(0.0).to_numpy()
    keys = ranks - durations / (1.0 + durations.max())
    first = np.argpartition(keys, _SHOWN)[:_SHOWN]
    return frame.iloc[first[np.lexsort((first, keys[first]))]]


def _counts(frame: pd.DataFrame) -> str:
    counts: dict[str, int] = {}
    for state, number in frame["state"].value_counts().items():
        word = STATE_WORDS[JobState(state)]
        counts[word] = counts.get(word, 0) + int(number)
    n_reused = int(frame["reused"].sum())
    counts["succeeded"] = counts.get("succeeded", 0) - n_reused
    return f": {counts_text({**counts, REUSED: n_reused})}" if len(frame) else ""


def _row(row: Any, name_of: Mapping[int, str], charged: bool, source: RunningBatch | None) -> str:  # a named tuple that pandas makes
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
            *([f"${row.cost_usd:.4f}" if row.cost_usd < 1 else f"${row.cost_usd:,.2f}"] if charged else []),
            escape(cut(", ".join(after))),
            _log_link(row, source),
        ]
    )


def attempts_html(frame: pd.DataFrame, source: RunningBatch | None) -> str:
    """The attempts as HTML, the first of them when there are very many."""
    rows = [_attempt_row(row, source) for row in frame.head(_SHOWN).itertuples(index=False)]
    more = f"… and {len(frame) - len(rows)} more; the whole table is a DataFrame" if len(frame) > len(rows) else ""
    return table_html(plural(len(frame), "attempt"), _ATTEMPT_HEADS, rows, more)


def _attempt_row(row: Any, source: RunningBatch | None) -> str:  # a named tuple that pandas makes
    return row_html(
        [
            str(row.job_id),
            escape(cut(row.name)),
            str(row.attempt),
            state_html(_attempt_word(row), f" ({cut(row.reason, 60)})" if row.reason else ""),
            "" if pd.isna(row.start) else _local(row.start),
            "" if pd.isna(row.duration_s) else escape(took_text(row.duration_s)),
            "" if pd.isna(row.exit_code) else str(row.exit_code),
            "" if pd.isna(row.max_rss_bytes) else format_bytes(int(row.max_rss_bytes)),
            _log_link(row, source),
        ]
    )


def _attempt_word(row: Any) -> str:  # as above
    if pd.isna(row.end):
        return "running"
    if pd.isna(row.exit_code):
        return "ended"
    return "failed" if row.exit_code else "ended" if row.reason else "succeeded"


def _log_link(row: Any, source: RunningBatch | None) -> str:
    """In JupyterLab it opens the batch in a tab, at this job; elsewhere it leads to the file."""
    if source is None or source.directory is None or getattr(row, "reused", False) or pd.isna(row.attempt):
        return ""
    path = source.directory / "logs" / f"{row.job_id}.{row.attempt}.main.log"
    opened = json.dumps({"run": str(source.id), "name": cut(source.name, 30), "job": row.job_id - source.spec.jobs[0].job_id})
    return f'<a href="{escape(path.as_uri())}" data-commandlinker-command="{_OPEN_COMMAND}" data-commandlinker-args="{escape(opened)}">log</a>'


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

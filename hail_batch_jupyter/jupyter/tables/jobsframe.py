"""The DataFrames of jobs and of runs that draw themselves with states as colour, shape and word, in a terminal as text; imported when one is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pandas as pd

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.jupyter.tables.htmltable import cut, row_html, table_html, table_text
from hail_batch_jupyter.jupyter.words import REUSED, STATE_WORDS, clock_text, counts_text, plural, state_html, took_text
from hail_batch_jupyter.observe.usage import peak_text

if TYPE_CHECKING:
    from hail_batch_jupyter.observe.running import RunningBatch

COLUMNS = (
    "job_id", "name", "state", "attempt", "start", "end", "duration_s",
    "exit_code", "reason", "cores", "max_rss_bytes", "max_rss_at_most", "cost_usd", "parents", "reused",
    "cores_granted", "cores_used", "memory_bytes", "memory_granted_bytes", "gpus", "group", "hint",
)  # fmt: skip
RUN_COLUMNS = ("run", "name", "state", "started", "ended", "duration_s", "jobs", "backend", "notebook")
ATTEMPT_COLUMNS = (
    "job_id", "name", "attempt", "start", "end", "duration_s", "exit_code", "reason", "cores",
    "cores_granted", "cores_used", "memory_bytes", "memory_granted_bytes", "gpus", "max_rss_bytes", "max_rss_at_most", "node",
)  # fmt: skip
LIMIT_BYTES = 40_000
_SHOWN = 60
_OPEN_COMMAND = "hail-batch-jupyter:open-run"
_HINTS = 3
_REASONS = 10
_WAITS = "waits for "
_ORDER = {state: rank for rank, state in enumerate(("Failed", "Error", "Running", "Creating", "Cancelled", "Success", "Ready", "Pending"))}
_HEADS = ("job", "name", "state", "started", "duration", "exit code", "memory", "after", "")
_COST_HEADS = (*_HEADS[:7], "cost", *_HEADS[7:])
_ATTEMPT_HEADS = ("job", "name", "attempt", "state", "started", "duration", "exit code", "memory", "")
_RUN_HEADS = ("run", "batch", "state", "started", "duration", "jobs", "where", "notebook")


class Drawn(pd.DataFrame):
    """A DataFrame; only how IPython shows it differs, and only while it has the columns of its table."""

    def _as_html(self) -> str | None:
        return None

    def _as_text(self) -> str | None:
        return None

    def _repr_html_(self) -> str | None:
        return self._as_html() or pd.DataFrame(self)._repr_html_()  # type: ignore[operator]  # not in pandas-stubs

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self._as_text() or repr(self))


class JobsFrame(Drawn):
    """The table of jobs.

    name_of   names of all jobs of the run by job_id, for its HTML      source   where the jobs are known from, for the links to logs; None before a run
    """

    _metadata = ["name_of", "source"]  # noqa: RUF012 - pandas reads it so
    name_of: Mapping[int, str]
    source: RunningBatch | None

    @property
    def _constructor(self) -> Callable[..., JobsFrame]:
        return JobsFrame

    def _as_html(self) -> str | None:
        return frame_html(self, getattr(self, "name_of", {}), getattr(self, "source", None)) if tuple(self.columns) == COLUMNS else None

    def _as_text(self) -> str | None:
        return frame_text(self, getattr(self, "name_of", {})) if tuple(self.columns) == COLUMNS else None


class AttemptsFrame(Drawn):
    """The table of attempts."""

    _metadata = ["source"]  # noqa: RUF012 - pandas reads it so
    source: RunningBatch | None

    @property
    def _constructor(self) -> Callable[..., AttemptsFrame]:
        return AttemptsFrame

    def _as_html(self) -> str | None:
        return attempts_html(self, getattr(self, "source", None)) if tuple(self.columns) == ATTEMPT_COLUMNS else None

    def _as_text(self) -> str | None:
        return _text(self, "attempt", _ATTEMPT_HEADS, _attempt_cells) if tuple(self.columns) == ATTEMPT_COLUMNS else None


class RunsFrame(Drawn):
    """The table of runs."""

    @property
    def _constructor(self) -> Callable[..., RunsFrame]:
        return RunsFrame

    def _as_html(self) -> str | None:
        return runs_html(self) if tuple(self.columns) == RUN_COLUMNS else None

    def _as_text(self) -> str | None:
        return _text(self, "run", _RUN_HEADS, _run_cells) if tuple(self.columns) == RUN_COLUMNS else None


def frame_html(frame: pd.DataFrame, name_of: Mapping[int, str], source: RunningBatch | None = None) -> str:
    """The table as HTML of LIMIT_BYTES at most, whatever its length.

    Few jobs stand in their order; of many those that failed come first, then those that run, then the slowest.
    """
    rows, charged = _shown(frame)
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


def frame_text(frame: pd.DataFrame, name_of: Mapping[int, str]) -> str:
    """The same for a terminal: aligned columns, and why a job ended as it did below them."""
    rows, charged = _shown(frame)
    lines = [_job_cells(row, name_of, charged) for row in rows.itertuples(index=False)]
    waits, told = rows["reason"].str.startswith(_WAITS), (rows["reason"] != "") & ~rows["reused"]
    notes = [f"{row.name}: {cut(str(row.reason), 160)}" for row in rows[told & ~waits].head(_REASONS).itertuples(index=False)]
    notes += [f"waiting{text.removeprefix('waits')}" for text in rows[waits]["reason"].unique()]
    notes += [f"{row.name} {row.hint}" for row in rows[rows["hint"] != ""].head(_HINTS).itertuples(index=False)]
    caption = (f"{len(rows)} shown of " if len(rows) < len(frame) else "") + f"{plural(len(frame), 'job')}{_counts(frame)}"
    return table_text(caption, (_COST_HEADS if charged else _HEADS)[:-1], lines, notes)


def _shown(frame: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """The rows that are shown, and whether anything is charged."""
    return frame if len(frame) <= _SHOWN else _most_telling(frame), bool((frame["cost_usd"] > 0).any())


def _job_cells(row: Any, name_of: Mapping[int, str], charged: bool) -> list[str]:  # a named tuple that pandas makes
    after = [name_of.get(parent, str(parent)) for parent in row.parents[:6]] + (["…"] if len(row.parents) > 6 else [])
    cost = f"${row.cost_usd:.4f}" if row.cost_usd < 1 else f"${row.cost_usd:,.2f}"
    word = REUSED if row.reused else STATE_WORDS[JobState(row.state)]
    return [str(row.job_id), cut(row.name), word, *_ran(row), *([cost] if charged else []), cut(", ".join(after))]


def _ran(row: Any) -> list[str]:  # as above
    """When it started, how long it took, its exit code and the memory at its peak."""
    return [
        "" if pd.isna(row.start) else _local(row.start),
        "" if pd.isna(row.duration_s) else took_text(row.duration_s),
        "" if pd.isna(row.exit_code) else str(row.exit_code),
        "" if pd.isna(row.max_rss_bytes) else peak_text(int(row.max_rss_bytes), row.max_rss_at_most),
    ]


def _row(row: Any, name_of: Mapping[int, str], charged: bool, source: RunningBatch | None) -> str:  # as above
    cells = _job_cells(row, name_of, charged)
    reason = f" ({cut(row.reason.removeprefix('waits '), 60)})" if row.reason and row.reason != cells[2] else ""
    return row_html([*map(escape, cells[:2]), state_html(cells[2], reason), *map(escape, cells[3:]), _log_link(row, source)])


def attempts_html(frame: pd.DataFrame, source: RunningBatch | None) -> str:
    """The attempts as HTML, the first of them when there are very many."""
    rows = [_attempt_row(row, source) for row in frame.head(_SHOWN).itertuples(index=False)]
    more = f"… and {len(frame) - len(rows)} more; the whole table is a DataFrame" if len(frame) > len(rows) else ""
    return table_html(plural(len(frame), "attempt"), _ATTEMPT_HEADS, rows, more)


def _attempt_row(row: Any, source: RunningBatch | None) -> str:  # a named tuple that pandas makes
    cells = _attempt_cells(row)
    reason = f" ({cut(row.reason, 60)})" if row.reason else ""
    return row_html([*map(escape, cells[:3]), state_html(cells[3], reason), *map(escape, cells[4:]), _log_link(row, source)])


def _attempt_cells(row: Any) -> list[str]:  # as above
    return [str(row.job_id), cut(row.name), str(row.attempt), _attempt_word(row), *_ran(row)]


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
    run, name, state, *facts, notebook = _run_cells(row)
    place = f'<span title="{escape(row.notebook)}">{escape(notebook)}</span>'
    return row_html([f'<code style="white-space:nowrap">{escape(run)}</code>', escape(name), state_html(state), *map(escape, facts), place])


def _run_cells(row: Any) -> list[str]:  # as above
    duration = "" if pd.isna(row.duration_s) else took_text(row.duration_s)
    return [row.run, cut(row.name, 40), row.state, _local(row.started), duration, str(row.jobs), row.backend, PurePath(row.notebook).name]


def _text(frame: pd.DataFrame, what: str, heads: Sequence[str], cells: Callable[[Any], list[str]]) -> str:
    """The first rows of a table for a terminal."""
    rows = [cells(row) for row in frame.head(_SHOWN).itertuples(index=False)]
    more = [f"… and {len(frame) - len(rows)} more; the whole table is a DataFrame"] if len(frame) > len(rows) else []
    return table_text(plural(len(frame), what), [head for head in heads if head], rows, more)


def _local(moment: pd.Timestamp) -> str:
    return clock_text(int(moment.timestamp() * 1000))

"""Pictures of a run by matplotlib, where that is installed."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple  # matplotlib's objects are Any: it need not be installed

from hail_batch_jupyter.errors import BatchException, MissingPackageError
from hail_batch_jupyter.jupyter.words import REUSED, done_text, run_word, word_of

if TYPE_CHECKING:
    from hail_batch_jupyter.core.events import BatchSnapshot
    from hail_batch_jupyter.observe.running import RunningBatch

COLORS = {"succeeded": "#009E73", REUSED: "#CC79A7", "running": "#56B4E9", "failed": "#D55E00", "cancelled": "#999999", "waiting": "#CCCCCC"}
"""Of Okabe and Ito, which colour-blind people tell apart; failed bars are hatched as well."""
_SIZE_INCHES = (8.0, 3.2)
_TICKS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
_MAX_TICKS = 8
_MAX_OUTLINED = 300
"""Of more bars the white between them, and the hatching, would be all there is to see."""
_MAX_PARTED = 32
"""More rows than this have no room between them."""
_MAX_NAMED = 24
"""More rows than this are numbers, not names."""


class _Bar(NamedTuple):
    """An attempt: seconds after the start of the run, and its row."""

    lane: int
    start_s: float
    length_s: float
    word: str
    name: str


def plot_run(running: RunningBatch, kind: str = "timeline", ax: Any = None) -> Any:
    """The picture of that kind, see `Looking.plot`."""
    if kind not in _KINDS:
        raise BatchException(f"plot kind {kind!r} is not known; use one of: {', '.join(_KINDS)}")
    if ax is None:
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise MissingPackageError("run.plot() draws with matplotlib, which is not installed; pip install 'hail-batch-jupyter[plot]'") from error
        ax = pyplot.subplots(figsize=_SIZE_INCHES, layout="constrained")[1]
    snapshot = running.snapshot()
    _KINDS[kind](ax, running, snapshot)
    ax.set_title(f"{running.name}: {run_word(snapshot)}, {done_text(snapshot)}", loc="left", fontsize="medium")
    ax.set_xlabel(f"time since {_moment(snapshot.started_ms)}")
    _count_time(ax.xaxis, ax.get_xlim()[1])
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlim(left=0)
    return ax


def _count_time(axis: Any, span_s: float) -> None:
    """A tick at every so many seconds, minutes or hours that people count in."""
    from matplotlib.ticker import MultipleLocator

    if span_s > _TICKS_S[0]:
        axis.set_major_locator(MultipleLocator(next((step for step in _TICKS_S if span_s / step <= _MAX_TICKS), span_s)))
    axis.set_major_formatter(lambda seconds, _position: _passed(seconds))


def _timeline(ax: Any, running: RunningBatch, snapshot: BatchSnapshot) -> None:
    bars, slotted = _bars(running, snapshot)
    by_word: dict[str, list[_Bar]] = defaultdict(list)
    for bar in bars:
        by_word[bar.word].append(bar)
    for word, mine in by_word.items():
        _draw(ax, mine, word)
    names = {bar.lane: bar.name for bar in bars}
    if len(bars) == len(names) <= _MAX_NAMED:
        ax.set_yticks(list(names), [name[:30] for name in names.values()])
    else:
        ax.set_ylabel("slot" if slotted else "row")
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.yaxis.set_major_formatter(lambda lane, _position: f"{lane + 1:g}")
    ax.invert_yaxis()
    if by_word:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize="small")


def _draw(ax: Any, bars: list[_Bar], word: str) -> None:
    """All bars of one state as one collection: 30 000 of them take a second."""
    from matplotlib.collections import PolyCollection

    half = 0.4 if max(bar.lane for bar in bars) < _MAX_PARTED else 0.5
    corners = [
        [
            (bar.start_s, bar.lane - half),
            (bar.start_s, bar.lane + half),
            (bar.start_s + bar.length_s, bar.lane + half),
            (bar.start_s + bar.length_s, bar.lane - half),
        ]
        for bar in bars
    ]
    few = len(bars) <= _MAX_OUTLINED
    look = {"edgecolor": "white", "linewidth": 0.4, "hatch": "////" if word == "failed" else None} if few else {"linewidth": 0.0}
    ax.add_collection(PolyCollection(corners, facecolor=COLORS[word], label=f"{len(bars)} {word}", **look))
    ax.autoscale_view()


def _bars(running: RunningBatch, snapshot: BatchSnapshot) -> tuple[list[_Bar], bool]:
    """The attempts by their slots, as the live timeline has them, and True; where no slots are known by the first row that is free."""
    begin_ms, now_ms = snapshot.started_ms or 0, snapshot.ended_ms or int(time.time() * 1000)
    attempts = []
    for job, view in zip(running.spec.jobs, snapshot.jobs, strict=True):
        for attempt in view.attempts:
            if attempt.started_ms is not None:
                last = attempt.number == view.attempt
                word = word_of(view) if last else "failed"
                end_ms = attempt.ended_ms or now_ms
                attempts.append((attempt.started_ms, end_ms, word, job.display_name, attempt.slot))
    attempts.sort()
    slotted = any(slot >= 0 for *_, slot in attempts)
    lanes = [slot for *_, slot in attempts] if slotted else _lanes((start, end) for start, end, *_ in attempts)
    bars = [
        _Bar(lane, (start - begin_ms) / 1000, max(1, end - start) / 1000, word, name)
        for lane, (start, end, word, name, _) in zip(lanes, attempts, strict=True)
        if lane >= 0
    ]
    return bars, slotted


def _lanes(spans: Iterable[tuple[int, int]]) -> list[int]:
    """The first row that is free for each of the spans, which come by their starts."""
    import heapq

    free: list[int] = []
    busy: list[tuple[int, int]] = []
    lanes = []
    for start, end in spans:
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (end, lane))
        lanes.append(lane)
    return lanes


def _cost(ax: Any, running: RunningBatch, snapshot: BatchSnapshot) -> None:
    """What accrued by the ends of jobs: dollars, or core hours where nothing is charged."""
    charged = snapshot.cost_usd > 0
    begin_ms = snapshot.started_ms or 0
    gains = []
    for job, view in zip(running.spec.jobs, snapshot.jobs, strict=True):
        for attempt in view.attempts if not charged else ():
            if attempt.started_ms is not None and attempt.ended_ms is not None:
                cores = (job.request.cpu_mcpu or 1000) / 1000
                gains.append((attempt.ended_ms, cores * (attempt.ended_ms - attempt.started_ms) / 3_600_000))
        if charged and view.cost_usd:
            gains.append((view.ended_ms or begin_ms, view.cost_usd))
    seconds, totals = [0.0], [0.0]
    for moment_ms, gain in sorted(gains):
        seconds.append((moment_ms - begin_ms) / 1000)
        totals.append(totals[-1] + gain)
    ax.step(seconds, totals, where="post", color="#0072B2")
    ax.fill_between(seconds, totals, step="post", color="#0072B2", alpha=0.15, linewidth=0)
    ax.set_ylabel("dollars" if charged else f"core hours\n({running.cost_text()})")
    ax.set_ylim(bottom=0)


_KINDS: dict[str, Callable[[Any, RunningBatch, BatchSnapshot], None]] = {"timeline": _timeline, "cost": _cost}


def _moment(time_ms: int | None) -> str:
    return "the start" if time_ms is None else f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _passed(seconds: float) -> str:
    """'5 s', '1:30 min', '10 min', '2:05 h'."""
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes}:{rest:02d} min" if rest else f"{minutes} min"
    return f"{minutes // 60}:{minutes % 60:02d} h"

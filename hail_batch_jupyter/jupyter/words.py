"""The words, signs and colours of states, the same everywhere, and a run in a line of text."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape

from hail_batch_jupyter.core.events import BatchSnapshot, JobView
from hail_batch_jupyter.core.state import BatchState, JobState
from hail_batch_jupyter.core.units import format_duration
from hail_batch_jupyter.observe.running import RunningBatch

STATE_WORDS = {
    JobState.PENDING: "waiting",
    JobState.READY: "waiting",
    JobState.CREATING: "waiting",
    JobState.RUNNING: "running",
    JobState.SUCCESS: "succeeded",
    JobState.FAILED: "failed",
    JobState.ERROR: "failed",
    JobState.CANCELLED: "cancelled",
}
"""Fewer words than states, those of the widget; a success that was taken over is REUSED."""
REUSED = "reused"
WORDS = ("succeeded", REUSED, "running", "failed", "cancelled", "waiting")
"""In the order of the widget's bar and counts."""
GLYPHS = {
    "succeeded": "✓",
    REUSED: "↻",
    "running": "▶",
    "failed": "✗",
    "cancelled": "⊘",
    "waiting": "○",
    "failing": "▶",
    "cancelling": "▶",
    "stopped": "!",
    "ended": "■",
}
"""Every state of a job or a run is a shape and a word, not a colour alone."""
_GREEN, _TEAL, _BLUE, _RED, _GREY = "#328837", "#008591", "#1976e1", "#d84040", "#707983"
COLORS = {
    "succeeded": _GREEN,
    REUSED: _TEAL,
    "running": _BLUE,
    "failed": _RED,
    "cancelled": _GREY,
    "waiting": _GREY,
    "failing": _RED,
    "cancelling": _GREY,
    "stopped": _RED,
    "ended": _GREY,
}
"""Of signs and bars: each has a contrast of 4.2 at least to white and to #111. No colour has the 4.5 of text to both, so words keep the text's own."""
_URGENT = ("failed", "running", "waiting", "cancelled", "succeeded", REUSED)
_ENDED = {BatchState.SUCCESS: "succeeded", BatchState.FAILURE: "failed", BatchState.CANCELLED: "cancelled"}
_GOING_ON = {BatchState.FAILURE: "failing", BatchState.CANCELLED: "cancelling"}


def plural(count: int, noun: str) -> str:
    """'1 job', '3 jobs'."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def word_of(view: JobView) -> str:
    """One of WORDS."""
    return REUSED if view.reused else STATE_WORDS[view.state]


def tally(views: Iterable[JobView]) -> Counter[str]:
    """How many jobs each word is said of."""
    counts: Counter[str] = Counter()
    for (state, reused), count in Counter([(view.state, view.reused) for view in views]).items():
        counts[REUSED if reused else STATE_WORDS[state]] += count
    return counts


def urgent_word(counts: Mapping[str, int]) -> str:
    """The word that says most about several jobs: what failed first, then what goes on, then what is over."""
    return next((word for word in _URGENT if counts.get(word)), "waiting")


def run_word(snapshot: BatchSnapshot) -> str:
    """What is said of the whole: a person asks first whether it still goes on.

    'running', 'failing', 'cancelling', or at its end 'succeeded', 'failed', 'cancelled'; 'stopped' when its runner ended before it.
    """
    if snapshot.ended_ms is None:
        return _GOING_ON.get(snapshot.state, "running")
    return "stopped" if snapshot.lost else _ENDED.get(snapshot.state, "running")


def note_text(running: RunningBatch, snapshot: BatchSnapshot) -> str:
    """What there is to say about the run beside its states, with the way on; '' mostly."""
    note = f"{snapshot.note}; %batch_run runs what is missing" if snapshot.lost else snapshot.note
    waits = f"Jobs wait for {running.waits_for}" if running.waits_for and snapshot.ended_ms is None else ""
    return " · ".join([part for part in (note, waits) if part])


def waits_text(running: RunningBatch, view: JobView) -> str:
    """'waits for …' of a job that could begin, where the run tells what for; '' for others."""
    return f"waits for {running.waits_for}" if view.state is JobState.READY and running.waits_for else ""


def glyph_html(word: str) -> str:
    """The sign in its colour; the word beside it says the same."""
    return f'<span style="color:{COLORS[word]}" aria-hidden="true">{GLYPHS[word]}</span>'


def state_html(word: str, more: str = "") -> str:
    """Sign and word, and more text behind it."""
    return f"{glyph_html(word)} {escape(word + more)}"


def counts_text(counts: Mapping[str, int]) -> str:
    """'9 succeeded, 3 reused, 2 running, 1 failed, 4 waiting'; words that count nothing are left out."""
    return ", ".join([f"{counts[word]} {word}" for word in WORDS if counts.get(word)]) or "no jobs"


def done_count(counts: Mapping[str, int]) -> int:
    """Jobs with a result: those that succeeded here or in an earlier run."""
    return counts.get("succeeded", 0) + counts.get(REUSED, 0)


def elapsed_s(snapshot: BatchSnapshot, now_ms: int) -> float:
    """Seconds from the start to the end, or to now."""
    if snapshot.started_ms is None:
        return 0.0
    return max(0.0, ((snapshot.ended_ms or now_ms) - snapshot.started_ms) / 1000)


def took_text(seconds: float) -> str:
    """'31 s'; '<0.1 s' for what is too short to say."""
    return "<0.1 s" if 0 < seconds < 0.05 else format_duration(seconds)


def done_text(snapshot: BatchSnapshot) -> str:
    """'12 of 26 jobs done after 31 s; 12 succeeded, 2 running, 12 waiting', '26 of 26 jobs done in 41 s'."""
    counts, total = tally(snapshot.jobs), len(snapshot.jobs)
    took = took_text(elapsed_s(snapshot, int(time.time() * 1000)))
    done = f"{done_count(counts)} of {plural(total, 'job')} done {'after' if snapshot.ended_ms is None else 'in'} {took}"
    return done if counts["succeeded"] == total else f"{done}; {counts_text(counts)}"


def progress_text(running: RunningBatch, snapshot: BatchSnapshot) -> str:
    """'quickstart: running, 12 of 26 jobs done after 31 s; 12 succeeded, 2 running, 12 waiting'."""
    paused = f"; no news for now, but the run goes on: {running.paused}" if running.paused else ""
    waits = f"; jobs wait for {running.waits_for}" if running.waits_for and snapshot.ended_ms is None else ""
    return f"{running.name}: {run_word(snapshot)}, {done_text(snapshot)}{waits}{paused}"


def clock_text(time_ms: int) -> str:
    """Local time of day, with the date when it is not today's: '10:31', '3 Mar 10:31'."""
    then, today = time.localtime(time_ms / 1000), time.localtime()
    text = time.strftime("%H:%M", then)
    return text if then[:3] == today[:3] else f"{then.tm_mday} {time.strftime('%b', then)} {text}"

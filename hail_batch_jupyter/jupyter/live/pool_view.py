"""The progress of an executor's calls: one line under each cell that makes some, brought up to date by its display id.

Plain HTML that is published anew needs no comm and no script: it moves while a cell blocks the kernel, and a saved notebook has its last state.
"""

from __future__ import annotations

import secrets
import threading
import time
import weakref
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any  # IPython carries no types

from hail_batch_jupyter.core.units import format_duration
from hail_batch_jupyter.jupyter.display import current_shell, publish
from hail_batch_jupyter.jupyter.live.publisher import PUBLISHER
from hail_batch_jupyter.jupyter.words import COLORS, glyph_html, plural

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.pool_book import PoolCounts

INTERVAL_S = 0.4
"""With what is told at the start and the end of a cell, no second sees more than four messages."""
_BAR_PX = 160


def show_pool(name: str, counts: Callable[[], PoolCounts]) -> PoolView:
    """Show the line under the cell that is running; it goes on by itself."""
    shell = current_shell()
    if not any(view.shell is shell for view in _VIEWS):
        shell.events.register("post_run_cell", _after_cell)
    view = PoolView(shell, name, counts)
    _VIEWS.add(view)
    view.touch()
    return view


class PoolView:
    """One executor's line, however many cells show it."""

    def __init__(self, shell: Any, name: str, counts: Callable[[], PoolCounts]) -> None:
        self.shell = shell
        self.title = f"executor {name}"
        self._name = name
        self._counts = counts
        self._display_id = secrets.token_hex(16)
        self._cell = -1
        self._watched = False
        self._told = ""
        self._told_s = 0.0
        self._lock = threading.Lock()

    def touch(self) -> None:
        """Note that a call was made: show the line here if this cell does not, and have it brought up to date."""
        if threading.current_thread() is threading.main_thread() and self.shell.execution_count != self._cell:
            self._cell = self.shell.execution_count
            self._publish(update=False)
        if not self._watched:
            self._watched = True
            PUBLISHER.watch(self, self._end_watch)

    @property
    def ended(self) -> bool:
        """Whether no call is open, told or not."""
        return not _is_busy(self._counts())

    def tick(self) -> bool:
        """Bring the line up to date if it is time; False when no call is open."""
        if time.monotonic() - self._told_s >= INTERVAL_S:
            self._publish(update=True)
        return not self.ended

    def flush(self) -> None:
        """Bring the line up to date now."""
        self._publish(update=True)

    def _end_watch(self) -> None:
        self._watched = False
        self.flush()
        if not self.ended:  # a call was made since the tick
            self.touch()

    def _publish(self, update: bool) -> None:
        with self._lock:
            counts = self._counts()
            text = pool_text(self._name, counts)
            if update and text == self._told:
                return
            self._told, self._told_s = text, time.monotonic()
            publish(self.shell, ({"text/plain": text, "text/html": pool_html(self._name, counts)}, {}), self._display_id, update=update)


_VIEWS: weakref.WeakSet[PoolView] = weakref.WeakSet()


def _after_cell(result: Any = None) -> None:  # noqa: ARG001 - IPython gives it
    for view in list(_VIEWS):
        view.flush()


def _is_busy(counts: PoolCounts) -> bool:
    return counts.ended < counts.submitted


def pool_text(name: str, counts: PoolCounts) -> str:
    """'BatchPoolExecutor-x1y2: 12 of 100 calls done after 3.1 s; 2 running, 1 failed; 4.2/s'."""
    return f"{name}: {'; '.join(_parts(counts))}"


def _parts(counts: PoolCounts) -> list[str]:
    kinds = [(counts.running, "running"), (counts.failed, "failed"), (counts.cancelled, "cancelled")]
    rate = counts.n_in_busy / counts.busy_s if counts.busy_s > 0 else 0.0
    parts = [
        f"{counts.succeeded} of {plural(counts.submitted, 'call')} done {'after' if _is_busy(counts) else 'in'} {format_duration(counts.busy_s)}",
        ", ".join(f"{number} {word}" for number, word in kinds if number),
        f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s" if rate else "",
    ]
    return [part for part in parts if part]


def pool_html(name: str, counts: PoolCounts) -> str:
    """The line as HTML in the colours of the theme: no script, no style sheet, all text escaped."""
    word = "running" if _is_busy(counts) else "failed" if counts.failed else "cancelled" if counts.cancelled else "succeeded"
    words = "".join(f"<span>{escape(part)}</span>" for part in _parts(counts))
    style = (
        "display:flex;flex-wrap:wrap;align-items:center;gap:2px 10px;font-family:var(--jp-ui-font-family,sans-serif);"
        "font-size:var(--jp-ui-font-size1,13px);font-variant-numeric:tabular-nums;color:var(--jp-ui-font-color1,inherit)"
    )
    return f'<div style="{style}">{glyph_html(word)}{_bar(name, counts)}<b>{escape(name)}</b>{words}</div>'


def _bar(name: str, counts: PoolCounts) -> str:
    kinds = [(counts.succeeded, "succeeded"), (counts.failed, "failed"), (counts.cancelled, "cancelled"), (counts.running, "running")]
    total = max(1, counts.submitted)
    pieces = "".join(f'<span style="width:{100 * number / total:.2f}%;background:{COLORS[word]}"></span>' for number, word in kinds if number)
    label = f'role="progressbar" aria-label="calls of {escape(name)}" aria-valuemin="0" aria-valuemax="{counts.submitted}" aria-valuenow="{counts.ended}"'
    return f'<span {label} style="display:inline-flex;width:{_BAR_PX}px;height:8px;background:#8885">{pieces}</span>'

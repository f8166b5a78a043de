"""Shows runs where the user looks: as the live widget, as HTML that is brought up to date, or as a line of text."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any  # IPython carries no types

from hail_batch_jupyter.backends.origin import cell_id
from hail_batch_jupyter.jupyter.feed import Feed
from hail_batch_jupyter.jupyter.graph import Message
from hail_batch_jupyter.jupyter.publisher import PUBLISHER
from hail_batch_jupyter.jupyter.words import progress_text
from hail_batch_jupyter.observe.running import RunningBatch


@dataclass
class Shown:
    """A run that is on display: its feed, the widget if there is one, and the outputs that show it."""

    feed: Feed
    widget: Any
    display_ids: list[str] = field(default_factory=list)


_SHOWN: dict[str, Shown] = {}
"""By run id: a run has one widget, however often it is displayed."""


def show_run(running: RunningBatch) -> None:
    """Display the run under the cell that is running; returns at once, the display goes on by itself.

    Where there is no kernel, as in IPython's terminal, it is one line of text.
    """
    shell = current_shell()
    if not has_kernel(shell):
        print(progress_text(running, running.snapshot()))
        return
    shown = _SHOWN.get(str(running.id))
    if shown is None:
        shown = _SHOWN[str(running.id)] = _make(running)
    display_id = secrets.token_hex(16)
    shown.display_ids.append(display_id)
    publish(shell, _bundle(shown), display_id)
    if shown.widget is not None:
        shown.feed.tell_all()
    if running.snapshot().ended_ms is None:
        shell.events.register("post_run_cell", PUBLISHER.finish_ended)  # the kernel may end with the cell
        PUBLISHER.watch(shown.feed, lambda: _refresh(shell, shown))


def has_kernel(shell: Any) -> bool:
    """Whether outputs go to a notebook or another client of a kernel."""
    return getattr(shell, "kernel", None) is not None


def is_live(running: RunningBatch) -> bool:
    """Whether a browser shows the run's widget.

    It says so itself, but a busy kernel reads that only after the cells that were asked for at once (Run All).
    So a front end that names its cells is taken for one that shows widgets: those that only execute notebooks do not.
    """
    shown = _SHOWN.get(str(running.id))
    return shown is not None and shown.widget is not None and (shown.feed.heard or bool(cell_id(current_shell())))


def publish(shell: Any, bundle: tuple[dict[str, Any], dict[str, Any]], display_id: str, update: bool = False) -> None:
    """Send a display, or the new content of one, addressed by its id: right from any thread."""
    data, metadata = bundle
    shell.display_pub.publish(data=data, metadata=metadata, transient={"display_id": display_id}, update=update)


def current_shell() -> Any:
    """IPython's shell, None outside of it."""
    from IPython.core.getipython import get_ipython

    return get_ipython()


def _make(running: RunningBatch) -> Shown:
    from hail_batch_jupyter.jupyter import widget

    if not widget.WIDGET_JS.exists():
        return Shown(Feed(running, _nowhere), None)
    made = widget.widget_class()(running)
    return Shown(made.feed, made)


def _nowhere(content: Message, buffer: bytes | None) -> None:
    """Takes messages where no widget was built; the HTML is brought up to date instead."""


def _bundle(shown: Shown) -> tuple[dict[str, Any], dict[str, Any]]:
    from hail_batch_jupyter.jupyter.widget import still_bundle

    if shown.widget is None:
        return still_bundle(shown.feed), {}
    bundle: tuple[dict[str, Any], dict[str, Any]] = shown.widget._repr_mimebundle_()
    return bundle


def _refresh(shell: Any, shown: Shown) -> None:
    """Bring every saved output of the run to its final state."""
    for display_id in shown.display_ids:
        publish(shell, _bundle(shown), display_id, update=True)

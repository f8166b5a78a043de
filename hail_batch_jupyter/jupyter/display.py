"""Shows runs where the user looks: as the live widget, as HTML that is brought up to date, or as a line of text."""

from __future__ import annotations

import importlib.util
import secrets
import sys
from dataclasses import dataclass, field
from typing import Any  # IPython carries no types

from hail_batch_jupyter.backends.origin import cell_id
from hail_batch_jupyter.errors import BatchException
from hail_batch_jupyter.jupyter.live.feed import Feed
from hail_batch_jupyter.jupyter.live.publisher import PUBLISHER
from hail_batch_jupyter.jupyter.words import progress_text
from hail_batch_jupyter.observe.running import RunningBatch


@dataclass
class Shown:
    """A run that is on display: its feed, its widget if there is one, and the outputs that show it or a view of it, None for the run as HTML.

    in_browser  a front end that names its cells asked for it: those that only execute notebooks do not
    """

    feed: Feed
    widget: Any = None
    outputs: dict[str, Any] = field(default_factory=dict)
    in_browser: bool = False

    @property
    def live(self) -> bool:
        """Whether somebody shows the widget."""
        return self.widget is not None and (self.feed.heard or self.in_browser)


_SHOWN: dict[str, Shown] = {}
"""By `key_of` a run, which has one feed and one widget, however often it is displayed, and any number of views."""


def key_of(running: RunningBatch) -> str:
    """What no other run has: its id; for a part of a batch of a service its address and the numbers of its jobs."""
    if running.url is None:
        return str(running.id)
    jobs = running.spec.jobs
    return f"{running.url}#{f'{jobs[0].job_id}-{jobs[-1].job_id}' if jobs else ''}"


def show_run(running: RunningBatch) -> None:
    """Display the run under the cell that is running; returns at once, the display goes on by itself.

    Where there is no kernel, as in IPython's terminal, it is one line of text.
    """
    if not has_kernel(current_shell()):
        print(progress_text(running, running.snapshot()))
        return
    shown = _shown(running)
    if shown.widget is None and can_live():
        from hail_batch_jupyter.jupyter.live.widget import widget_class

        shown.widget = widget_class()(shown.feed, show_widget)
    _show(shown, shown.widget)
    if shown.widget is not None:
        shown.feed.tell_all()


def run_view(running: RunningBatch, method: str) -> Any:
    """A widget with one view of the run, a new one at each call; all of them have the run's one feed.

    Raises BatchException where anywidget is not installed or the browser's part of this package was not built.
    """
    from hail_batch_jupyter.jupyter.live.widget import VIEWS, widget_class

    if not can_live():
        raise BatchException(
            f"run.{method}() needs anywidget and the browser's part of hail_batch_jupyter, which this installation lacks; "
            f"pip install anywidget, and install the wheel or run 'make setup'"
        )
    shown = _shown(running)
    made = widget_class()(shown.feed, show_widget, VIEWS[method])
    _watch(shown)
    return made


def show_widget(widget: Any) -> None:
    """Display a view under the cell that is running; when the run has ended the output's HTML is brought up to date.

    Raises NotImplementedError where there is no kernel: IPython then shows the line of text.
    """
    if not has_kernel(current_shell()):
        raise NotImplementedError("there is no notebook to show a widget in")
    _show(_shown(widget.feed.running), widget)


def _shown(running: RunningBatch) -> Shown:
    return _SHOWN.setdefault(key_of(running), Shown(Feed(running)))


def _show(shown: Shown, widget: Any) -> None:
    display_id = secrets.token_hex(16)
    shown.outputs[display_id] = widget
    shown.in_browser = shown.in_browser or bool(cell_id(current_shell()))
    publish(current_shell(), _bundle(shown, widget), display_id)
    _watch(shown)


def _watch(shown: Shown) -> None:
    if shown.feed.ended:
        return
    shell = current_shell()
    if has_kernel(shell):
        shell.events.register("post_run_cell", PUBLISHER.finish_ended)  # the kernel may end with the cell
    PUBLISHER.watch(shown.feed, lambda: _refresh(shell, shown))


def can_live() -> bool:
    """Whether the browser's part was built, and anywidget is there to send it; else a run is shown as plain HTML."""
    from hail_batch_jupyter.jupyter.live import widget

    return widget.WIDGET_JS.exists() and importlib.util.find_spec("anywidget") is not None


def has_kernel(shell: Any) -> bool:
    """Whether outputs go to a notebook or another client of a kernel."""
    return getattr(shell, "kernel", None) is not None


def is_console(shell: Any) -> bool:
    """Whether text is read as it is printed: in IPython's terminal, or in a console of a kernel, which names no cells and can be asked for input."""
    if not has_kernel(shell):
        return sys.stdout.isatty()
    parent = getattr(shell, "parent_header", None)
    content = parent.get("content") if isinstance(parent, dict) else None
    return isinstance(content, dict) and bool(content.get("allow_stdin")) and not cell_id(shell)


def is_live(running: RunningBatch) -> bool:
    """Whether a browser shows the run's widget.

    It says so itself, but a busy kernel reads that only after the cells that were asked for at once (Run All).
    So a front end that names its cells is taken for one that shows widgets.
    """
    shown = _SHOWN.get(key_of(running))
    return shown is not None and shown.live


def publish(shell: Any, bundle: tuple[dict[str, Any], dict[str, Any]], display_id: str, update: bool = False) -> None:
    """Send a display, or the new content of one, addressed by its id: right from any thread."""
    data, metadata = bundle
    shell.display_pub.publish(data=data, metadata=metadata, transient={"display_id": display_id}, update=update)


def current_shell() -> Any:
    """IPython's shell, None outside of it."""
    from IPython.core.getipython import get_ipython

    return get_ipython()


def _bundle(shown: Shown, widget: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    from hail_batch_jupyter.jupyter.live.widget import still_bundle

    if widget is None:
        return still_bundle(shown.feed), {}
    bundle: tuple[dict[str, Any], dict[str, Any]] = widget._repr_mimebundle_()
    return bundle


def _refresh(shell: Any, shown: Shown) -> None:
    """Bring every saved output of the run to its final state; where notebooks are only executed, what is saved shows it without scripts."""
    if has_kernel(shell):
        for display_id, widget in shown.outputs.items():
            kept = None if widget is shown.widget and not shown.live else widget
            publish(shell, _bundle(shown, kept), display_id, update=True)

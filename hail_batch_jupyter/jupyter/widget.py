"""The live widget of one run: an anywidget that speaks in custom messages only, and its HTML for places without a kernel."""

from __future__ import annotations

import functools
import weakref
from pathlib import Path
from typing import Any  # ipywidgets and IPython carry no types

from hail_batch_jupyter.jupyter.feed import Feed
from hail_batch_jupyter.jupyter.graph import Message
from hail_batch_jupyter.jupyter.static import run_html
from hail_batch_jupyter.jupyter.words import progress_text
from hail_batch_jupyter.observe.running import RunningBatch

STATIC = Path(__file__).parent / "static"
WIDGET_JS = STATIC / "widget.js"
WIDGET_CSS = STATIC / "widget.css"
RUN_TYPE = "application/vnd.hail-batch-jupyter.run+json"
"""Makes JupyterLab choose this project's own renderer, which shows the HTML below when the kernel no longer has the widget."""


@functools.cache
def widget_class() -> Any:
    """The widget's class; made, and anywidget imported, when the first run is displayed."""
    import anywidget

    class RunWidget(anywidget.AnyWidget):
        """Shows one run."""

        _esm = WIDGET_JS
        _css = WIDGET_CSS

        def __init__(self, running: RunningBatch) -> None:
            super().__init__()
            self.feed = Feed(running, _sender(self))
            self.on_msg(_receive)

        def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
            bundle = super()._repr_mimebundle_(**kwargs)
            assert bundle is not None, "the widget has a view"
            own = {RUN_TYPE: {"version": 1, "run": str(self.feed.running.id)}}
            return {**bundle[0], **own, **still_bundle(self.feed)}, bundle[1]

    return RunWidget


def _sender(widget: Any) -> Any:
    """Sends through the widget without keeping it alive."""
    reference = weakref.ref(widget)

    def send(content: Message, buffer: bytes | None) -> None:
        target = reference()
        if target is not None and target.comm is not None:
            target.send(content, [] if buffer is None else [buffer])

    return send


def _receive(widget: Any, content: Any, buffers: Any) -> None:  # noqa: ARG001 - ipywidgets calls it so
    if isinstance(content, dict):
        widget.feed.receive(content)


def still_bundle(feed: Feed) -> dict[str, str]:
    """The run as plain HTML and as a line of text, as it is now."""
    snapshot = feed.running.snapshot()
    return {"text/plain": progress_text(feed.running, snapshot), "text/html": run_html(feed.running, snapshot, feed.graph)}

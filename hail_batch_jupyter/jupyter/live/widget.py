"""The live widgets of runs: an anywidget that speaks in custom messages only, whole or one view of it, and its HTML for places without a kernel."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any  # ipywidgets and IPython carry no types

from hail_batch_jupyter.jupyter.live.feed import Feed
from hail_batch_jupyter.jupyter.live.graph import Message
from hail_batch_jupyter.jupyter.static import progress_html, run_html
from hail_batch_jupyter.jupyter.words import progress_text, run_word, tally

if TYPE_CHECKING:
    from hail_batch_jupyter.core.events import BatchSnapshot

STATIC = Path(__file__).parents[1] / "static"
WIDGET_JS = STATIC / "widget.js"
WIDGET_CSS = STATIC / "widget.css"
RUN_TYPE = "application/vnd.hail-batch-jupyter.run+json"
"""Makes JupyterLab choose this project's own renderer, which shows the HTML below when the kernel no longer has the widget."""
WHOLE, PROGRESS = "", "progress"
VIEWS = {"dag": "graph", "timeline": "timeline", "table": "jobs", "cost": "resources", PROGRESS: PROGRESS}
"""Method of a run -> the browser's name of the view."""


@functools.cache
def widget_class() -> Any:
    """The widget's class; made, and anywidget imported, when the first run is displayed."""
    import anywidget
    import traitlets

    class RunWidget(anywidget.AnyWidget):
        """Shows one run, or one view of it.

        selected_job   job_id that was chosen last in this view, or is to be marked in it; None for none
        counts         jobs by word: 'succeeded', 'reused', 'running', 'failed', 'cancelled', 'waiting'
        state          'running', 'failing', 'cancelling', at the end 'succeeded', 'failed', 'cancelled' or 'stopped'
        cost_usd       dollars so far

        The last three are set on a thread of the kernel's, four times a second at most.
        """

        _esm = WIDGET_JS
        _css = WIDGET_CSS
        view = traitlets.Unicode(WHOLE).tag(sync=True)
        selected_job = traitlets.Int(None, allow_none=True).tag(sync=True, to_json=_number_of, from_json=_job_id_of)
        counts = traitlets.Dict()
        state = traitlets.Unicode()
        cost_usd = traitlets.Float(0.0)

        def __init__(self, feed: Feed, show: Callable[[Any], None], view: str = WHOLE) -> None:
            self.feed = feed
            self.show = show
            super().__init__(view=view)
            self.page = _sender(self)
            _follow(self, feed.running.snapshot())
            feed.join(self.page, _follower(self))
            self.on_msg(_receive)

        @traitlets.validate("selected_job")
        def _known_job(self, proposal: dict[str, Any]) -> int | None:
            return known_job(self.feed, proposal["value"])

        def close(self) -> None:
            """Take the view off the page; the run goes on, and so do its other views."""
            if hasattr(self, "page"):
                self.feed.leave(self.page)
            super().close()

        def _ipython_display_(self) -> None:
            self.show(self)

        def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
            bundle = super()._repr_mimebundle_(**kwargs)
            assert bundle is not None, "the widget has a view"
            own = {RUN_TYPE: {"version": 1, "run": str(self.feed.running.id)}}
            return {**bundle[0], **own, **still_bundle(self.feed, self.view)}, bundle[1]

    return RunWidget


def known_job(feed: Feed, job_id: int | None) -> int | None:
    """The number of a job of the run, or None.

    Raises TraitError naming those there are.
    """
    from traitlets import TraitError

    jobs: Sequence[Any] = feed.running.spec.jobs
    if job_id is None or (jobs and jobs[0].job_id <= job_id <= jobs[-1].job_id):
        return job_id
    there = f"its jobs are {jobs[0].job_id} to {jobs[-1].job_id}" if jobs else "it has no jobs"
    raise TraitError(f"selected_job {job_id!r}: run {feed.running.id} has no such job; {there}, or None")


def _number_of(job_id: int | None, widget: Any) -> int | None:
    """The browser counts jobs from 0."""
    return None if job_id is None else job_id - widget.feed.running.spec.jobs[0].job_id


def _job_id_of(number: int | None, widget: Any) -> int | None:
    return None if number is None else number + widget.feed.running.spec.jobs[0].job_id


def _sender(widget: Any) -> Any:
    """Sends through the widget without keeping it alive."""
    reference = weakref.ref(widget)

    def send(content: Message, buffer: bytes | None) -> None:
        target = reference()
        if target is not None and target.comm is not None:
            target.send(content, [] if buffer is None else [buffer])

    return send


def _follower(widget: Any) -> Any:
    """Sets the widget's traits without keeping it alive."""
    reference = weakref.ref(widget)

    def follow(snapshot: BatchSnapshot) -> None:
        target = reference()
        if target is not None:
            _follow(target, snapshot)

    return follow


def _follow(widget: Any, snapshot: BatchSnapshot) -> None:
    """All of them are set before the first is told."""
    with widget.hold_trait_notifications():
        widget.counts = dict(tally(snapshot.jobs))
        widget.state = run_word(snapshot)
        widget.cost_usd = snapshot.cost_usd


def _receive(widget: Any, content: Any, buffers: Any) -> None:  # noqa: ARG001 - ipywidgets calls it so
    if isinstance(content, dict):
        widget.feed.receive(content, widget.page)


def still_bundle(feed: Feed, view: str = WHOLE) -> dict[str, str]:
    """The run as plain HTML and as a line of text, as it is now."""
    snapshot = feed.running.snapshot()
    html = progress_html(feed.running, snapshot) if view == PROGRESS else run_html(feed.running, snapshot, feed.graph)
    return {"text/plain": progress_text(feed.running, snapshot), "text/html": html}

"""What a run shows of itself: tables, a picture and live views. They are made by the notebook's part of the package, when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.core.registry import hook

if TYPE_CHECKING:
    import pandas as pd


class Looking:
    """The tables, the picture and the live views of a RunningBatch."""

    def jobs_frame(self, q: str | None = None) -> pd.DataFrame:
        """One row a job as it is now; `q` keeps those of a state ('failed', 'waiting', 'reused' …) or with this text in the name.

        job_id            int64
        name              string
        state             category with all eight states
        attempt           string, the number of the last one
        start, end        datetime64[ms, UTC] of the last attempt
        duration_s        float64, seconds of the last attempt, until now while it runs
        exit_code         Int64
        reason            string
        cores             float64, asked for; 1 where nothing was said
        max_rss_bytes     Int64, resident memory of its largest process at its peak
        max_rss_at_most   bool, that memory may have been less: as a process a job is not told from the process that started it
        cost_usd          float64, dollars of all attempts
        parents           object, list of job_id
        reused            bool, taken over from an earlier run
        cores_granted, cores_used              float64, the latter on average
        memory_bytes, memory_granted_bytes     Int64, asked for and given; <NA> where nothing is counted
        gpus              string, their numbers
        group             string
        hint              string, where it asked for four times what it used

        A notebook shows states in colour and words, and durations, memory and cost as people read them: those that failed first, then those that run, then the
        slowest, in 40 kB at any size.
        """
        frame: pd.DataFrame = hook("jobs_frame")(self, q)
        return frame

    def attempts_frame(self, q: str | None = None) -> pd.DataFrame:
        """One row an attempt, in the order of the jobs; `q` as in `jobs_frame`.

        job_id, attempt                        int64
        name, reason, gpus                     string
        node                                   string, '' on this machine
        start, end                             datetime64[ms, UTC]
        duration_s                             float64, seconds, until now while it runs
        exit_code                              Int64
        cores, cores_granted, cores_used       float64
        memory_bytes, memory_granted_bytes, max_rss_bytes     Int64
        max_rss_at_most                        bool, as in `jobs_frame`
        """
        frame: pd.DataFrame = hook("attempts_frame")(self, q)
        return frame

    def plot(self, kind: str = "timeline", ax: Any = None) -> Any:  # matplotlib's Axes, which need not be installed
        """A picture of the run as it is now, drawn by matplotlib; gives its Axes.

        'timeline' has a bar for each attempt, one row a slot; 'cost' is what has accrued over time, in dollars, or in core hours where nothing is charged.
        Draws into `ax` if there is one. Raises MissingPackageError without matplotlib, BatchException for another kind.
        """
        return hook("plot_run")(self, kind, ax)

    def dag(self) -> Any:  # an ipywidget
        """The live graph of jobs as a widget of its own: alone, in boxes and tabs of ipywidgets, in Voilà.

        This and the four below are ipywidgets with these traits to observe and to link:

        selected_job   job_id that was chosen last, None for none; setting it marks the job
        counts         dict of jobs by word: 'succeeded', 'reused', 'running', 'failed', 'cancelled', 'waiting'
        state          'running', 'failing', 'cancelling', at the end 'succeeded', 'failed', 'cancelled' or 'stopped'
        cost_usd       float, dollars so far

        The last three change four times a second at most, on a thread of the kernel's: what an observer prints there is not seen under a cell, widgets that it
        sets are. All views of a run share what the kernel reads and tells; `close()` ends one.
        """
        return hook("run_view")(self, "dag")

    def timeline(self) -> Any:  # an ipywidget
        """The live timeline by slots as a widget of its own, see `dag`."""
        return hook("run_view")(self, "timeline")

    def table(self) -> Any:  # an ipywidget
        """The live table of jobs as a widget of its own, see `dag`."""
        return hook("run_view")(self, "table")

    def cost(self) -> Any:  # an ipywidget
        """Live cost and resources as a widget of their own, see `dag`."""
        return hook("run_view")(self, "cost")

    def progress(self) -> Any:  # an ipywidget
        """One live line with name, state, time, cost and counts, and the button to cancel, see `dag`."""
        return hook("run_view")(self, "progress")

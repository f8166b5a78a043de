"""The project's speed targets and whether this run met them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.case import BUILT, LARGE, LAYOUTS, Outcome

SAME_WITHIN = 1.10
"""'No more than' between two measurements of one thing: ten per cent is what repetitions differ by."""
LINEAR_WITHIN = 2
"""'Linear' between ten times as many jobs: caches and the garbage collector make each a little slower, a square law ten times."""


class Medians:
    """The median of every named value of every case; a missing one raises KeyError with the reason."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self._outcomes = {outcome.case.name: outcome for outcome in outcomes}

    def __call__(self, case: str, value: str) -> float:
        """The median over the samples of the case."""
        outcome = self._outcomes.get(case)
        if outcome is None:
            raise KeyError(f"{case} was not asked for")
        if not outcome.samples:
            raise KeyError(f"{case}: {outcome.problem or 'no sample'}")
        return median(sample[value] for sample in outcome.samples)

    def largest(self, case: str, value: str) -> float:
        """The largest value over the samples of the case, for limits that every message has to keep."""
        self(case, value)
        return max(sample[value] for sample in self._outcomes[case].samples)


@dataclass(frozen=True)
class Target:
    """One bar: `measured` and `bar` take the medians and give numbers in `unit`; `at_least` says which way is good."""

    name: str
    unit: str
    measured: Callable[[Medians], float]
    bar: Callable[[Medians], float]
    at_least: bool = False


@dataclass(frozen=True)
class Verdict:
    """A target after the run: `measured` and `bar` are None when a needed case has no sample, `reason` says why."""

    target: Target
    measured: float | None = None
    bar: float | None = None
    reason: str = ""

    @property
    def word(self) -> str:
        """'met', 'MISSED' or 'not measured'."""
        if self.measured is None or self.bar is None:
            return "not measured"
        good = self.measured >= self.bar if self.target.at_least else self.measured <= self.bar
        return "met" if good else "MISSED"


def _fixed(number: float) -> Callable[[Medians], float]:
    return lambda _: number


def _large(shape: str, words: str) -> tuple[Target, Target]:
    held = Target(f"memory of {words}, described and compiled", "bytes a job", lambda m: m(f"ours-large-{shape}", "bytes_per_job"), _fixed(2000))
    linear = Target(f"time of {words}, against that of a tenth of them", "us a job",
                    lambda m: m(f"ours-large-{shape}", "us_per_job"), lambda m: LINEAR_WITHIN * m(f"ours-large-{shape}", "us_per_job_of_a_tenth"))  # fmt: skip
    return held, linear


def _built(shape: str, words: str) -> Target:
    return Target(f"describing {words}, at least twice hailtop's speed", "jobs/s",
                  lambda m: m(f"ours-build-{shape}", "built_jobs_per_s"),
                  lambda m: 2 * m(f"hailtop-build-{shape}", "built_jobs_per_s"), at_least=True)  # fmt: skip


def _panned(size: str, jobs: str) -> Target:
    return Target(f"a frame while the graph of {jobs} jobs is moved", "ms", lambda m: m(f"ours-page-{size}", "pan_frame_ms"), _fixed(25))


def _table_scrolled(size: str, jobs: str) -> Target:
    return Target(f"a frame while the table of {jobs} jobs is scrolled", "ms", lambda m: m(f"ours-page-{size}", "table_frame_ms"), _fixed(25))


def _timeline_moved(size: str, jobs: str) -> Target:
    return Target(f"a frame while the timeline of {jobs} jobs is moved", "ms", lambda m: m(f"ours-page-{size}", "timeline_frame_ms"), _fixed(25))


def _table_drawn(size: str, jobs: str) -> Target:
    return Target(f"HTML of a table of {jobs} jobs", "ms", lambda m: m(f"ours-table-{size}", "html_ms"), _fixed(10))


def _table_weighed(size: str, jobs: str) -> Target:
    return Target(f"HTML of a table of {jobs} jobs", "bytes", lambda m: m.largest(f"ours-table-{size}", "html_bytes"), _fixed(40_000))


TARGETS: tuple[Target, ...] = (
    *[_built(shape, words) for shape, words in BUILT.items()],
    *[target for shape, words in LARGE.items() for target in _large(shape, words)],
    Target("no-op bash jobs, at least 85 % of the plain bash loop", "jobs/s",
           lambda m: m("ours", "jobs_per_s"), lambda m: 0.85 * m("spawn-bash", "jobs_per_s"), at_least=True),
    Target("Python jobs, each in a fresh process", "jobs/s",
           lambda m: m("ours-python", "jobs_per_s"), _fixed(250), at_least=True),
    Target("calls with a warm executor, at least as many as ProcessPoolExecutor makes", "calls/s",
           lambda m: m("ours-pool", "jobs_per_s"), lambda m: m("process-pool", "jobs_per_s"), at_least=True),
    Target("calls of a lambda, as many as of a named function", "calls/s",
           lambda m: m("ours-pool-lambda", "jobs_per_s"), lambda m: m("ours-pool", "jobs_per_s") / SAME_WITHIN, at_least=True),
    Target("first result of a warm executor", "ms", lambda m: m("ours-pool", "first_result_ms"), _fixed(5)),
    Target("one written output, more than a job without", "ms",
           lambda m: m("ours-output", "output_ms_per_job"), _fixed(1)),
    Target("a batch of 100 000 jobs submitted to the service, until committed", "s", lambda m: m("ours-service-submit", "submit_s"), _fixed(5)),
    Target("memory that the client takes for that, more than for the batch", "MB",
           lambda m: m("ours-service-submit", "client_more_mb"), _fixed(300)),
    Target("memory of the service when it is committed", "MB", lambda m: m("ours-service-submit", "server_mb"), _fixed(300)),
    Target("status of that batch", "ms", lambda m: m("ours-service-submit", "status_ms"), _fixed(20)),
    Target("a page of its jobs, at the worst of three offsets", "ms", lambda m: m("ours-service-submit", "page_ms"), _fixed(20)),
    Target("its page for a browser", "ms", lambda m: m("ours-service-submit", "ui_page_ms"), _fixed(100)),
    Target("no-op jobs through the service, at least half LocalBackend's rate", "jobs/s",
           lambda m: m("ours-service-noop", "jobs_per_s"), lambda m: 0.5 * m("ours", "jobs_per_s"), at_least=True),
    Target("a change is seen by a client of the service that waits", "ms", lambda m: m("ours-service-news", "news_ms"), _fixed(100)),
    Target("1 000 jobs of one shape submitted to Slurm, without what sbatch takes", "s", lambda m: m("ours-slurm-submit", "submit_s"), _fixed(2)),
    Target("import hail_batch_jupyter.batch, over bare Python", "ms",
           lambda m: m("ours-import", "process_ms") - m("bare-python", "process_ms"), _fixed(60)),
    Target("%load_ext, on top of that import", "ms", lambda m: m("ours-load-ext", "load_ext_ms"), _fixed(50)),
    Target("defining a %%batch_job cell", "ms", lambda m: m("ours-cell", "define_cell_ms"), _fixed(2)),
    Target("b.run(wait=False) returns, parent of 2 GB against 50 MB", "ms",
           lambda m: m("ours-parent-2gb", "run_returns_ms"),
           lambda m: SAME_WITHIN * m("ours-parent-50mb", "run_returns_ms")),
    Target("a job, parent of 2 GB against 50 MB", "ms",
           lambda m: m("ours-parent-2gb", "ms_per_job"), lambda m: SAME_WITHIN * m("ours-parent-50mb", "ms_per_job")),
    Target("first snapshot at 50 000 jobs", "bytes",
           lambda m: m.largest("ours-widget-50k", "snapshot_bytes"), _fixed(1_000_000)),
    Target("largest changes message at 10 000 jobs", "bytes",
           lambda m: m.largest("ours-widget-10k", "largest_changes_bytes"), _fixed(10_000)),
    Target("largest changes message at 50 000 jobs", "bytes",
           lambda m: m.largest("ours-widget-50k", "largest_changes_bytes"), _fixed(10_000)),
    Target("most widget messages in a second, 10 000 jobs", "messages",
           lambda m: m.largest("ours-widget-10k", "most_messages_in_a_second"), _fixed(4)),
    Target("kernel's share of a core, 10 000 jobs", "%",
           lambda m: m("ours-widget-10k", "kernel_core_percent"), _fixed(5)),
    *[Target(f"layout of {words}", "ms", lambda m, shape=shape: m(f"layout-ours-{shape}", "layout_ms"), _fixed(150)) for shape, words in LAYOUTS.items()],
    Target("first paint of 10 000 jobs after their snapshot", "ms", lambda m: m("ours-page-10k", "first_paint_ms"), _fixed(150)),
    *[frame(size, jobs) for size, jobs in (("10k", "10 000"), ("100k", "100 000")) for frame in (_panned, _table_scrolled, _timeline_moved)],
    Target("200 changes of 10 000 jobs, to the second frame after them", "ms", lambda m: m("ours-page-10k", "change_ms"), _fixed(2 * 17)),
    *[table(size, jobs) for size, jobs in (("10k", "10 000"), ("100k", "100 000")) for table in (_table_drawn, _table_weighed)],
    Target("a run of 10 000 jobs is back after a kernel restart", "ms", lambda m: m("ours-attach", "attach_ms"), _fixed(1000)),
    Target("a widget in a saved notebook with its state, 10 000 jobs", "bytes",
           lambda m: m.largest("ours-attach", "output_with_state_bytes"), _fixed(100_000)),
    Target("the panel with 1 000 runs", "ms", lambda m: m("ours-panel", "panel_ms"), _fixed(300)),
    Target("opening a log at its end, kernel blocked", "ms", lambda m: m("ours-busy-kernel", "open_ms"), _fixed(200)),
    Target("cancel of a run until it has ended, kernel blocked", "ms", lambda m: m("ours-busy-kernel", "cancel_ms"), _fixed(1000)),
    Target("DAG and progress, minified", "bytes", lambda m: m("ours-widget-10k", "bundle_bytes"), _fixed(60_000)),
)  # fmt: skip


def judge(outcomes: Sequence[Outcome]) -> list[Verdict]:
    """Every target with what was measured, in the order of TARGETS."""
    medians = Medians(outcomes)
    return [_verdict(target, medians) for target in TARGETS]


def _verdict(target: Target, medians: Medians) -> Verdict:
    try:
        return Verdict(target, target.measured(medians), target.bar(medians))
    except KeyError as missing:
        return Verdict(target, reason=str(missing.args[0]))

"""What is measured: a case is one tool doing one kind of work; a round asks it for one sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

BUILT = {"bash": "bash jobs", "chain": "a file along a chain", "scatter": "scatter and gather", "python": "Python jobs"}
"""Shape of what is described -> words for it; this project and its peer describe the same."""

LARGE = {"files": "jobs with one file each", "chain": "a chain of jobs with one file each"}
"""Shape of a large batch -> words for it."""

LAYOUTS = {"scatter": "a scatter of three stages", "layered": "25 random layers"}
"""Shape of a graph that is laid out -> words for it."""

Values = dict[str, float]
"""One sample: names that end in their unit (`jobs_per_s`, `start_ms`, `rss_mb`) with their numbers."""


class NotAvailable(Exception):
    """A case that cannot be measured here; the text says why and is printed in its row."""


class MeasurementFailed(Exception):
    """A case that broke or overran its time; the text says how and is printed in its row."""


def nothing_to_prepare() -> None:
    """The preparation of a case that needs none."""


@dataclass(frozen=True)
class Case:
    """One row of the report.

    `measure` gets an empty directory of its own, which is removed afterwards, and returns one sample;
    `prepare` runs once before the rounds. Both may raise NotAvailable or MeasurementFailed.
    """

    name: str
    tool: str
    group: str
    measure: Callable[[Path], Values]
    note: str = ""
    prepare: Callable[[], None] = nothing_to_prepare


@dataclass(frozen=True)
class Group:
    """Cases that are compared with one another: each pass over them takes one sample of every case."""

    name: str
    title: str
    passes_per_round: int = 1
    warm_up: bool = False


@dataclass
class Outcome:
    """What is known of a case after the rounds; `problem` is set when samples are missing."""

    case: Case
    samples: list[Values] = field(default_factory=list)
    problem: str = ""


@dataclass(frozen=True)
class Scale:
    """How much work a sample holds: enough to drown start-up in full, little with `--quick`.

    Every value is a count of jobs, tasks or cells, except `ballast_mb`, `store_large_mb`, `log_mb` and `widget_window_s`.
    """

    jobs: int = 1000
    chain: int = 200
    outputs: int = 200
    cells: int = 200
    hailtop_python_jobs: int = 20
    hailtop_outputs: int = 4
    snakemake_jobs: int = 100
    dask_tasks: int = 500
    pool_calls: int = 1000
    ballast_jobs: int = 200
    hailtop_ballast_jobs: int = 20
    ballast_mb: int = 2048
    widget_jobs: int = 10_000
    widget_window_s: int = 10
    snapshot_jobs: int = 50_000
    layout_jobs: int = 10_000
    table_jobs: int = 100_000
    page_jobs: int = 100_000
    panel_runs: int = 1000
    built_jobs: int = 10_000
    large_jobs: int = 100_000
    long_chain: int = 3_000
    store_files: int = 2000
    store_large_mb: int = 200
    log_mb: int = 1000
    slurm_jobs: int = 300
    slurm_submitted: int = 1000
    submitted_jobs: int = 100_000
    news: int = 20


FULL = Scale()
QUICK = Scale(
    jobs=200,
    chain=50,
    outputs=50,
    cells=50,
    hailtop_python_jobs=6,
    hailtop_outputs=2,
    snakemake_jobs=10,
    dask_tasks=100,
    pool_calls=200,
    ballast_jobs=50,
    hailtop_ballast_jobs=10,
    widget_window_s=5,
    layout_jobs=2_000,
    panel_runs=100,
    built_jobs=2_000,
    large_jobs=10_000,
    long_chain=300,
    store_files=100,
    store_large_mb=80,
    log_mb=100,
    slurm_jobs=40,
    slurm_submitted=100,
    submitted_jobs=10_000,
    news=8,
)

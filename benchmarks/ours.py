"""This project, through its public interface only."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bounded import own_python, run_script
from benchmarks.case import BUILT, LARGE, LAYOUTS, Case, NotAvailable, Scale, Values
from benchmarks.imports import timed_import
from benchmarks.peers.layouts import layout_case

MODULE = "hail_batch_jupyter.batch"
TOOL = "hail_batch_jupyter LocalBackend"
NOTE = "b.run(): compile, runner, logs, journal"
OUR_LAYOUTS = {"ours": "the widget, jobs gathered into stages", "ours-every-job": "the widget's layout, a node for each job"}
SPARE_FACTOR = 2
"""A big parent is measured only where twice its memory is free: swapping would be measured otherwise."""


def our_cases(scale: Scale) -> list[Case]:
    """Every case of this project: jobs, imports, notebook cells, widget."""
    return [
        *_build_cases(scale),
        *_large_cases(scale),
        *_job_cases(scale),
        *_parent_cases(scale),
        *_import_cases(),
        *_notebook_cases(scale),
        *_browser_cases(scale),
    ]


def _job_cases(scale: Scale) -> list[Case]:
    return [
        _case("ours", TOOL, "bash", NOTE, "noop_jobs.py", MODULE, scale.jobs, "independent"),
        _case("ours-chain", TOOL, "chain", NOTE, "noop_jobs.py", MODULE, scale.chain, "chain"),
        _case("ours-long-chain", f"{TOOL}, a long chain", "chain", NOTE, "noop_jobs.py", MODULE, scale.long_chain, "chain"),
        _case("ours-single", f"{TOOL}, one job", "chain", "fixed cost of a run", "noop_jobs.py", MODULE, 1, "chain"),
        _case("ours-python", TOOL, "python", f"{NOTE}; a fresh process each", "python_jobs.py", MODULE, scale.jobs),
        _case("ours-pool", "BatchPoolExecutor, a named function", "pool", "list(pool.map(f, …))", "pool_calls.py",
              f"{MODULE}:BatchPoolExecutor", scale.pool_calls, "named"),
        _case("ours-pool-lambda", "BatchPoolExecutor, a lambda", "pool", "list(pool.map(f, …))", "pool_calls.py",
              f"{MODULE}:BatchPoolExecutor", scale.pool_calls, "lambda"),
        _case("ours-output", TOOL, "output", NOTE, "written_outputs.py", MODULE, scale.outputs),
    ]  # fmt: skip


def _build_cases(scale: Scale) -> list[Case]:
    return [_case(f"ours-build-{shape}", f"{TOOL}, {words}", "build", "", "build_jobs.py", MODULE, scale.built_jobs, shape) for shape, words in BUILT.items()]


def _large_cases(scale: Scale) -> list[Case]:
    note = "describing and compiling; memory of the batch and its spec"
    return [
        _case(f"ours-large-{shape}", f"{TOOL}, {words}", "large", note, "large_batch.py", MODULE, scale.large_jobs, shape) for shape, words in LARGE.items()
    ]


def _parent_cases(scale: Scale) -> list[Case]:
    return [_parent_case(scale, "ours-parent-50mb", 50), _parent_case(scale, "ours-parent-2gb", scale.ballast_mb)]


def _parent_case(scale: Scale, name: str, resident_mb: int) -> Case:
    size = "50 MB (at least)" if resident_mb == 50 else "2 GB"

    def measure(directory: Path) -> Values:
        needed_mb = resident_mb * SPARE_FACTOR
        if available_mb() < needed_mb:
            raise NotAvailable(f"not available: needs {needed_mb} MB of free memory, {available_mb()} MB are")
        arguments = (MODULE, scale.ballast_jobs, resident_mb)
        return run_script(own_python(), "big_parent.py", directory, *arguments, timeout_s=180)

    return Case(name, f"{TOOL}, parent of {size}", "parent", measure, "b.run(wait=False), then wait()")


def _import_cases() -> list[Case]:
    def bare(directory: Path) -> Values:
        return timed_import(own_python(), "pass", directory)

    def batch(directory: Path) -> Values:
        return timed_import(own_python(), f"import {MODULE}", directory)

    note = "wall time of the process"
    return [
        Case("bare-python", "bare Python", "import", bare, note),
        Case("ours-import", f"import {MODULE}", "import", batch, note),
        _case("ours-load-ext", "%load_ext hail_batch_jupyter", "import", "in IPython, after that import",
              "load_extension.py"),
    ]  # fmt: skip


def _notebook_cases(scale: Scale) -> list[Case]:
    cells, window_s = f"median of {scale.cells} cells", scale.widget_window_s
    return [
        _case("ours-cell", "%%batch_job cell", "cell", cells, "define_cells.py", scale.cells),
        _case("ours-widget-10k", f"widget, {scale.widget_jobs} jobs", "widget", "a kernel and its messages",
              "widget_traffic.py", scale.widget_jobs, window_s),
        _case("ours-widget-50k", f"widget, {scale.snapshot_jobs} jobs", "widget", "a kernel and its messages",
              "widget_traffic.py", scale.snapshot_jobs, window_s),
        _case("ours-busy-kernel", f"a log of {scale.log_mb} MB, and cancel", "busy", "the Jupyter server while a cell blocks the kernel",
              "busy_kernel.py", scale.log_mb),
    ]  # fmt: skip


def _browser_cases(scale: Scale) -> list[Case]:
    layouts = [layout_case(scale, name, words, shape) for name, words in OUR_LAYOUTS.items() for shape in LAYOUTS]
    page, large = scale.widget_jobs, scale.page_jobs
    return [
        *layouts,
        _case("ours-page-10k", f"widget, {page} jobs in 290 stages", "browser", "a page and the kernel's messages", "widget_page.py", page),
        _case("ours-page-100k", f"widget, {large} jobs in 290 stages", "browser", "a page and the kernel's messages", "widget_page.py", large),
        _case("ours-table-10k", f"jobs_frame(), {page} jobs", "browser", "the best of nine", "jobs_table.py", page),
        _case("ours-table-100k", f"jobs_frame(), {scale.table_jobs} jobs", "browser", "the best of nine", "jobs_table.py", scale.table_jobs),
        _case("ours-attach", f"%batch_attach after a restart, {page} jobs", "browser", "from the cell to the widget's snapshot", "attach_run.py", page),
        _case("ours-panel", f"the panel, {scale.panel_runs} runs", "browser", "from the command to the drawn list", "panel_page.py", scale.panel_runs),
    ]


def _case(name: str, tool: str, group: str, note: str, script: str, *arguments: str | int) -> Case:
    def measure(directory: Path) -> Values:
        return run_script(own_python(), script, directory, *arguments, timeout_s=300)

    return Case(name, tool, group, measure, note)


def available_mb() -> int:
    """Memory that programs can still take, of /proc/meminfo; a great deal where there is no /proc."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 1 << 30
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable"))

"""dask's LocalCluster: two workers that live on between tasks, so no task has a Python process of its own."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bounded import run_script
from benchmarks.case import Case, Scale, Values
from benchmarks.environments import Environment

DASK = Environment("dask-2026.8.0", (("dask==2026.8.0", "distributed==2026.8.0"),))


def cases(scale: Scale) -> list[Case]:
    """Tasks that start `bash -c true`, and tasks that call a Python function in a worker that is shared."""
    return [
        _case("dask", "dask LocalCluster 2x1", "bash", scale.dask_tasks, "bash", "tasks only, workers are up"),
        _case("dask-python", "dask LocalCluster 2x1", "python", scale.dask_tasks, "python",
              "tasks only; NOT a fresh process each"),
    ]  # fmt: skip


def _case(name: str, tool: str, group: str, count: int, kind: str, note: str) -> Case:
    def measure(directory: Path) -> Values:
        return run_script(DASK.python, "dask_tasks.py", directory, count, 2, kind, timeout_s=180)

    return Case(name, tool, group, measure, note, DASK.ensure)

"""Layout libraries of npm, in the same browser and on the same graphs as ours."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.bounded import own_python, run, run_script
from benchmarks.case import LAYOUTS, Case, MeasurementFailed, NotAvailable, Scale, Values
from benchmarks.environments import cache_directory

PACKAGES = ("@dagrejs/dagre@3.1.3", "d3-dag@1.2.2", "elkjs@0.12.1")
INSTALL_LIMIT_S, LIMIT_S = 120, 170
LIBRARIES = {"d3-dag": "d3-dag, grid", "dagre": "dagre, longest path", "elk": "elkjs, layered"}
FAST = ("d3-dag",)
"""The others take a minute or more for the graph of random layers."""


def cases(scale: Scale) -> list[Case]:
    """Each library on each graph that it lays out in a minute."""
    return [layout_case(scale, name, tool, shape, prepare=True) for name, tool in LIBRARIES.items() for shape in LAYOUTS if shape == "scatter" or name in FAST]


def layout_case(scale: Scale, name: str, tool: str, shape: str, *, prepare: bool = False) -> Case:
    """One way to lay out one graph."""

    def measure(directory: Path) -> Values:
        folder = cache_directory() / "layouts" if prepare else directory
        return run_script(own_python(), "graph_layout.py", directory, name, shape, scale.layout_jobs, str(folder), timeout_s=LIMIT_S)

    made = Case(f"layout-{name}-{shape}", f"{tool}: {LAYOUTS[shape]}", "layout", measure, "jobs and edges in, places out; the first call")
    return Case(**{**vars(made), "prepare": ensure}) if prepare else made


def ensure() -> None:
    """Install the libraries unless they are there; raises NotAvailable with npm's last line."""
    folder = cache_directory() / "layouts"
    stamp = folder / "complete.txt"
    if stamp.exists() and stamp.read_text() == " ".join(PACKAGES):
        return
    npm = shutil.which("npm")
    if npm is None:
        raise NotAvailable("not available: needs 'npm'")
    folder.mkdir(exist_ok=True)
    try:
        finished = run([npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES], folder, timeout_s=INSTALL_LIMIT_S)
    except MeasurementFailed as error:
        raise NotAvailable(f"not available: {error}") from error
    if finished.exit_code:
        raise NotAvailable(f"not available: `npm install` says: {finished.last_line()}")
    stamp.write_text(" ".join(PACKAGES))

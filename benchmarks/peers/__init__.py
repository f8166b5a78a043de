"""The tools that this project is compared with, one module each; none of them is needed to use the project."""

from __future__ import annotations

from benchmarks.case import Case, Scale
from benchmarks.peers import build_tools, dask_cluster, hailtop, layouts, snakemake, spawn


def peer_cases(scale: Scale) -> list[Case]:
    """The cases of all peers."""
    modules = (spawn, build_tools, hailtop, snakemake, dask_cluster, layouts)
    return [case for module in modules for case in module.cases(scale)]

"""Which cases there are, in the order in which a round visits them."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import service, slurm
from benchmarks.case import Case, Group, Scale
from benchmarks.copies import copy_cases
from benchmarks.ours import our_cases
from benchmarks.peers import peer_cases

GROUPS: tuple[Group, ...] = (
    Group("build", "Describing jobs, without running them", passes_per_round=2),
    Group("large", "Describing and compiling a large batch, without running it"),
    Group("bash", "Independent no-op bash jobs"),
    Group("chain", "Chain of no-op bash jobs"),
    Group("python", "Python jobs"),
    Group("output", "A job with one written output against a job without"),
    Group("storage", "Copies to and from an object store on loopback"),
    Group("storage-far", "Copies to and from an object store that is 20 ms away"),
    Group("pool", "Calls of x -> x + 1 with a warm executor, chunksize 1"),
    Group("parent", "Starting a run from a small and from a big process"),
    Group("slurm", "No-op jobs on a Slurm of four emulated nodes"),
    Group("slurm-submit", "Submitting jobs of one shape to such a Slurm, a task each"),
    Group("service", "A batch service of our own"),
    Group("import", "Imports", passes_per_round=6, warm_up=True),
    Group("cell", "Notebook cells", passes_per_round=2),
    Group("widget", "Widget traffic"),
    Group("layout", "Laying out a graph of jobs, in headless Chromium"),
    Group("browser", "The widget and the panel in headless Chromium, tables, a run that comes back"),
    Group("busy", "While a cell blocks the kernel, through the Jupyter server"),
)


def all_cases(scale: Scale) -> list[Case]:
    """This project's cases and those of all peers, sorted by group; this project comes last in each group."""
    order = {group.name: place for place, group in enumerate(GROUPS)}
    cases = [*peer_cases(scale), *our_cases(scale), *copy_cases(scale), *slurm.cases(scale), *service.cases(scale)]
    return sorted(cases, key=lambda case: order[case.group])


def select(cases: Sequence[Case], wanted: Sequence[str]) -> list[Case]:
    """The cases whose name starts with, or whose group is, one of the words; all when there are none.

    Raises ValueError with the names there are for a word that fits nothing.
    """
    for word in wanted:
        if not any(_fits(case, word) for case in cases):
            names = ", ".join(case.name for case in cases)
            raise ValueError(f"--only {word!r}: no such case or group; use one of {names}, "
                             f"or a group: {', '.join(group.name for group in GROUPS)}")  # fmt: skip
    return [case for case in cases if not wanted or any(_fits(case, word) for word in wanted)]


def _fits(case: Case, word: str) -> bool:
    return word == case.group if word in {group.name for group in GROUPS} else case.name.startswith(word)

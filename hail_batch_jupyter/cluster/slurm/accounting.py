"""Asks the accounting what became of elements of arrays that the controller has forgotten."""

from __future__ import annotations

from collections.abc import Iterable

from hail_batch_jupyter.cluster.slurm.answers import WHOLE, parse_lines


def states_command(jobids: Iterable[str]) -> list[str]:
    """The command that tells the last state of every element."""
    return ["sacct", "--allocations", "--parsable2", "--noheader", "--format=JobID,State", f"--jobs={','.join(jobids)}"]


def element_states(text: str) -> dict[str, str]:
    """Its answer: '12_4' -> the first word of the state; what has not begun is left out, and jobs that are no arrays."""
    lines = [line for line in parse_lines(text) if line.element != WHOLE and line.columns[0]]
    return {f"{line.jobid}_{line.element}": line.columns[0].split(" ")[0] for line in lines if not line.columns[0].startswith("PENDING")}

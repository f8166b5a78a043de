"""What squeue, sacct and sbatch print, as values."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

WHOLE = -1
"""Index of a job that is no array."""


class Line(NamedTuple):
    """One job or element: id, index of the element (WHOLE without an array), and the rest of its columns."""

    jobid: str
    element: int
    columns: tuple[str, ...]


def parse_lines(text: str, jobid: str = "") -> list[Line]:
    """Lines `JOBID|…` of an answer, ranges of pending elements one by one; a line without an id is of `jobid`, in order."""
    lines: list[Line] = []
    bare = 0
    for row in filter(None, map(str.strip, text.splitlines())):
        head, *columns = row.split("|")
        found = re.fullmatch(r"(\d+)(?:_(\d+|\[.*\]))?(?:\+\d+)?", head.strip())
        if row.startswith("CLUSTER:"):
            continue
        if found and columns:
            lines += [Line(found[1], index, tuple(columns)) for index in indices(found[2])]
        elif not columns:
            lines.append(Line(jobid, bare, (row,)))
            bare += 1
    return lines


def indices(text: Optional[str]) -> list[int]:
    """The indices that '3', '[0,4-6%2]' or '[0-8:4]' names; WHOLE for None.

    >>> indices('[3-5,9%2]')
    [3, 4, 5, 9]
    """
    if text is None:
        return [WHOLE]
    found: list[int] = []
    for part in text.strip("[]").partition("%")[0].split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if match:
            first = int(match[1])
            found += range(first, int(match[2] or first) + 1, int(match[3] or 1))
    return found


def parse_submitted(text: str) -> tuple[str, str]:
    """(job id, cluster or '') of what `sbatch --parsable` prints.

    Raises ValueError when there is no number.
    """
    line = text.strip().splitlines()[-1] if text.strip() else ""
    jobid, _, cluster = line.partition(";")
    if not re.fullmatch(r"\d+", jobid, re.ASCII):
        raise ValueError(f"sbatch answered {text.strip()!r}, which is no job id")
    return jobid, cluster


def exit_code_of(pairs: list[str]) -> Optional[int]:
    """The exit code that `CODE:SIGNAL` texts tell: the first that is not 0:0 decides, its signal before its code; None when none does."""
    for pair in pairs:
        found = re.fullmatch(r"(\d+):(\d+)", pair.strip())
        if found and found.groups() != ("0", "0"):
            return int(found[2]) or int(found[1])
    return None

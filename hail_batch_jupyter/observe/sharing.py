"""What a run may use of a machine that it shares: a file in the run directory that who divides the machine replaces, and one in which the runner answers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple, Optional

_ALLOWED, _USED = "share", "share-used"
CLOSED = 1 << 60
"""The number of the last answer of a runner, which takes no allowance any more."""


class Amount(NamedTuple):
    """Cores and memory."""

    cpu_mcpu: int = 0
    memory_bytes: int = 0


class Allowance(NamedTuple):
    """What the jobs of a run may take together; `number` grows with each."""

    number: int
    amount: Amount


class Use(NamedTuple):
    """What a runner answers.

    number, allowed   the allowance that it keeps to: since it said so, it began nothing beyond
    used              what its running jobs take; more than is allowed until enough of them have ended
    wanted            that, and what the jobs that may run would take, no more than the machine has
    next              what the next of these takes, nothing when there is none
    """

    number: int
    allowed: Amount
    used: Amount
    wanted: Amount
    next: Amount


def write_allowance(directory: Path, allowance: Allowance) -> None:
    """Tell the runner of a run; raises FileNotFoundError when the run directory is gone."""
    _replace(directory / _ALLOWED, [allowance.number, list(allowance.amount)])


def write_use(directory: Path, use: Use) -> None:
    """Answer; raises FileNotFoundError when the run directory is gone."""
    _replace(directory / _USED, [use.number, *(list(amount) for amount in use[1:])])


class _Words:
    """A file that is replaced now and then; looking again costs one stat while it is the same."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._mark = (0, 0)
        self._found: Any = None

    def read(self) -> Any:
        """What it says, None while it is not there."""
        try:
            facts = os.stat(self._path)
            mark = (facts.st_ino, facts.st_mtime_ns)
            if mark != self._mark:
                with open(self._path, encoding="ascii") as file:
                    self._found = json.load(file)
                self._mark = mark
        except FileNotFoundError:
            return None
        return self._found


class AllowanceReader:
    """Reads what a run is allowed."""

    def __init__(self, directory: Path) -> None:
        self._words = _Words(directory / _ALLOWED)

    def read(self) -> Optional[Allowance]:
        """The allowance, None for a run that shares with nobody."""
        found = self._words.read()
        return None if found is None else Allowance(found[0], Amount(*found[1]))


class UseReader:
    """Reads what a runner answered."""

    def __init__(self, directory: Path) -> None:
        self._words = _Words(directory / _USED)

    def read(self) -> Optional[Use]:
        """The last answer, None before the first."""
        found = self._words.read()
        return None if found is None else Use(found[0], *(Amount(*amount) for amount in found[1:]))


def _replace(path: Path, words: Any) -> None:
    """Without fsync: after a crash of the machine no run is left that reads it."""
    temporary = f"{path}.{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        json.dump(words, file)
    os.replace(temporary, path)

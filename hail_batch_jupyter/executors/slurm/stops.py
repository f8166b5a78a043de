"""Attempts that are to end before their time: by cancelling their task, or, where it has others that go on, by an order to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Optional, Protocol

from hail_batch_jupyter.observe import slurm_jobs


class Stoppable(Protocol):
    """An attempt that Slurm has: its task, whether it has begun, whether it is to end."""

    key: str
    began: bool
    stopped: bool


class Stop(NamedTuple):
    """One command: 'cancel' or 'kill' for whole tasks, 'nudge' for tasks that are to look at their orders; `wanted` are the attempts."""

    kind: str
    keys: tuple[str, ...]
    wanted: tuple[str, ...]


class Stops:
    """What is to end and has not been told so."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / slurm_jobs.STOPS
        self._wanted: dict[str, bool] = {}

    def want(self, attempt_id: str, *, force: bool) -> None:
        """An attempt is to end."""
        self._wanted[attempt_id] = self._wanted.get(attempt_id, False) or force

    def next(self, tries: Mapping[str, Stoppable], open_of: Mapping[str, set[str]]) -> Optional[Stop]:
        """The next command, None while there is none; `open_of` are the attempts of a task that have not ended.

        An order is written for each attempt that shares its task. One that has not begun finds it then.
        """
        groups: dict[str, list[str]] = {"cancel": [], "kill": [], "nudge": []}
        for attempt_id, force in self._wanted.items():
            if attempt_id in tries:
                whole = all(tries[other].stopped for other in open_of[tries[attempt_id].key])
                groups[("kill" if force else "cancel") if whole else "nudge"].append(attempt_id)
        for attempt_id in groups["nudge"]:
            (self._folder / attempt_id).write_text("KILL" if self._wanted.pop(attempt_id) else "TERM")
        groups["nudge"] = [attempt_id for attempt_id in groups["nudge"] if tries[attempt_id].began]
        for kind, wanted in groups.items():
            if wanted:
                for attempt_id in wanted:
                    self._wanted.pop(attempt_id, None)
                return Stop(kind, tuple(sorted({tries[attempt_id].key for attempt_id in wanted})), tuple(wanted))
        self._wanted.clear()
        return None

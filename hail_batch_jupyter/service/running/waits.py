"""What the waiting jobs of runs wait for that share a machine: pure rules, in words for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hail_batch_jupyter.observe.sharing import Amount
from hail_batch_jupyter.service.running.division import Caps, less

KEPT_S = 2.0
"""So long a reason is told when there is none: between two jobs there is room for a moment."""


class Standing(NamedTuple):
    """A run as it is now.

    wants   whether it has jobs that run or may run            next  what the next one takes that may run, nothing when there is none
    used    what its jobs take                                 free  what it may use beside that
    """

    run_id: str
    user: str
    project: str
    batch_id: int
    wants: bool
    used: Amount
    free: Amount
    next: Amount


def waits_for(standings: Sequence[Standing], caps: Caps) -> dict[str, str]:
    """Run -> what its jobs wait for, of those that would run if there were no quotas and nobody else; 'a share of the cores, as another user has jobs'."""
    found = {each.run_id: _reason(each, standings, caps) for each in standings if each.next.cpu_mcpu and not _fits(each.next, each.free)}
    return {run_id: reason for run_id, reason in found.items() if reason}


def _reason(run: Standing, standings: Sequence[Standing], caps: Caps) -> str:
    used_by_user: Counter[str] = Counter()
    used_by_project: Counter[str] = Counter()
    for each in standings:
        used_by_user[each.user] += each.used.cpu_mcpu
        used_by_project[each.project] += each.used.cpu_mcpu
    for name, whose, used, most in (
        (run.user, run.user, used_by_user, caps.users),
        (run.project, f"billing project {run.project}", used_by_project, caps.projects),
    ):
        if name in most and used[name] and used[name] + run.next.cpu_mcpu > most[name]:
            return f"the quota of {whose}, {most[name] / 1000:g} cores at once"
    return _shared(run, standings)


def _shared(run: Standing, standings: Sequence[Standing]) -> str:
    """Who else has jobs; '' when nobody does, so that the machine is full with its own."""
    scarce = "cores" if run.next.cpu_mcpu > run.free.cpu_mcpu else "memory"
    users = {each.user for each in standings if each.wants} - {run.user}
    batches = {each.batch_id for each in standings if each.wants and each.user == run.user} - {run.batch_id}
    if not users and not batches:
        return ""
    others, singular, plural = (users, "another user", "other users") if users else (batches, "another batch", "other batches")
    who = singular if len(others) == 1 else f"{len(others)} {plural}"
    whose = "" if users else f" of {run.user}"
    return f"a share of the {scarce}, as {who}{whose} {'has' if len(others) == 1 else 'have'} jobs"


def _fits(one: Amount, free: Amount) -> bool:
    left = less(free, one)
    return left.cpu_mcpu >= 0 and left.memory_bytes >= 0


class Waits:
    """What runs wait for, told a little longer than it is so; called from one thread, `told` may be read from any."""

    def __init__(self) -> None:
        self.told: Mapping[str, str] = {}
        self._until_s: dict[str, float] = {}

    def note(self, standings: Sequence[Standing], caps: Caps, now_s: float) -> None:
        """Look at all runs."""
        found = waits_for(standings, caps)
        self._until_s.update(dict.fromkeys(found, now_s + KEPT_S))
        here = {each.run_id for each in standings}
        self._until_s = {run_id: until_s for run_id, until_s in self._until_s.items() if run_id in here and until_s > now_s}
        told = {run_id: found.get(run_id) or self.told[run_id] for run_id in sorted(self._until_s)}
        if told != self.told:
            self.told = told

"""How a machine is divided among users, and each part among the runs of its user: pure rules.

Every user who wants cores gets as many as every other, or memory where that is scarcer; what some do not want goes to the others. The cores come in
steps of whole jobs, so that no part is too small to run any. What does not come out even goes in turns, first to who is owed the most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hail_batch_jupyter.observe.sharing import Amount

TURN_CORE_S = 1.0
"""Core-seconds that somebody must be owed more than another to come before; less would change turns all the time."""
_STEPS = 64
"""In so many steps at most a machine is handed out, however small the jobs are."""


class Claim(NamedTuple):
    """What a run asks for.

    wanted   what its jobs would take that run or may run          next  what the next one takes that may run
    has      what it has now, so that of two who are owed the same the one keeps it
    """

    run_id: str
    user: str
    project: str
    batch_id: int
    wanted: Amount
    next: Amount
    has: Amount


class Caps(NamedTuple):
    """Millicores that the jobs of a user, or of a billing project, may take at once; who is not named may take all."""

    users: Mapping[str, int]
    projects: Mapping[str, int]


class Owed(NamedTuple):
    """Core-seconds that users and runs got less than their share."""

    users: Mapping[str, float]
    runs: Mapping[str, float]


def divide(machine: Amount, claims: Sequence[Claim], caps: Caps, owed: Owed) -> dict[str, Amount]:
    """What each run may use; all together no more than the machine has, and no more than the caps.

    A job larger than a cap runs alone: it was taken when the cap was another.
    """
    book = _Book(machine, claims, caps, owed)
    waiting = [claim for claim in claims if claim.wanted.cpu_mcpu]
    while waiting:
        claim = min(waiting, key=book.turn)
        if not book.give(claim) or claim.wanted.cpu_mcpu <= book.given[claim.run_id].cpu_mcpu:
            waiting.remove(claim)
    book.spread(claims)
    return book.given


class _Book:
    """What is given to whom, and what is left."""

    def __init__(self, machine: Amount, claims: Sequence[Claim], caps: Caps, owed: Owed) -> None:
        self._machine = machine
        self._left = machine
        self._caps = caps
        self._owed = owed
        self.given = {claim.run_id: Amount() for claim in claims}
        self._users: dict[str, Amount] = dict.fromkeys([claim.user for claim in claims], Amount())
        self._projects: Counter[str] = Counter()
        self._has: dict[str, float] = {}
        for claim in claims:
            self._has[claim.user] = self._has.get(claim.user, 0.0) + weight(claim.has, machine)

    def turn(self, claim: Claim) -> tuple[float | str, ...]:
        """Who comes first: the user with the least, who is owed most, who has most now; then the same among the runs of the user."""
        user = (weight(self._users[claim.user], self._machine), -_turns(self._owed.users, claim.user), -self._has[claim.user], claim.user)
        run = (weight(self.given[claim.run_id], self._machine), -_turns(self._owed.runs, claim.run_id), -weight(claim.has, self._machine), claim.batch_id)
        return (*user, *run, claim.run_id)

    def give(self, claim: Claim) -> bool:
        """Give the room of a job, or of several small ones; False when there is no room for one, and then there never will be."""
        mcpu, memory = claim.next if claim.next.cpu_mcpu else (1000, 0)
        times = max(1, self._machine.cpu_mcpu // _STEPS // mcpu)
        return self._put(claim, Amount(mcpu * times, memory * times)) or self._put(claim, Amount(mcpu, memory))

    def _put(self, claim: Claim, step: Amount) -> bool:
        got = self.given[claim.run_id]
        step = Amount(*(max(0, min(some, most - there)) for some, most, there in zip(step, claim.wanted, got, strict=True)))
        if _beyond(step, self._left) or step.cpu_mcpu > self._room(claim):
            return False
        self._note(claim, step)
        return True

    def _room(self, claim: Claim) -> int:
        """Millicores that the caps leave; all for the first job."""
        user, project = self._users[claim.user].cpu_mcpu, self._projects[claim.project]
        of_user = self._caps.users.get(claim.user, self._machine.cpu_mcpu) - user if user else self._machine.cpu_mcpu
        of_project = self._caps.projects.get(claim.project, self._machine.cpu_mcpu) - project if project else self._machine.cpu_mcpu
        return min(of_user, of_project)

    def _note(self, claim: Claim, step: Amount) -> None:
        self._left = less(self._left, step)
        self.given[claim.run_id] = more(self.given[claim.run_id], step)
        self._users[claim.user] = more(self._users[claim.user], step)
        self._projects[claim.project] += step.cpu_mcpu

    def spread(self, claims: Sequence[Claim]) -> None:
        """Give what nobody wants now to all alike, so that what begins next need not ask before; memory first where a run wants more than its steps had."""
        for claim in claims:
            missing = claim.wanted.memory_bytes - self.given[claim.run_id].memory_bytes
            self._note(claim, Amount(0, max(0, min(missing, self._left.memory_bytes))))
        for n_after, claim in zip(reversed(range(len(claims))), claims, strict=True):
            mcpu, memory = self._left.cpu_mcpu // (n_after + 1), self._left.memory_bytes // (n_after + 1)
            self._note(claim, Amount(max(0, min(mcpu, self._spare(claim))), memory))

    def _spare(self, claim: Claim) -> int:
        """As `_room`, without the exception for large jobs."""
        of_user = self._caps.users.get(claim.user, self._machine.cpu_mcpu) - self._users[claim.user].cpu_mcpu
        return min(of_user, self._caps.projects.get(claim.project, self._machine.cpu_mcpu) - self._projects[claim.project])


def fair(machine: Amount, claims: Sequence[Claim], caps: Caps) -> Owed:
    """Cores, as `weight` counts them in thousandths, that each user and each run would have if all could be divided at will."""
    total = float(machine.cpu_mcpu)
    wants = {claim.run_id: weight(claim.wanted, machine) for claim in claims}
    for project, most in caps.projects.items():
        wants.update(level(min(total, most), {claim.run_id: wants[claim.run_id] for claim in claims if claim.project == project}))
    of_user = {claim.user: {other.run_id: wants[other.run_id] for other in claims if other.user == claim.user} for claim in claims}
    users = level(total, {user: min(sum(runs.values()), caps.users.get(user, total)) for user, runs in of_user.items()})
    return Owed(users, {run_id: share for user, runs in of_user.items() for run_id, share in level(users[user], runs).items()})


def level(total: float, wants: Mapping[str, float]) -> dict[str, float]:
    """Equal parts of the total, of which nobody has more than is wanted; what some do not want goes to the others."""
    found: dict[str, float] = {}
    for place, (name, want) in enumerate(sorted(wants.items(), key=lambda item: item[1])):
        found[name] = min(want, total / (len(wants) - place))
        total -= found[name]
    return found


def weight(amount: Amount, machine: Amount) -> float:
    """An amount as thousandths of cores: the part of the memory counts as that part of the cores, where it is greater."""
    return max(float(amount.cpu_mcpu), amount.memory_bytes * machine.cpu_mcpu / machine.memory_bytes)


def more(one: Amount, other: Amount) -> Amount:
    """Both together."""
    return Amount(one.cpu_mcpu + other.cpu_mcpu, one.memory_bytes + other.memory_bytes)


def less(one: Amount, other: Amount) -> Amount:
    """What is left of the one without the other."""
    return Amount(one.cpu_mcpu - other.cpu_mcpu, one.memory_bytes - other.memory_bytes)


def most(amounts: Iterable[Amount]) -> Amount:
    """The most of each."""
    cpu, memory = zip(*amounts, strict=True)
    return Amount(max(cpu), max(memory))


def _beyond(one: Amount, other: Amount) -> bool:
    return one.cpu_mcpu > other.cpu_mcpu or one.memory_bytes > other.memory_bytes


def _turns(owed: Mapping[str, float], name: str) -> int:
    return int(owed.get(name, 0.0) // TURN_CORE_S)

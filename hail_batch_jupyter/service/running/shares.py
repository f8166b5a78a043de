"""The machine that the runs of the service share: what each may use now, told to its runner when it changes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from hail_batch_jupyter.observe.sharing import CLOSED, Allowance, AllowanceReader, Amount, Use, UseReader, write_allowance
from hail_batch_jupyter.service.running.division import TURN_CORE_S, Caps, Claim, Owed, divide, fair, less, most, weight
from hail_batch_jupyter.service.running.waits import Standing, Waits
from hail_batch_jupyter.service.store.quotas import Quotas
from hail_batch_jupyter.service.store.rows import BatchRow

_KEPT_S = 0.5
"""So long a run keeps its claim when it wants less: between two jobs nothing may run for a moment."""
_LONGEST_S = 1.0
"""No more is owed for the time between two looks, which may be long when the machine was asleep."""


class _Run:
    """A run that shares the machine; what it was told and what it answered is in files of its directory."""

    def __init__(self, directory: Path, batch: BatchRow, told: Allowance) -> None:
        self.directory = directory
        self.batch = batch
        self.told = told
        self.use: Use | None = None
        self._uses = UseReader(directory)
        self._wanted = Amount()
        self._next = Amount()
        self._less_since_s: float | None = None

    def look(self, machine: Amount, now_s: float) -> None:
        """Hear what the runner says; before it says anything it may want all."""
        self.use = self._uses.read() or self.use
        wanted = machine if self.use is None else self.use.wanted
        if self.use is not None and self.use.next.cpu_mcpu:
            self._next = self.use.next
        if weight(wanted, machine) >= weight(self._wanted, machine):
            self._wanted, self._less_since_s = wanted, None
        elif self._less_since_s is None:
            self._less_since_s = now_s
        elif now_s - self._less_since_s > _KEPT_S:
            self._wanted, self._less_since_s = wanted, None

    @property
    def closed(self) -> bool:
        """Whether all its jobs have ended."""
        return self.use is not None and self.use.number == CLOSED

    @property
    def heard(self) -> bool:
        """Whether the runner keeps to what it was told last; one that was told nothing yet has not begun."""
        return self.told.number == 0 or (self.use is not None and self.use.number >= self.told.number)

    @property
    def held(self) -> Amount:
        """What it uses or may use at any moment until it has heard another word."""
        if self.use is None:
            return self.told.amount
        return most([self.use.allowed, self.use.used, *([] if self.heard else [self.told.amount])])

    @property
    def used(self) -> Amount:
        """What its jobs take."""
        return Amount() if self.use is None else self.use.used

    def claim(self) -> Claim:
        """What it asks for."""
        return Claim(self.directory.name, self.batch.user, self.batch.project, self.batch.batch_id, self._wanted, self._next, self.told.amount)

    def standing(self) -> Standing:
        """How it stands now, by what the runner said last."""
        use = self.use or Use(0, Amount(), Amount(), Amount(), Amount())
        facts = (self.directory.name, self.batch.user, self.batch.project, self.batch.batch_id)
        return Standing(*facts, self._wanted.cpu_mcpu > 0, use.used, less(use.allowed, use.used), use.next)

    def tell(self, amount: Amount) -> None:
        """Another allowance; one whose directory is gone will soon be known to have ended."""
        told = Allowance(self.told.number + 1, amount)
        try:
            write_allowance(self.directory, told)
        except FileNotFoundError:
            return
        self.told = told


class Shares:
    """Every method but `used` and `waits` is called from one thread.

    What a run holds, at most, follows from the two files alone, so a service that was killed goes on where it was, and meanwhile every runner keeps to its
    last word. A runner is told less before another is told more: a core that is taken away is given on when the runner has said that it will not use it.

    machine   what is divided; None where nothing is, as on a cluster, whose scheduler does that
    """

    def __init__(self, quotas: Quotas, machine: Amount | None) -> None:
        self._quotas = quotas
        self._divides = machine is not None
        self._machine = machine or Amount()
        self._runs: dict[str, _Run] = {}
        self._owed = Owed({}, {})
        self._looked_s = time.monotonic()
        self._last: tuple[object, dict[str, Amount]] = ((), {})
        self._used: Mapping[str, int] = {}
        self._waits = Waits()

    def found(self, directory: Path, batch: BatchRow) -> None:
        """A run goes on that was begun before this service was."""
        told = AllowanceReader(directory).read()
        if told is not None:
            self._runs[directory.name] = _Run(directory, batch, told)

    def began(self, directory: Path, batch: BatchRow) -> None:
        """A run begins next; what it may use is written down before it does."""
        if not self._divides:
            return
        self._runs[directory.name] = _Run(directory, batch, Allowance(0, Amount()))
        self.look()

    def ended(self, run_id: str) -> None:
        """Nothing of a run runs any more."""
        self._runs.pop(run_id, None)

    def used(self, user: str) -> int:
        """Millicores that the jobs of a user take; from any thread."""
        return self._used.get(user, 0)

    @property
    def waits(self) -> Mapping[str, str]:
        """Run -> what its jobs wait for, of those that wait for others; from any thread."""
        return self._waits.told

    def look(self) -> None:
        """Hear all runners and tell them what has changed; a few microseconds for each run of which nothing is new."""
        if not self._runs:
            return
        now_s = time.monotonic()
        for run in self._runs.values():
            run.look(self._machine, now_s)
        runs = [run for run in self._runs.values() if not run.closed]
        self._used = {user: sum(run.used.cpu_mcpu for run in runs if run.batch.user == user) for user in {run.batch.user for run in runs}}
        claims, caps = [run.claim() for run in runs], self._quotas.caps()
        self._waits.note([run.standing() for run in runs], caps, now_s)
        self._note_owed(runs, claims, caps, min(now_s - self._looked_s, _LONGEST_S))
        self._looked_s = now_s
        self._tell(runs, self._divided(claims, caps))

    def _divided(self, claims: list[Claim], caps: Caps) -> dict[str, Amount]:
        """As `divide` says, which is asked only when anything is new."""
        turns = [{name: owed // TURN_CORE_S for name, owed in each.items()} for each in self._owed]
        asked = (claims, caps, turns)
        if asked != self._last[0]:
            self._last = (asked, divide(self._machine, claims, caps, self._owed))
        return self._last[1]

    def _note_owed(self, runs: list[_Run], claims: list[Claim], caps: Caps, passed_s: float) -> None:
        """Who got less than the share is owed the rest; nobody is owed anything when all have what they want."""
        if sum(weight(claim.wanted, self._machine) for claim in claims) <= self._machine.cpu_mcpu:
            self._owed = Owed({}, {})
            return
        shares = fair(self._machine, claims, caps)
        used = {claim.run_id: weight(run.used, self._machine) for run, claim in zip(runs, claims, strict=True)}
        of_user = {user: sum(used[claim.run_id] for claim in claims if claim.user == user) for user in shares.users}
        self._owed = Owed(_later(self._owed.users, shares.users, of_user, passed_s), _later(self._owed.runs, shares.runs, used, passed_s))

    def _tell(self, runs: list[_Run], targets: Mapping[str, Amount]) -> None:
        """Less at once, more as far as it is free: first to those who have least of what they may have."""
        held = {run.directory.name: run.held for run in self._runs.values()}
        free = self._machine
        for each in held.values():
            free = less(free, each)
        for run in sorted(runs, key=lambda run: weight(run.told.amount, self._machine)):
            target, has = targets[run.directory.name], held[run.directory.name]
            if not run.heard:
                continue
            added = Amount(*(max(0, min(wish - there, spare)) for wish, there, spare in zip(target, has, free, strict=True)))
            told = Amount(*(min(wish, there + plus) for wish, there, plus in zip(target, has, added, strict=True)))
            free = less(free, added)
            if told != run.told.amount or run.told.number == 0:
                run.tell(told)


def _later(owed: Mapping[str, float], shares: Mapping[str, float], used: Mapping[str, float], passed_s: float) -> dict[str, float]:
    """Core-seconds owed after some time with these shares, of which so much was used; who has no share is forgotten."""
    return {name: owed.get(name, 0.0) + (share - used[name]) / 1000 * passed_s for name, share in shares.items() if share}

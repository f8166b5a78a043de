"""Keeping a run within what it may use of a machine that it shares."""

from __future__ import annotations

import sys
from pathlib import Path

from hail_batch_jupyter.engine.capacity import Ledger
from hail_batch_jupyter.engine.ready import ReadyQueue
from hail_batch_jupyter.observe.sharing import CLOSED, AllowanceReader, Amount, Use, write_use


class Share:
    """Has a ledger hand out no more than is allowed now, and answers what the run uses and waits for.

    The last allowance holds until there is another, whoever wrote it. A run without any has the whole ledger, and this costs it nothing.
    """

    def __init__(self, directory: Path, ledger: Ledger) -> None:
        self._directory = directory
        self._ledger = ledger
        self._allowances = AllowanceReader(directory)
        self._allowance = self._allowances.read()
        self._said: Use | None = None
        if self._allowance is not None:
            ledger.allow(*self._allowance.amount)

    def look(self, ready: ReadyQueue) -> None:
        """Take the allowance of now, and say what has changed."""
        if self._allowance is None:
            return
        self._allowance = self._allowances.read() or self._allowance
        self._ledger.allow(*self._allowance.amount)
        wanted, following = self._waiting(ready)
        self._say(Use(self._allowance.number, self._allowance.amount, Amount(*self._ledger.used), wanted, following))

    def close(self) -> None:
        """Give everything back: all jobs have ended."""
        if self._allowance is not None:
            self._say(Use(CLOSED, Amount(), Amount(), Amount(), Amount()))

    def _waiting(self, ready: ReadyQueue) -> tuple[Amount, Amount]:
        """(what the run would use if it could, what its next job takes); no more jobs are counted than the machine has cores for."""
        total = self._ledger.total
        (mcpu, memory), following = self._ledger.used, Amount()
        for cost in ready.costs():
            following = following if following.cpu_mcpu else Amount(*cost)
            mcpu, memory = mcpu + cost[0], memory + cost[1]
            if mcpu >= total.cpu_mcpu:
                break
        return Amount(min(mcpu, total.cpu_mcpu), min(memory, total.memory_bytes)), following

    def _say(self, use: Use) -> None:
        if use == self._said:
            return
        try:
            write_use(self._directory, use)
            self._said = use
        except OSError as error:
            sys.stderr.write(f"what the run uses could not be written down: {error}\n")

"""A runner that is told what it may use: real runs, told through the files in their directories."""

from __future__ import annotations

from pathlib import Path

from hail_batch_jupyter.backends.launch import Launch
from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.observe.sharing import CLOSED, Allowance, Amount, UseReader, write_allowance
from tests.conftest import wait_until
from tests.engine.jobs import Gate, bash, batch, states

NO_MEMORY = 0


class _Allowing(Launch):
    """A runner that is allowed so much before it begins."""

    def give(self, directory: Path, orders: dict[str, object], *, tied: bool) -> None:
        write_allowance(directory, Allowance(1, Amount(1000, NO_MEMORY)))
        super().give(directory, orders, tied=tied)


def answered(running: RunningBatch, number: int, used_mcpu: int) -> None:
    assert running.directory is not None
    uses = UseReader(running.directory)
    wait_until(lambda: (use := uses.read()) is not None and (use.number, use.used.cpu_mcpu) == (number, used_mcpu), story=uses.read)


def test_a_run_begins_nothing_beyond_what_it_is_allowed_and_ends_nothing_when_that_is_less(tmp_path: Path) -> None:
    gates = [Gate(tmp_path / f"gate{number}") for number in range(4)]
    with _Allowing() as launch:
        jobs = [bash(number, gate.shell) for number, gate in enumerate(gates, 1)]
        running = LocalBackend(cores=2).submit(batch(*jobs), SubmitOptions(begun=launch))
    assert running.directory is not None
    uses = UseReader(running.directory)

    answered(running, 1, 1000)
    found = wait_until(uses.read)
    assert (found.allowed, found.wanted, found.next) == (Amount(1000, 0), Amount(2000, 0), Amount(1000, 0))
    write_allowance(running.directory, Allowance(2, Amount(2000, NO_MEMORY)))
    answered(running, 2, 2000)
    write_allowance(running.directory, Allowance(3, Amount(0, NO_MEMORY)))
    answered(running, 3, 2000)
    gates[0].let_through()
    answered(running, 3, 1000)
    gates[1].let_through()
    answered(running, 3, 0)
    wait_until(lambda: states(running) == "SSRR", story=lambda: states(running))
    write_allowance(running.directory, Allowance(4, Amount(2000, NO_MEMORY)))
    gates[2].let_through()
    gates[3].let_through()

    running.wait(90)
    assert states(running) == "SSSS"
    wait_until(lambda: (use := uses.read()) is not None and use.number == CLOSED)

"""A run whose attempts are priced while it goes on, and that starts no more jobs when its budget is spent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Callable

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.ports import CancelRequest
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.cost.meter import Meter
from hail_batch_jupyter.cost.money import dollars
from hail_batch_jupyter.observe.journal import JournalWriter

LOW = Fraction(4, 5)
"""Of the limit: so much spent is told."""

Requests = Callable[[], Sequence[CancelRequest]]


class MeteredJournal(JournalWriter):
    """A journal whose events of ends tell what the attempt cost."""

    def __init__(self, path: Path, spec: BatchSpec) -> None:
        super().__init__(path)
        self.meter = Meter(spec)
        self.ended: set[int] = set()

    def write(self, event: JobEvent) -> None:
        """As of a journal."""
        if event.state is not None and event.state.complete:
            self.ended.add(event.job_id)
        super().write(self.meter.priced(event))

    @property
    def spent_usd(self) -> float:
        """As of a journal."""
        return float(self.meter.spent)


def within_budget(spec: BatchSpec, journal: MeteredJournal, requests: Requests) -> Requests:
    """The requests to cancel, and, once the budget is reached, one for all jobs that have not started and need not always run.

    A note says when most of it is spent, and one when it is reached.
    """
    budget = spec.budget
    if budget is None:
        return requests
    limit = Fraction(budget.max_usd)
    expected_ms = dict(zip([job.job_id for job in spec.jobs], budget.expected_ms))
    warned = stopped = False

    def more() -> Sequence[CancelRequest]:
        nonlocal warned, stopped
        found = requests()
        if stopped:
            return found
        meter, now_ms = journal.meter, int(time.time() * 1000)
        running = meter.running
        probably = meter.spent + sum([meter.usd(job_id, now_ms, expected_ms.get(job_id, 0)) for job_id in running], Fraction(0))
        if probably <= limit:
            if probably > LOW * limit and not warned:
                warned = True
                words = f"{dollars(probably)} of the limit of {dollars(budget.max_usd)} are spent ({_spent(meter, probably)})"
                journal.write(JobEvent(0, now_ms, 0, phase="note", reason=words))
            return found
        stopped = True
        rest = tuple([job.job_id for job in spec.jobs if job.job_id not in running and job.job_id not in journal.ended and not job.always_run])
        journal.write(JobEvent(0, now_ms, 0, phase="note", reason=_note(len(rest), budget.max_usd, meter, probably)))
        return [*found, CancelRequest(rest, reason=f"not started: the limit of {dollars(budget.max_usd)} was reached")]

    return more


def _note(count: int, max_usd: float, meter: Meter, probably: Fraction) -> str:
    what = f"{count} jobs were not started" if count > 1 else "1 job was not started" if count else "no job was left to start"
    return f"the limit of {dollars(max_usd)} was reached ({_spent(meter, probably)}); {what}"


def _spent(meter: Meter, probably: Fraction) -> str:
    return f"{dollars(meter.spent)} spent by jobs that ended, {dollars(probably - meter.spent)} by those that run, by rate card {meter.card.label}"

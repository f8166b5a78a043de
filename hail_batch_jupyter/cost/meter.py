"""What attempts are charged, as they start and end: a fold of events by the card of the run."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple, Optional

from hail_batch_jupyter.core.events import Granted, JobEvent
from hail_batch_jupyter.core.spec import BatchSpec, Request
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.cost.card import card_of
from hail_batch_jupyter.cost.money import NOTHING, Breakdown
from hail_batch_jupyter.cost.rates import HOUR_MS, Allotment, Card
from hail_batch_jupyter.errors import GrantError

_ZERO = Fraction(0)


class Allotments:
    """What jobs are granted by a card, looked up once for each request; None for what no worker has."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self._known: dict[tuple[Request, Optional[Granted]], Allotment | None] = {}
        self._hourly: dict[Allotment, tuple[Breakdown, Fraction]] = {}

    def of(self, request: Request, granted: Granted | None = None) -> Allotment | None:
        """What is charged for: what was asked for as the card rounds it, or what an attempt was given instead."""
        key = (request, granted)
        if key not in self._known:
            self._known[key] = self._find(request, granted)
        return self._known[key]

    def _find(self, request: Request, granted: Granted | None) -> Allotment | None:
        if granted is not None and (granted.cpu_mcpu, granted.memory_bytes) != (request.cpu_mcpu, request.memory_bytes or 0):
            request = request._replace(cpu_mcpu=granted.cpu_mcpu, memory_bytes=granted.memory_bytes or None, asked=())
        if granted is not None and granted.spot is not None:
            request = request._replace(spot=granted.spot)
        try:
            return self.card.grant(request)
        except GrantError:
            return None

    def price(self, allotment: Allotment, billed_ms: int) -> Breakdown:
        """Dollars by part for so long of it."""
        return self._rate(allotment)[0].times(Fraction(billed_ms, HOUR_MS)) if billed_ms else NOTHING

    def usd(self, allotment: Allotment | None, billed_ms: int) -> Fraction:
        """Dollars for so long of it."""
        if allotment is None or not billed_ms:
            return _ZERO
        return self._rate(allotment)[1] * billed_ms / HOUR_MS

    def _rate(self, allotment: Allotment) -> tuple[Breakdown, Fraction]:
        if allotment not in self._hourly:
            hourly = self.card.hourly(allotment)
            self._hourly[allotment] = hourly, hourly.total
        return self._hourly[allotment]


class _Going(NamedTuple):
    """An attempt that goes on; times in milliseconds since the epoch."""

    started_ms: int
    main_ms: Optional[int]
    output_ms: Optional[int]
    allotment: Optional[Allotment]


class Meter:
    """Prices attempts of a run from its events.

    spent   dollars of all attempts that have ended
    """

    def __init__(self, spec: BatchSpec) -> None:
        self.card = card_of(spec.card or {}, "of the run")
        self.spent = _ZERO
        self._requests: Mapping[int, Request] = {job.job_id: job.request for job in spec.jobs}
        self._allotments = Allotments(self.card)
        self._going: dict[int, _Going] = {}

    @property
    def running(self) -> set[int]:
        """Jobs that have an attempt which goes on."""
        return set(self._going)

    def priced(self, event: JobEvent) -> JobEvent:
        """The event, with the price of the attempt that it ends."""
        if event.state is JobState.RUNNING:
            self._note_running(event)
            return event
        if event.state is None or event.job_id not in self._going:
            return event
        usd = self.usd(event.job_id, event.time_ms)
        del self._going[event.job_id]
        self.spent += usd
        return event._replace(cost_usd=float(usd)) if usd else event

    def usd(self, job_id: int, until_ms: int, expected_ms: int = 0) -> Fraction:
        """Dollars of the attempt that goes on: until then, or for as long as is expected where that is longer."""
        going = self._going[job_id]
        billed_ms = self.card.billed_ms(going.started_ms, until_ms, going.main_ms, going.output_ms)
        return self._allotments.usd(going.allotment, max(billed_ms, expected_ms))

    def _note_running(self, event: JobEvent) -> None:
        going = self._going.get(event.job_id)
        if going is None:
            going = _Going(event.time_ms, None, None, self._allotments.of(self._requests[event.job_id], event.granted))
        if event.phase == "main":
            going = going._replace(main_ms=event.time_ms)
        elif event.phase == "output":
            going = going._replace(output_ms=event.time_ms)
        self._going[event.job_id] = going

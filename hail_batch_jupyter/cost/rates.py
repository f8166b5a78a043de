"""A rate card: prices, shapes of workers and rounding in one value, so that granting and pricing cannot disagree."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple, Optional

from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.cost.money import NOTHING, PARTS, Breakdown
from hail_batch_jupyter.errors import GrantError

GIB = 1 << 30
HOUR_MS = 3_600_000
MONTH_HOURS = Fraction(3652500, 10000) / 12 * 24
"""Of a twelfth of 365.25 days: 730.5."""


class Worker(NamedTuple):
    """One shape of a machine.

    word           the memory word ('standard', …) that chooses it, '' for none
    cores          of the whole machine, which is shared by jobs
    memory_mib     for each core
    machine_types  names of such machines, ending in their cores, that a job can have for itself
    """

    name: str
    word: str
    cores: int
    memory_mib: int
    machine_types: tuple[str, ...] = ()


class Price(NamedTuple):
    """One row of a card.

    resource  its name in reports          part  which of PARTS it counts as
    usd       for one unit of `per`        per   one of PER
    spot      for machines that may be taken away only, for those that stay only, or (None) for both
    gib       size of the disk, where `per` speaks of the worker's disk
    shared    False: not for jobs that have a machine for themselves
    """

    resource: str
    part: str
    usd: Fraction
    per: str
    spot: Optional[bool] = None
    gib: int = 0
    shared: Optional[bool] = None


class Allotment(NamedTuple):
    """What a job is given and billed for.

    worker        name of the shape, or the machine type; '' where the card knows none
    share         of the worker; 1 for a machine of its own
    alone         it has a machine for itself
    """

    cpu_mcpu: int
    memory_bytes: int
    storage_bytes: int = 0
    worker: str = ""
    share: Fraction = Fraction(0)
    spot: bool = True
    alone: bool = False
    gpus: int = 0

    @property
    def cores(self) -> Fraction:
        """Cores, exact."""
        return Fraction(self.cpu_mcpu, 1000)


PER: dict[str, Callable[[Allotment, Price], Fraction]] = {
    "core-hour": lambda granted, _: granted.cores,
    "GiB-hour": lambda granted, _: Fraction(granted.memory_bytes, GIB),
    "worker-hour": lambda granted, _: granted.share,
    "worker-disk-GiB-month": lambda granted, price: granted.share * price.gib / MONTH_HOURS,
    "storage-GiB-month": lambda granted, _: Fraction(granted.storage_bytes, GIB) / MONTH_HOURS,
    "GPU-hour": lambda granted, _: Fraction(granted.gpus),
}
"""Unit of a price -> how many of its hours one hour of a job takes."""
ROUNDINGS = ("none", "whole for memory", "power of two")
BILLED = ("attempt", "main")


class Card(NamedTuple):
    """Prices, shapes of workers and rounding.

    billed        'attempt': from the start of an attempt to its end; 'main': while the job itself runs, copies are free
    rounding      of cores: 'none'; 'whole for memory' (whole cores where memory asks for more than the cores do); 'power of two'
    smallest_mcpu, storage_gib   the least cores; least and greatest disk of a job that asks for some, in whole GiB, or None
    spot          whether jobs that say nothing take machines that may be taken away
    """

    name: str
    date: str
    source: str
    prices: tuple[Price, ...]
    workers: tuple[Worker, ...] = ()
    billed: str = "attempt"
    rounding: str = "none"
    smallest_mcpu: int = 1
    storage_gib: Optional[tuple[int, int]] = None
    spot: bool = True

    @property
    def label(self) -> str:
        """The name and the date, as they stand beside every figure: 'hail (2026-08-21)'."""
        return f"{self.name} ({self.date})"

    @property
    def free(self) -> bool:
        """Whether nothing costs anything."""
        return not any(price.usd for price in self.prices)

    def grant(self, request: Request) -> Allotment:
        """What a job that asks for this is given; where a size of memory is asked for, on the worker where that is cheapest.

        Raises GrantError for what no worker of the card has.
        """
        spot = self.spot if request.spot is None else request.spot
        storage = self._storage(request)
        if not self.workers:
            mcpu = self._rounded(request.cpu_mcpu or 1000)
            return Allotment(mcpu, request.memory_bytes or 0, storage, spot=spot, gpus=request.gpus)
        if request.gpus:
            raise GrantError(f"rate card {self.name!r} has no workers with GPUs, and the job asks for {request.gpus}; leave them out, or use another card")
        if request.machine_type is not None:
            return self._whole_machine(request.machine_type, storage, spot)
        fitting = [granted for worker in self._chosen(request) if (granted := self._share(worker, request, storage, spot)) is not None]
        if not fitting:
            raise GrantError(self._too_large(request))
        return fitting[0] if len(fitting) == 1 else min(fitting, key=lambda granted: self.hourly(granted).total)

    def hourly(self, granted: Allotment) -> Breakdown:
        """Dollars for one hour of it."""
        parts = dict.fromkeys(PARTS, Fraction(0))
        for price in self._rows(granted):
            parts[price.part] += price.usd * PER[price.per](granted, price)
        return Breakdown(*parts.values())

    def by_resource(self, granted: Allotment, duration_ms: int) -> dict[str, Fraction]:
        """Dollars by the names of the card's rows."""
        found: dict[str, Fraction] = {}
        for price in self._rows(granted):
            usd = price.usd * PER[price.per](granted, price) * duration_ms / HOUR_MS
            found[price.resource] = found.get(price.resource, Fraction(0)) + usd
        return found

    def price(self, granted: Allotment, duration_ms: int) -> Breakdown:
        """Dollars for so many billed milliseconds of it; see `billed_ms`."""
        return self.hourly(granted).times(Fraction(duration_ms, HOUR_MS)) if duration_ms else NOTHING

    def billed_ms(self, started_ms: int | None, ended_ms: int, main_ms: int | None = None, output_ms: int | None = None) -> int:
        """Milliseconds of an attempt that are charged, however it ended; `main_ms` and `output_ms` are when the job itself and the copying of outputs began.

        0 for an attempt that did not start, and where only the job itself is charged and it did not begin.
        """
        if started_ms is None:
            return 0
        if self.billed == "attempt":
            return max(0, ended_ms - started_ms)
        begun = started_ms if main_ms is None else main_ms
        return max(0, (ended_ms if output_ms is None else output_ms) - begun)

    def _rows(self, granted: Allotment) -> list[Price]:
        return [price for price in self.prices if price.spot in (None, granted.spot) and price.shared in (None, not granted.alone)]

    def _chosen(self, request: Request) -> tuple[Worker, ...]:
        """The workers of the memory word, or all where a size is asked for."""
        word = dict(request.asked).get("memory")
        if request.memory_bytes is None:
            word = "standard"
        return tuple([worker for worker in self.workers if worker.word == word]) or self.workers

    def _share(self, worker: Worker, request: Request, storage: int, spot: bool) -> Allotment | None:
        """The part of such a worker that the request takes, None where it takes more than all of it."""
        asked = request.cpu_mcpu or 1000
        memory = request.memory_bytes
        per_core = worker.memory_mib << 20
        by_word = memory is None or dict(request.asked).get("memory") == worker.word
        mcpu = self._rounded(asked, 0 if by_word else -(-(memory or 0) * 1000 // per_core))
        if mcpu > worker.cores * 1000:
            return None
        return Allotment(mcpu, mcpu * per_core // 1000, storage, worker.name, Fraction(mcpu, worker.cores * 1000), spot)

    def _rounded(self, asked_mcpu: int, for_memory_mcpu: int = 0) -> int:
        need = max(asked_mcpu, for_memory_mcpu, self.smallest_mcpu)
        if self.rounding == "power of two":
            granted = self.smallest_mcpu
            while granted < need:
                granted *= 2
            return granted
        if self.rounding == "whole for memory" and for_memory_mcpu > asked_mcpu:
            return -(-need // 1000) * 1000
        return need

    def _storage(self, request: Request) -> int:
        asked = request.storage_bytes or 0
        least, greatest = self.storage_gib or (0, 0)
        if request.machine_type is None and not asked:
            return 0
        if not greatest:
            return asked
        gib = max(least, -(-asked // GIB))
        if gib > greatest:
            raise GrantError(f"rate card {self.name!r} has no worker with {gib} GiB of disk for a job; ask for {greatest} GiB or less")
        return gib * GIB

    def _whole_machine(self, machine_type: str, storage: int, spot: bool) -> Allotment:
        for worker in self.workers:
            if machine_type in worker.machine_types:
                cores = int(machine_type.rpartition("-")[2])
                return Allotment(cores * 1000, cores * worker.memory_mib << 20, storage, machine_type, Fraction(1), spot, alone=True)
        known = ", ".join(name for worker in self.workers for name in worker.machine_types)
        raise GrantError(f"rate card {self.name!r} has no price for machine type {machine_type!r}; it knows {known or 'none'}")

    def _too_large(self, request: Request) -> str:
        from hail_batch_jupyter.core.units import format_bytes

        asked = f"{(request.cpu_mcpu or 1000) / 1000:g} cores"
        if request.memory_bytes:
            asked += f" and {format_bytes(request.memory_bytes)} of memory"
        shapes = ", ".join(f"{worker.name} has {worker.cores} cores with {format_bytes(worker.memory_mib << 20)} each" for worker in self.workers)
        return f"no worker of rate card {self.name!r} has {asked}: {shapes}; ask for less"

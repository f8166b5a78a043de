"""What a posted job may ask for on this machine, and how it is said back.

Source: the Batch Service's protocol, sections 8.3 to 8.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.core.units import parse_bytes, parse_cpu
from hail_batch_jupyter.cost.card import load_card
from hail_batch_jupyter.cost.rates import Allotment, Card
from hail_batch_jupyter.errors import GrantError, UnitError
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.pricing import grant_text

REGION = "local"
CLOUD = "gcp"
"""Clients know two clouds and no machine of one's own; this is the one without a special case."""
_MIB = 1 << 20
_PER_CORE = {"lowmem": 924 * _MIB, "standard": 3840 * _MIB, "highmem": 6656 * _MIB}
_SMALLEST_MCPU = 250
_MOST = 1 << 60


FREE = load_card("this-machine")
"""For batches of a time without cards."""


class Grants:
    """What the jobs of one request are granted by the card of their batch, no more cores than they may have; what many ask for alike is worked out once."""

    def __init__(self, card: Card | None, max_mcpu: int | None = None) -> None:
        self._card = card or FREE
        self._max_mcpu = max_mcpu
        self._found: dict[tuple[tuple[str, Any], ...], tuple[dict[str, Any], str]] = {}

    def of(self, resources: Mapping[str, Any], who: str) -> tuple[dict[str, Any], str]:
        """As `granted`, with the grant as text, '' where nothing is charged."""
        key = tuple(resources.items())
        found = self._found.get(key)
        if found is None:
            meant, grant = granted(resources, who, self._card)
            if self._max_mcpu is not None and meant["cores_mcpu"] > self._max_mcpu:
                asked, most = meant["cores_mcpu"] / 1000, self._max_mcpu / 1000
                raise Refusal(403, f"job {who} takes {asked:g} cores, and your jobs have {most:g} at once; ask for less, or an administrator for more")
            found = self._found[key] = meant, "" if self._card.free else grant_text(grant)
        return found


def granted(resources: Mapping[str, Any], who: str, card: Card) -> tuple[dict[str, Any], Allotment]:
    """The resources of a job with what they mean in numbers, and the grant that is charged.

    Raises Refusal for what no service grants, and for what no worker of the card has.
    """
    cpu, memory, storage = (resources.get(key, usual) for key, usual in (("cpu", "1"), ("memory", "standard"), ("storage", "0Gi")))
    machine_type, spot = resources.get("machine_type"), resources.get("preemptible", True)
    if machine_type and ("cpu" in resources or "memory" in resources):
        raise Refusal(400, f"bad resource request for job {who}: cannot specify cpu and memory with machine_type")
    try:
        cores_mcpu, storage_bytes = parse_cpu(cpu), parse_bytes(storage, "storage")
        memory_bytes = _PER_CORE[memory] * cores_mcpu // 1000 if memory in _PER_CORE else parse_bytes(memory)
    except UnitError as error:
        raise Refusal(400, f"bad resource request for job {who}: {error}") from error
    if cores_mcpu < _SMALLEST_MCPU or not _power_of_two(cores_mcpu):
        raise Refusal(400, f"bad resource request for job {who}: cpu must be a power of two with a min of 0.25; found {cpu}.")
    if max(cores_mcpu, memory_bytes, storage_bytes) >= _MOST:
        raise Refusal(400, f"bad resource request for job {who}: there is no machine with so much; ask for less")
    if machine_type and not any(machine_type in worker.machine_types for worker in card.workers):
        raise Refusal(400, f"unknown machine type {machine_type} for cloud {CLOUD}")
    request = Request(cores_mcpu, memory_bytes, storage_bytes, machine_type, spot, asked=(("memory", memory),) if memory in _PER_CORE else ())
    grant = _grant(request, who, card, (cpu, memory, storage))
    return {
        "preemptible": spot,
        "req_cpu": cpu,
        "req_memory": memory,
        "req_storage": storage,
        "cores_mcpu": grant.cpu_mcpu,
        "memory_bytes": grant.memory_bytes,
        "storage_gib": -(-grant.storage_bytes // (1 << 30)),
        **({"machine_type": machine_type} if machine_type else {}),
    }, grant


def _grant(request: Request, who: str, card: Card, asked: tuple[str, str, str]) -> Allotment:
    try:
        return card.grant(request)
    except GrantError as error:
        facts = (
            ("cloud", CLOUD),
            *zip(("cpu", "memory", "storage"), asked, strict=True),
            ("preemptible", request.spot),
            ("machine_type", request.machine_type),
        )
        said = ", ".join(f"{name}={value}" for name, value in facts)
        raise Refusal(400, f"resource requests for job {who} are unsatisfiable: {said}") from error


@lru_cache(maxsize=256)
def asked_of(cpu: str, memory: str) -> Request:
    """What a job asks for itself; a word for memory is no quantity."""
    return Request(cpu_mcpu=parse_cpu(cpu), memory_bytes=None if memory in _PER_CORE else parse_bytes(memory))


def request_of(resources: Mapping[str, Any]) -> Request:
    """What the engine counts: cores, and memory where it was asked for as a quantity; a word says the kind of a machine, and here is one."""
    memory = None if resources["req_memory"] in _PER_CORE else resources["memory_bytes"]
    return Request(cpu_mcpu=resources["cores_mcpu"], memory_bytes=memory)


def reservation_of(resources: Mapping[str, Any]) -> Request:
    """What a cluster is asked for: cores and memory as they were granted, whatever the words for them, storage and spot as asked for."""
    storage_bytes = parse_bytes(resources["req_storage"], "storage")
    return Request(resources["cores_mcpu"], resources["memory_bytes"], storage_bytes, spot=resources["preemptible"])


def _power_of_two(mcpu: int) -> bool:
    quarters, rest = divmod(mcpu, _SMALLEST_MCPU)
    return not rest and quarters & (quarters - 1) == 0

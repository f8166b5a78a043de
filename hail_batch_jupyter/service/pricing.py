"""What jobs are granted, and what their attempts cost: both by the rate card that a batch was made with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from hail_batch_jupyter.core.events import AttemptView
from hail_batch_jupyter.cost.card import card_data, card_of
from hail_batch_jupyter.cost.rates import Allotment, Card
from hail_batch_jupyter.service.store.billing import Billing, Charge

DAY_MS = 86_400_000


class Pricing:
    """The cards that anything was ever charged by; what a batch costs does not change with the card of today."""

    def __init__(self, card: Card, billing: Billing) -> None:
        self.card = card
        self.card_id = billing.card_id(card_data(card))
        self._cards = {card_id: card_of(data, f"kept card {card_id}") for card_id, data in billing.cards().items()}

    def card_of(self, card_id: int) -> Card | None:
        """The card of that number, None for 0: nothing is charged."""
        return self._cards.get(card_id)

    def by_resource(self, card_id: int, used: Mapping[str, int]) -> dict[str, Fraction]:
        """Dollars by the names of a card's prices for milliseconds of each grant; without what costs nothing."""
        card, found = self._cards.get(card_id), Counter[str]()
        if card is None:
            return {}
        for grant, ms in used.items():
            for resource, usd in _rates(card, grant):
                found[resource] += usd * ms  # type: ignore[assignment]  # a Fraction is a number too
        return {resource: Fraction(usd) for resource, usd in found.items() if usd}

    def charged(self, charges: Iterable[Charge]) -> Fraction:
        """The sum of these charges."""
        return sum((sum(self.by_resource(charge.card_id, {charge.grant: charge.ms}).values(), Fraction(0)) for charge in charges), Fraction(0))


@lru_cache(maxsize=1024)
def _rates(card: Card, grant: str) -> tuple[tuple[str, Fraction], ...]:
    """Dollars for one millisecond, by resource."""
    return tuple(card.by_resource(granted_of(grant), 1).items())


def billed_ms(card: Card, attempt: AttemptView, now_ms: int) -> int:
    """Milliseconds that an attempt is charged for, up to now if it goes on; a job that was never begun is free where copies are."""
    if card.billed == "main" and attempt.main_ms is None:
        return 0
    return card.billed_ms(attempt.started_ms, attempt.ended_ms if attempt.ended_ms is not None else now_ms, attempt.main_ms, attempt.output_ms)


def grant_text(granted: Allotment) -> str:
    """A grant as it is kept."""
    return json.dumps([*granted[:4], str(granted.share), *granted[5:]])


@lru_cache(maxsize=4096)
def granted_of(text: str) -> Allotment:
    """The grant that was kept."""
    values: list[Any] = json.loads(text)
    mcpu, memory_bytes, storage_bytes, worker, share, *rest = values
    return Allotment(mcpu, memory_bytes, storage_bytes, worker, Fraction(share), *rest)

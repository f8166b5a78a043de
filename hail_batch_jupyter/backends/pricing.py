"""The rate card goes with the run, so that a later change of prices does not change what it cost."""

from __future__ import annotations

from hail_batch_jupyter.config import configured
from hail_batch_jupyter.core.spec import BatchSpec


def with_card(spec: BatchSpec, backend: str) -> BatchSpec:
    """The spec with the card of the setting batch/rate_card; without that setting, or with a card of its own, as it is.

    Raises ConfigError for a card that is not there or malformed.
    """
    if spec.card is not None or configured("batch", "rate_card") is None:
        return spec
    from hail_batch_jupyter.cost.card import card_data, chosen_card

    return spec._replace(card=card_data(chosen_card(backend)))

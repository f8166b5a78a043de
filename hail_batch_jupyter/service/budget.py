"""When it is said that a billing project has little left, and in which words."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from hail_batch_jupyter.cost.money import dollars

LOW = Fraction(4, 5)
"""Of its limit, as `run(max_cost_usd=…)` has it."""


def low_budget(project: Mapping[str, Any]) -> str:
    """Of a project as the API tells of it: that it has spent most of its limit, else ''."""
    limit, spent = project["limit"], project["accrued_cost"]
    if limit is None or spent < LOW * Fraction(limit):
        return ""
    words = f"has spent {dollars(spent)} of {dollars(limit)}"
    return f"{words}: its batches are cancelled and no new one is taken" if spent >= limit else words

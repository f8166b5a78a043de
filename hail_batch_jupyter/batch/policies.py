"""From what a user says about retries to the policy of a job."""

from __future__ import annotations

from collections.abc import Iterable

from hail_batch_jupyter.core.retry import CAUSES, Retry
from hail_batch_jupyter.core.units import Quantity, parse_duration
from hail_batch_jupyter.errors import UnitError


def retry_policy(
    attempts: int,
    on: str | int | Iterable[str | int],
    delay: Quantity,
    growth: float,
    max_delay: Quantity,
    memory_factor: float,
    no_spot_after: int | None = None,
) -> Retry | None:
    """The policy, None for one attempt only wherever that is.

    Raises UnitError naming the valid causes, or what is no number or no duration.
    """
    if not _whole(attempts, 1):
        raise UnitError(f"retry: attempts {attempts!r} is not a number of attempts; use 2 or more, or 1 to try once only")
    causes, codes = _causes(on)
    for name, factor in (("growth", growth), ("memory_factor", memory_factor)):
        if not isinstance(factor, (int, float)) or not 1 <= factor <= 1000:
            raise UnitError(f"retry: {name} {factor!r} is not a factor; use a number from 1, which changes nothing, to 1000")
    if no_spot_after is not None and not _whole(no_spot_after, 1):
        raise UnitError(
            f"retry: no_spot_after {no_spot_after!r} is not a number of lost machines; use 1 or more, or None to go on with machines of the same kind"
        )
    first_s = _seconds("delay", delay)
    longest_s = max(first_s, _seconds("max_delay", max_delay))
    policy = Retry(attempts, causes, codes, first_s, float(growth), longest_s, float(memory_factor), no_spot_after)
    return None if attempts == 1 and no_spot_after is None else policy


def _causes(on: str | int | Iterable[str | int]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    asked = [on] if isinstance(on, (str, int)) else list(on)
    if not asked:
        raise UnitError(f"retry: 'on' names no cause; use {_words()}")
    for one in asked:
        known = one in CAUSES if isinstance(one, str) else _whole(one, 1) and one <= 255
        if not known:
            raise UnitError(f"retry: {one!r} is not a cause to try again; use {_words()}")
    words = [cause for cause in CAUSES if cause in asked]
    return tuple(words), tuple(sorted({one for one in asked if isinstance(one, int)}))


def _words() -> str:
    return f"{', '.join(map(repr, CAUSES))}, or exit codes from 1 to 255"


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _seconds(name: str, value: Quantity) -> float:
    try:
        return parse_duration(value)
    except UnitError:
        raise UnitError(f"retry: {name} {str(value)!r} is not a duration; write seconds, or a number with ms, s, m, h or d, such as '10s'") from None

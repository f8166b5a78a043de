"""When a job that did not succeed is tried again: the causes, the waiting, and the memory of the next attempt."""

from __future__ import annotations

from typing import NamedTuple, Optional

CAUSES = ("exit", "out of memory", "timeout", "lost")
"""What may end an attempt: its own exit status, want of memory, its time limit, the loss of its worker."""
DEFAULT_MAX_DELAY_S = 3600.0


class Retry(NamedTuple):
    """How often, after what and when a job is tried again.

    attempts       tries in all that may end by one of the causes, the first included
    on             words of CAUSES          exit_codes     exit statuses beside them
    delay_s        before the second try; each later one waits `growth` times as long, `max_delay_s` at most
    memory_factor  an attempt after one that ran out of memory gets so many times its memory
    no_spot_after  after so many attempts whose worker was lost the job asks for one that stays; None never
    """

    attempts: int = 3
    on: tuple[str, ...] = CAUSES[:3]
    exit_codes: tuple[int, ...] = ()
    delay_s: float = 0.0
    growth: float = 1.0
    max_delay_s: float = DEFAULT_MAX_DELAY_S
    memory_factor: float = 1.0
    no_spot_after: Optional[int] = None


def cause_of(exit_code: int | None, reason: str) -> str:
    """The cause of an attempt's end, from what stands in the journal; '' for one that no second try would mend."""
    if reason == "timed out":
        return "timeout"
    if reason == "out of memory":
        return reason
    return "exit" if exit_code else ""


def tries_again(retry: Retry, cause: str, exit_code: int | None, tried: int) -> bool:
    """Whether another attempt follows after `tried` that ended by one of the causes."""
    return tried < retry.attempts and (cause in retry.on or exit_code in retry.exit_codes)


def delay_s(retry: Retry, tried: int) -> float:
    """Seconds to wait after that many attempts."""
    try:
        return min(retry.max_delay_s, retry.delay_s * retry.growth ** (tried - 1))
    except OverflowError:
        return retry.max_delay_s


def more_memory(retry: Retry, asked_bytes: int | None, peak_bytes: int, most_bytes: int) -> int | None:
    """Memory of the attempt after one that ran out: from what was asked for, or else used, at most what there is."""
    base = asked_bytes or peak_bytes
    if retry.memory_factor == 1 or not base:
        return asked_bytes
    return max(asked_bytes or 0, min(most_bytes, int(base * retry.memory_factor)))

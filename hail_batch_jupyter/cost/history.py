"""How long jobs took before, by their names and by their stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

TAKEN_OVER, SAME_NAME, SAME_STAGE, TIMEOUT, UNKNOWN, REFUSED = "taken over", "same job", "same stage", "timeout", "unknown", "no worker"
"""Where the duration of a job is from; of the last two nothing is known, and they are not counted."""


class Seen(NamedTuple):
    """Billed milliseconds that successful attempts took: the least, the median and the most of `samples`."""

    least_ms: int
    median_ms: int
    most_ms: int
    samples: int


class History(NamedTuple):
    """What earlier runs tell.

    by_name, by_stage  durations        runs    ids of the runs that were read, newest first
    done               fingerprints of jobs whose success the next run can take over
    """

    by_name: Mapping[str, Seen]
    by_stage: Mapping[str, Seen]
    runs: tuple[str, ...] = ()
    done: frozenset[str] = frozenset()


NO_HISTORY = History({}, {})


def seen_by(samples: Iterable[tuple[str, int]]) -> dict[str, Seen]:
    """Durations by what they belong to; a sample is (name, milliseconds)."""
    found: dict[str, list[int]] = {}
    for name, took_ms in samples:
        found.setdefault(name, []).append(took_ms)
    return {name: _seen(durations) for name, durations in found.items()}


def _seen(durations: list[int]) -> Seen:
    durations.sort()
    return Seen(durations[0], durations[len(durations) // 2], durations[-1], len(durations))

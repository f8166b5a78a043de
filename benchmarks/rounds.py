"""The order of the samples: A B C A B C, so that a machine that slows down slows all of them alike."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.case import Group, MeasurementFailed, NotAvailable, Outcome

Say = Callable[[str], None]


def run_rounds(groups: Sequence[Group], outcomes: Sequence[Outcome], repeat: int, say: Say) -> None:
    """Prepare all cases, then take `repeat` rounds of samples; the outcomes are filled in place.

    An interrupt is passed on; the outcomes hold what was measured until then.
    """
    for outcome in outcomes:
        _prepare(outcome, say)
    for number in range(repeat):
        for group in groups:
            members = [outcome for outcome in outcomes if outcome.case.group == group.name]
            if members:
                say(f"round {number + 1} of {repeat}: {group.title}")
                _one_round(group, members, first=number == 0)


def _one_round(group: Group, members: Sequence[Outcome], first: bool) -> None:
    if first and group.warm_up:
        for outcome in members:
            _sample(outcome, keep=False)
    for _ in range(group.passes_per_round):
        for outcome in members:
            _sample(outcome, keep=True)


def _prepare(outcome: Outcome, say: Say) -> None:
    try:
        outcome.case.prepare()
    except (NotAvailable, MeasurementFailed) as error:
        outcome.problem = str(error)
        say(f"{outcome.case.name}: {error}")


def _sample(outcome: Outcome, keep: bool) -> None:
    """Take one sample in a directory that is removed afterwards; a case with a problem is not tried again."""
    if outcome.problem:
        return
    with tempfile.TemporaryDirectory(prefix="hbj-bench-", ignore_cleanup_errors=True) as directory:
        try:
            values = outcome.case.measure(Path(directory))
        except NotAvailable as error:
            outcome.problem = str(error)
        except (MeasurementFailed, OSError, ValueError) as error:
            outcome.problem = f"failed: {error}"
        else:
            if keep:
                outcome.samples.append(values)

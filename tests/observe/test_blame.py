from __future__ import annotations

from collections.abc import Sequence

import pytest

from hail_batch_jupyter.core.events import BatchSnapshot, JobEvent
from hail_batch_jupyter.core.spec import BatchSpec, Edge, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe.blame import NEEDED, blame, blamed, reasons

S, F, K = JobState.SUCCESS, JobState.FAILED, JobState.CANCELLED


def told(*jobs: tuple[Sequence[int], JobState, str]) -> tuple[BatchSpec, BatchSnapshot]:
    """Jobs as (parents, state, reason), numbered from 11, as those of a later submission are."""
    specs = tuple(
        JobSpec(number, "k", f"j{number}", "bash", ("true",), "d", parents=tuple(Edge(parent) for parent in parents))
        for number, (parents, _, _) in enumerate(jobs, 11)
    )
    events = [JobEvent(seq, 1, seq + 10, JobState.READY if state is K else state, int(state is not K)) for seq, (_, state, _) in enumerate(jobs, 1)]
    ends = [JobEvent(seq, 2, seq + 10 - len(jobs), state, reason=reason) for seq, (_, state, reason) in enumerate(jobs, len(jobs) + 1)]
    doomed = [event for event in ends if event.state is K]
    numbered = [event._replace(seq=seq) for seq, event in enumerate([*events, *doomed], 1)]
    return BatchSpec("b", specs), BatchSnapshot.empty([job.job_id for job in specs]).after(numbered)


@pytest.mark.parametrize("reason", [NEEDED, ""])
def test_the_root_is_to_blame_however_far_away(reason: str) -> None:
    spec, snapshot = told(((), S, ""), ((11,), F, ""), ((12,), K, reason), ((11, 13), K, reason))

    assert blame(spec, snapshot) == {13: 12, 14: 12}
    assert reasons(spec, snapshot) == ["", "", "'j12', which it needs, failed", "'j12', which it needs, failed"]


def test_what_failed_is_to_blame_before_what_was_cancelled() -> None:
    spec, snapshot = told(((), K, "cancelled by the user"), ((), F, ""), ((11,), K, NEEDED), ((13, 12), K, NEEDED))

    assert blame(spec, snapshot) == {13: 11, 14: 12}
    assert reasons(spec, snapshot)[0] == "cancelled by the user"
    assert reasons(spec, snapshot)[2] == "'j11', which it needs, was cancelled"


def test_who_was_cancelled_by_itself_blames_nobody() -> None:
    spec, snapshot = told(((), F, ""), ((11,), K, "cancelled by the user"), ((5,), K, ""))

    assert blame(spec, snapshot) == {}
    assert blamed(spec, snapshot, 12) is None

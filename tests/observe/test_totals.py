from __future__ import annotations

from pathlib import Path

import pytest

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.state import BatchState, JobState
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.journal import JournalWriter
from hail_batch_jupyter.observe.totals import Tally, Totals, read_totals, totals_text

SOME = Totals({JobState.SUCCESS: 2, JobState.FAILED: 1}, reused=3, cost_usd=0.25)


@pytest.mark.parametrize("totals", [SOME, Totals({}), Totals({JobState.CANCELLED: 100_000})])
def test_totals_come_back_from_their_line(totals: Totals) -> None:
    line = totals_text(totals)

    assert read_totals(line) == totals
    assert "\n" not in line


@pytest.mark.parametrize("text", ["", "{}", "[]", "3", '{"counts":{"Success"', '{"counts":{"Done":3}}', '{"counts":[1]}', '{"counts":{},"reused":"x"}'])
def test_what_is_no_line_of_totals_is_none(text: str) -> None:
    assert read_totals(text) is None


@pytest.mark.parametrize(
    ("totals", "cancelled", "state"),
    [
        (SOME, False, BatchState.FAILURE),
        (Totals({}, reused=2), False, BatchState.SUCCESS),
        (Totals({}, reused=2), True, BatchState.CANCELLED),
        (Totals({JobState.PENDING: 1}, reused=2), False, BatchState.RUNNING),
    ],
)
def test_reused_jobs_are_done(totals: Totals, cancelled: bool, state: BatchState) -> None:
    assert totals.state(cancelled) is state


def test_a_journal_tells_the_totals_as_it_grows(tmp_path: Path) -> None:
    journal, tally = JournalWriter(tmp_path / "events.jsonl"), Tally(tmp_path, 3)
    journal.write(JobEvent(0, 1, 1, JobState.SUCCESS, reused=True))
    journal.write(JobEvent(0, 1, 2, JobState.RUNNING, 1))
    journal.flush()
    first = tally.read()
    journal.write(JobEvent(0, 2, 2, JobState.READY, 1, cost_usd=0.5))
    journal.write(JobEvent(0, 3, 2, JobState.FAILED, 2, cost_usd=0.25))
    journal.write(JobEvent(0, 4, 0, phase="cancel", reason="cancelled by the user"))
    journal.close()

    assert first == Totals({JobState.PENDING: 1, JobState.RUNNING: 1}, reused=1)
    assert tally.read() == Totals({JobState.PENDING: 1, JobState.FAILED: 1}, reused=1, cost_usd=0.75)
    assert tally.cancelled


def test_the_sign_of_the_end_has_the_totals_beside_the_outcome() -> None:
    directory = rundir.create("study", {"name": "study", "n_jobs": 6})
    rundir.mark_ended(directory, "failure", SOME)

    info = rundir.info(directory)

    assert (info.outcome, info.totals) == ("failure", SOME)
    rundir.mark_ended(directory, info.outcome)
    assert rundir.info(directory).totals is None

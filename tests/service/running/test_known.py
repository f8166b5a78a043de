"""What is known of a job that was in several runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.journal import JournalWriter
from hail_batch_jupyter.observe.recover import LOST
from hail_batch_jupyter.service.running.known import Known
from hail_batch_jupyter.service.running.runs import opened
from hail_batch_jupyter.service.store.rows import ROOT, BatchRow, GroupRow, JobFacts, JobRow

BATCH = BatchRow(1, "ann", "lab", "t", {}, None, 5, cancelled=False, deleted=False)
ROOT_GROUP = {ROOT: GroupRow(ROOT, ROOT, {}, None, None, 5, cancelled=False, told_jobs=0)}


def run_with(*attempts: int) -> Path:
    """A run of one job that was lost in each of these attempts, in the last one with its runner."""
    directory = rundir.create("batch-1", {"name": "batch-1", "lineage": "l", "n_jobs": 1, "kept": True, "previous": None, "notebook": ""})
    described = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps({**described, "scratch": str(directory / "scratch")}))
    journal = JournalWriter(directory / "events.jsonl")
    journal.write(JobEvent(0, 1, 0, phase="start"))
    for attempt in attempts:
        journal.write(JobEvent(0, 2, 1, JobState.READY, attempt=attempt - 1, reason="preempted" if attempt > 1 else ""))
        journal.write(JobEvent(0, 3, 1, JobState.RUNNING, attempt=attempt, phase="main"))
    journal.write(JobEvent(0, 4, 1, JobState.CANCELLED, attempt=attempts[-1], reason=LOST))
    journal.close()
    return directory


@pytest.mark.parametrize(("allowed", "left"), [(4, 1), (3, 0), (20, 17)])
def test_every_attempt_of_every_run_counts(runs: Path, allowed: int, left: int) -> None:
    assert runs.is_dir()
    first, second, removed = run_with(1, 2), run_with(1), "run-of-which-nothing-is-left"
    facts = JobFacts("j", always_run=False, n_max_attempts=allowed, parents=(), attributes={})
    row = JobRow(1, facts, None, None, None, ((first.name, 1), (second.name, 1)))
    known = Known(BATCH, [row], {each.name: opened(each) for each in (first, second)}, ROOT_GROUP)

    assert [attempt.view.number for attempt in known.attempts(row)] == [1, 2, 1]
    assert known.left(row).facts.n_max_attempts == left
    assert known.left(row._replace(earlier=((removed, 1),))).facts.n_max_attempts == allowed - 1
    assert known.left(row._replace(earlier=())).facts == facts

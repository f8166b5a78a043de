"""Which jobs of a batch begin next, and which will never: decided from what is known, and nothing is done here."""

from __future__ import annotations

from typing import NamedTuple

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.service.running.known import Known
from hail_batch_jupyter.service.store.rows import JobRow


class Plan(NamedTuple):
    """Jobs that begin together, each with the attempts that it has left.

    done     final states of their parents that are not among them        decided  those of jobs that never run
    """

    rows: list[JobRow]
    done: dict[int, str]
    decided: dict[int, str]


def planned(known: Known) -> Plan:
    """The jobs that wait for none of a live run, after those that will never run are decided."""
    chosen: dict[int, JobRow] = {}
    decided: dict[int, str] = {}
    for row in known.open_rows:
        states = [_state(known, decided, parent) for parent in row.facts.parents if parent not in chosen]
        if any(not state.complete for state in states):
            continue
        doomed = known.cancelled(row.group_id) or any(state is not JobState.SUCCESS for state in states)
        if known.batch.deleted or (doomed and not row.facts.always_run):
            decided[row.job_id] = JobState.CANCELLED.value
        elif (left := known.left(row)).facts.n_max_attempts < 1:
            decided[row.job_id] = JobState.ERROR.value
        else:
            chosen[row.job_id] = left
    outside = {parent for row in chosen.values() for parent in row.facts.parents} - chosen.keys()
    return Plan(list(chosen.values()), {parent: _state(known, decided, parent).value for parent in outside}, decided)


def _state(known: Known, decided: dict[int, str], job_id: int) -> JobState:
    return JobState(decided[job_id]) if job_id in decided else known.view(job_id).state

"""The engine with a fake place to run, so that any order of ends can be tried."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hail_batch_jupyter.core.events import BatchSnapshot, JobEvent
from hail_batch_jupyter.core.ports import Attempt, Capacity, Outcome
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec, Request
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.engine.capacity import Ledger
from hail_batch_jupyter.engine.engine import Engine
from hail_batch_jupyter.engine.finish import Finisher
from hail_batch_jupyter.engine.localize import Localizer
from hail_batch_jupyter.observe.journal import JournalWriter, read_events
from tests.core.graphs import graphs, node
from tests.core.test_dag import naive_finals

OK, F, K, E = JobState.SUCCESS, JobState.FAILED, JobState.CANCELLED, JobState.ERROR
CORES = 2


class Stage:
    """Ends one of the attempts it was given at each `wait`, the one that `pick` says of so many; loses some on the way."""

    def __init__(self, pick: Callable[[int], int], failing: Collection[int] = (), losses: Mapping[int, int] | None = None) -> None:
        self._failing = failing
        self._losses = dict(losses or {})
        self._pick = pick
        self._running: list[Attempt] = []
        self.most_mcpu = 0
        self.tried: list[int] = []

    def start(self, attempts: Sequence[Attempt]) -> list[Outcome]:
        self._running.extend(attempts)
        self.tried.extend(attempt.job.job_id for attempt in attempts)
        self.most_mcpu = max(self.most_mcpu, sum(attempt.job.request.cpu_mcpu or 1000 for attempt in self._running))
        return [Outcome(attempt.attempt_id, "started", pid=1) for attempt in attempts]

    def wait(self, timeout_s: float) -> list[Outcome]:
        del timeout_s
        if not self._running:
            return []
        attempt = self._running.pop(self._pick(len(self._running)))
        job_id = attempt.job.job_id
        if self._losses.get(job_id, 0):
            self._losses[job_id] -= 1
            return [Outcome(attempt.attempt_id, "lost", reason="lost")]
        return [Outcome(attempt.attempt_id, "ended", int(job_id in self._failing), pid=1)]

    def stop(self, attempt_id: str, force: bool) -> None:
        raise AssertionError(f"nothing was to be stopped: {attempt_id} {force}")

    def close(self) -> None:
        return


def play(spec: BatchSpec, stage: Stage) -> list[JobEvent]:
    """The journal of a run of the spec on the stage."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "scratch").mkdir()
        localizer = Localizer(f"{folder}/scratch")
        journal = JournalWriter(Path(folder) / "events.jsonl")
        ledger = Ledger(Capacity(CORES * 1000, 1 << 30, 100))
        engine = Engine(spec, stage, journal, ledger, localizer, Finisher(localizer, folder), logs=folder, env={})
        engine.run()
        engine.end()
        journal.close()
        assert (ledger.free_mcpu, ledger.free_bytes, ledger.running) == (CORES * 1000, 1 << 30, 0)
        return list(read_events(Path(folder) / "events.jsonl"))


def fold(spec: BatchSpec, events: list[JobEvent]) -> BatchSnapshot:
    return BatchSnapshot.empty([job.job_id for job in spec.jobs]).after(events, strict=True)


@settings(max_examples=60, deadline=None)
@given(graphs(), st.data())
def test_any_order_of_ends_gives_the_states_of_the_naive_model(jobs: list[JobSpec], data: st.DataObject) -> None:
    failing = data.draw(st.sets(st.sampled_from([job.job_id for job in jobs])), label="failing")
    losses = data.draw(st.dictionaries(st.sampled_from([job.job_id for job in jobs]), st.integers(1, 2)), label="losses")
    sized = tuple(job._replace(request=Request(cpu_mcpu=data.draw(st.sampled_from([None, 500, 1000, 2000])))) for job in jobs)
    stage = Stage(lambda count: data.draw(st.integers(0, count - 1), label="next to end"), failing, losses)

    snapshot = fold(BatchSpec(None, sized), play(BatchSpec(None, sized), stage))

    expected = naive_finals(jobs, {job.job_id: F if job.job_id in failing else OK for job in jobs})
    assert {view.job_id: view.state for view in snapshot.jobs} == expected
    assert stage.most_mcpu <= CORES * 1000
    run = {job_id for job_id, state in expected.items() if state is not K}
    assert {job_id: stage.tried.count(job_id) for job_id in expected} == {job_id: (1 + losses.get(job_id, 0)) * (job_id in run) for job_id in expected}


def test_a_job_that_is_lost_as_often_as_it_may_be_tried_is_an_error() -> None:
    spec = BatchSpec(None, (node(1)._replace(n_max_attempts=3), node(2, 1)))
    stage = Stage(random.Random(1).randrange, losses={1: 99})

    snapshot = fold(spec, play(spec, stage))

    assert [view.state for view in snapshot.jobs] == [E, K]
    assert snapshot.jobs[0].reason == "job has too many prior attempts"
    assert stage.tried == [1, 1, 1]


def test_a_large_job_is_not_passed_for_ever_by_small_ones() -> None:
    large = node(2)._replace(request=Request(cpu_mcpu=2000))
    small = tuple(node(job_id) for job_id in range(3, 1500))
    stage = Stage(random.Random(1).randrange)

    play(BatchSpec(None, (node(1), large, *small)), stage)

    assert 1 < stage.tried.index(2) < 1000


def test_jobs_on_the_longest_way_start_first() -> None:
    spec = BatchSpec(None, (node(1), node(2), node(3), node(4, 3), node(5, 4)))
    stage = Stage(random.Random(1).randrange)

    play(spec, stage)

    assert stage.tried[0] == 3

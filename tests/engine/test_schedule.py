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
from hail_batch_jupyter.core.retry import Retry
from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec, GroupSpec, JobSpec, Request, Transfer
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.engine.capacity import Ledger
from hail_batch_jupyter.engine.engine import Engine
from hail_batch_jupyter.engine.finish import Finisher
from hail_batch_jupyter.engine.localize import Localizer
from hail_batch_jupyter.observe.journal import JournalWriter, read_events
from hail_batch_jupyter.observe.totals import Tally
from tests.core.graphs import graphs, node
from tests.core.test_dag import naive_finals

OK, F, K, E = JobState.SUCCESS, JobState.FAILED, JobState.CANCELLED, JobState.ERROR
CORES = 2


class Stage:
    """Ends one of the attempts it was given at each `wait`, the one that `pick` says of so many; loses some on the way."""

    def __init__(
        self, pick: Callable[[int], int], failing: Collection[int] = (), losses: Mapping[int, int] | None = None, *, reason: str = "", may_stop: bool = False
    ) -> None:
        self._failing = failing
        self._reason = reason
        self._may_stop = may_stop
        self._losses = dict(losses or {})
        self._pick = pick
        self._running: list[Attempt] = []
        self.most_mcpu = 0
        self.together: list[set[int]] = []
        self.memory: list[int | None] = []
        self.tried: list[int] = []

    def start(self, attempts: Sequence[Attempt]) -> list[Outcome]:
        self._running.extend(attempts)
        self.tried.extend(attempt.job.job_id for attempt in attempts)
        self.most_mcpu = max(self.most_mcpu, sum(attempt.job.request.cpu_mcpu or 1000 for attempt in self._running))
        self.together.append({attempt.job.job_id for attempt in self._running})
        self.memory.extend(attempt.job.request.memory_bytes for attempt in attempts)
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
        failed = job_id in self._failing
        return [Outcome(attempt.attempt_id, "ended", int(failed), self._reason if failed else "", pid=1)]

    def stop(self, attempt_id: str, force: bool) -> None:
        if not self._may_stop:
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
        outcome, totals = engine.end()
        journal.close()
        tally = Tally(Path(folder), len(spec.jobs))
        assert (tally.read(), totals.state(tally.cancelled)) == (totals, outcome)
        assert (ledger.free_mcpu, ledger.free_bytes, ledger.running) == (CORES * 1000, 1 << 30, 0)
        return list(read_events(Path(folder) / "events.jsonl"))


def fold(spec: BatchSpec, events: list[JobEvent]) -> BatchSnapshot:
    return BatchSnapshot.empty([job.job_id for job in spec.jobs]).after(events, strict=True)


@settings(max_examples=60)
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


@settings(max_examples=60)
@given(graphs(), st.data())
def test_with_groups_limits_and_retries_the_states_are_the_same_and_no_limit_is_passed(jobs: list[JobSpec], data: st.DataObject) -> None:
    limits = st.none() | st.integers(1, 2)
    groups = tuple(GroupSpec(number, str(number), data.draw(st.integers(0, number - 1)), at_most=data.draw(limits)) for number in (1, 2, 3))
    failing = data.draw(st.sets(st.sampled_from([job.job_id for job in jobs])), label="failing")
    tries = data.draw(st.integers(1, 3), label="tries")
    retry = Retry(tries) if tries > 1 else None
    grouped = tuple(job._replace(group=data.draw(st.integers(0, 3)), retry=retry, request=Request(cpu_mcpu=500)) for job in jobs)
    spec = BatchSpec(None, grouped, groups=groups, at_most=data.draw(limits))
    stage = Stage(lambda count: data.draw(st.integers(0, count - 1), label="next to end"), failing)

    snapshot = fold(spec, play(spec, stage))

    expected = naive_finals(jobs, {job.job_id: F if job.job_id in failing else OK for job in jobs})
    assert {view.job_id: view.state for view in snapshot.jobs} == expected
    for together in stage.together:
        assert spec.at_most is None or len(together) <= spec.at_most
        for group in groups:
            inside = [job_id for job_id in together if group.group_id in spec.groups_of(spec.job(job_id).group)]
            assert group.at_most is None or len(inside) <= group.at_most
    assert {job_id: stage.tried.count(job_id) for job_id, state in expected.items()} == {
        job_id: 0 if state is K else tries if job_id in failing else 1 for job_id, state in expected.items()
    }
    assert {view.job_id: len(view.attempts) for view in snapshot.jobs} == {job_id: stage.tried.count(job_id) for job_id in expected}


@settings(max_examples=60)
@given(graphs(), st.data())
def test_a_group_that_reaches_its_limit_of_failures_cancels_its_own_jobs_only(jobs: list[JobSpec], data: st.DataObject) -> None:
    limit = data.draw(st.integers(1, 2), label="limit")
    failing = data.draw(st.sets(st.sampled_from([job.job_id for job in jobs])), label="failing")
    grouped = tuple(job._replace(group=data.draw(st.integers(0, 2)), always_run=False) for job in jobs)
    spec = BatchSpec(None, grouped, groups=(GroupSpec(1, "limited", cancel_after_n_failures=limit), GroupSpec(2, "free")))
    stage = Stage(lambda count: data.draw(st.integers(0, count - 1), label="next to end"), failing, may_stop=True)

    snapshot = fold(spec, play(spec, stage))

    plain = naive_finals(list(grouped), {job.job_id: F if job.job_id in failing else OK for job in jobs})
    failed = sum(view.state is F and spec.job(view.job_id).group == 1 for view in snapshot.jobs)
    reached = 1 in snapshot.cancelled_groups
    assert reached == (failed >= limit)
    if not reached:
        assert {view.job_id: view.state for view in snapshot.jobs} == plain
    reasons = {view.job_id: view.reason for view in snapshot.jobs if view.state is K}
    assert all(spec.job(job_id).group == 1 for job_id, reason in reasons.items() if reason == "its group 'limited' was cancelled")


def test_after_running_out_of_memory_a_job_gets_more_up_to_that_of_the_machine() -> None:
    retry = Retry(4, ("out of memory",), memory_factor=2)
    spec = BatchSpec(None, (node(1)._replace(retry=retry, request=Request(memory_bytes=300 << 20)),))
    stage = Stage(random.Random(1).randrange, {1}, reason="out of memory")

    snapshot = fold(spec, play(spec, stage))

    assert [memory and memory >> 20 for memory in stage.memory] == [300, 600, 1024, 1024]
    granted = [attempt.granted and attempt.granted.memory_bytes >> 20 for attempt in snapshot.jobs[0].attempts]
    assert granted == [None, 600, 1024, 1024]
    assert [attempt.reason for attempt in snapshot.jobs[0].attempts] == ["out of memory"] * 4
    assert snapshot.jobs[0].state is F


def test_a_policy_that_speaks_of_lost_workers_limits_them() -> None:
    lossy = node(1)._replace(retry=Retry(2, ("lost",)))
    spec = BatchSpec(None, (lossy, node(2)._replace(retry=Retry(2))))
    stage = Stage(random.Random(1).randrange, losses={1: 9, 2: 5})

    snapshot = fold(spec, play(spec, stage))

    assert [view.state for view in snapshot.jobs] == [E, OK]
    assert [len(view.attempts) for view in snapshot.jobs] == [2, 6]


def test_after_so_many_lost_workers_a_job_asks_for_one_that_stays() -> None:
    spot = Request(spot=True)
    moving = node(1)._replace(retry=Retry(1, no_spot_after=2), request=spot)
    spec = BatchSpec(None, (moving, node(2)._replace(retry=Retry(1, no_spot_after=9), request=spot), node(3)._replace(request=spot)))
    stage = Stage(random.Random(1).randrange, losses={1: 3, 2: 3, 3: 3})

    snapshot = fold(spec, play(spec, stage))

    stays = "lost; the next attempt is on a machine that stays"
    assert [[attempt.granted and attempt.granted.spot for attempt in view.attempts] for view in snapshot.jobs] == [
        [None, None, False, False],
        [None] * 4,
        [None] * 4,
    ]
    assert [attempt.reason for attempt in snapshot.jobs[0].attempts] == ["lost", stays, "lost", ""]
    assert [attempt.reason for attempt in snapshot.jobs[1].attempts] == ["lost", "lost", "lost", ""]


def test_a_job_that_fails_is_not_tried_again_because_it_falls_back_from_spot() -> None:
    spec = BatchSpec(None, (node(1)._replace(retry=Retry(1, no_spot_after=1)),))
    stage = Stage(random.Random(1).randrange, {1}, losses={1: 1})

    snapshot = fold(spec, play(spec, stage))

    assert (snapshot.jobs[0].state, len(snapshot.jobs[0].attempts)) == (F, 2)


def test_inputs_that_could_not_be_copied_are_tried_again_too() -> None:
    missing = Transfer("/nowhere/to/be/found", f"{SCRATCH}/inputs/x")
    spec = BatchSpec(None, (node(1)._replace(retry=Retry(3), inputs=(missing,)),))
    stage = Stage(random.Random(1).randrange)

    snapshot = fold(spec, play(spec, stage))

    assert stage.tried == []
    assert (snapshot.jobs[0].state, len(snapshot.jobs[0].attempts)) == (F, 3)

"""What a run has cost so far and what its rest will probably cost: kept up with snapshots, priced when asked."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple, Optional

from hail_batch_jupyter.core.events import BatchSnapshot, JobView
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.core.stems import stage_name
from hail_batch_jupyter.cost.card import OF_BACKEND, card_of, load_card
from hail_batch_jupyter.cost.meter import Allotments
from hail_batch_jupyter.cost.money import NOTHING, Breakdown
from hail_batch_jupyter.cost.rates import HOUR_MS, Allotment


class StageCost(NamedTuple):
    """The jobs of one stage, or all of a run.

    finished    attempts that have ended        so_far   those that run, too, until now
    rest        what is probably still to come, of jobs of whose duration something is known        unknown   how many others are still to come
    core_hours  granted, so far                 cores    of the largest of its jobs
    jobs        all of them                     unpriced   those that no worker of the card has
    """

    stage: str
    jobs: int
    cores: Fraction
    core_hours: Fraction
    finished: Breakdown
    so_far: Breakdown
    rest: Breakdown
    unknown: int = 0
    unpriced: int = 0


class RunCost(NamedTuple):
    """What a run costs.

    priced_by   the card and its date, or the service that says it itself        free   nothing is charged
    whole       all stages together        by_part   whether stages and jobs are told by part; else their sums stand under compute
    """

    priced_by: str
    free: bool
    whole: StageCost
    stages: tuple[StageCost, ...]
    by_part: bool = True


class JobCost(NamedTuple):
    """One job: what it is granted and what that costs, as of StageCost; no cores where no worker has it, no rest where nothing is known."""

    cores: Optional[Fraction]
    memory_bytes: Optional[int]
    finished: Breakdown
    so_far: Breakdown
    rest: Optional[Breakdown]


class _Waiting:
    """Jobs of one stage and kind that wait: how many, what is known of their durations together, and of how many nothing is."""

    __slots__ = ("jobs", "known_ms", "unknown")

    def __init__(self) -> None:
        self.jobs = 0
        self.known_ms = 0
        self.unknown = 0


class Account:
    """Follows the snapshots of one run; what did not change since the last one is not looked at again.

    Durations that are still to come are the mean of those jobs of the same stage that have succeeded in this run, else what the budget
    expects, else the timeout. May be used by several threads.
    """

    def __init__(self, spec: BatchSpec, backend: str) -> None:
        self.card = card_of(spec.card, "of the run") if spec.card is not None else load_card(OF_BACKEND.get(backend, "this-machine"))
        self._spec = spec
        self._allotments = Allotments(self.card)
        self._lock = threading.Lock()
        self._views: tuple[JobView, ...] = ()
        numbers: dict[str, int] = {}
        self._stage_of = [numbers.setdefault(stage_name(job), len(numbers)) for job in spec.jobs]
        self._stages = list(numbers)
        self._ended: list[dict[Allotment, int]] = [{} for _ in self._stages]
        self._counted: list[tuple[tuple[Allotment, int], ...]] = [()] * len(spec.jobs)
        self._took = [[0, 0] for _ in self._stages]
        self._expected = spec.budget.expected_ms if spec.budget is not None else ()
        self._running: dict[int, Optional[Allotment]] = {}
        self._over: set[int] = set()
        self._waiting: list[dict[Optional[Allotment], _Waiting]] = [{} for _ in self._stages]
        for number in range(len(spec.jobs)):
            self._wait(number, 1)

    def update(self, snapshot: BatchSnapshot) -> None:
        """Take what changed since the last snapshot into account."""
        with self._lock:
            old, new = self._views, snapshot.jobs
            if new is old:
                return
            changed = range(len(new)) if not old else [number for number, (was, now) in enumerate(zip(old, new)) if was is not now]
            for number in changed:
                self._count(number, new[number])
            self._views = new

    def _count(self, number: int, view: JobView) -> None:
        sums = self._ended[self._stage_of[number]]
        for counted_as, billed_ms in self._counted[number]:
            sums[counted_as] -= billed_ms
        job, counted = self._spec.jobs[number], []
        for attempt in view.attempts:
            allotment = self._allotments.of(job.request, attempt.granted)
            if attempt.ended_ms is not None and allotment is not None:
                counted.append((allotment, self.card.billed_ms(attempt.started_ms, attempt.ended_ms, attempt.main_ms, attempt.output_ms)))
        for counted_as, billed_ms in counted:
            sums[counted_as] = sums.get(counted_as, 0) + billed_ms
        self._counted[number] = tuple(counted)
        self._note_state(number, view)
        if view.state is JobState.SUCCESS and number not in self._over and not view.reused and counted:
            took = self._took[self._stage_of[number]]
            took[0] += counted[-1][1]
            took[1] += 1
        if view.state.complete:
            self._over.add(number)

    def _note_state(self, number: int, view: JobView) -> None:
        """Whether it waits, runs or is over."""
        waited = number not in self._running and number not in self._over
        runs = view.state is JobState.RUNNING
        waits = not runs and not view.state.complete
        if waited != waits:
            self._wait(number, 1 if waits else -1)
        if runs:
            self._running[number] = self._allotments.of(self._spec.jobs[number].request, view.granted)
        else:
            self._running.pop(number, None)

    def _wait(self, number: int, sign: int) -> None:
        """Count the job among those that wait, or no more."""
        job = self._spec.jobs[number]
        waiting = self._waiting[self._stage_of[number]].setdefault(self._allotments.of(job.request), _Waiting())
        known_ms = self._known_ms(number, job)
        waiting.jobs += sign
        waiting.unknown += sign * (known_ms is None)
        waiting.known_ms += sign * (known_ms or 0)

    def so_far_usd(self, numbers: Iterable[int], now_ms: int) -> list[float]:
        """Dollars of the jobs at these places until now."""
        with self._lock:
            return [self._views[number].cost_usd + float(self._running_usd(number, now_ms)) for number in numbers]

    def _running_usd(self, number: int, now_ms: int) -> Fraction:
        if self._views[number].state is not JobState.RUNNING:
            return Fraction(0)
        allotment, elapsed_ms, _ = self._to_come(number, now_ms)
        return self._allotments.usd(allotment, elapsed_ms)

    def jobs(self, now_ms: int) -> list[JobCost]:
        """What is known of each job now, in the order of the jobs."""
        with self._lock:
            return [self._job(number, now_ms) for number in range(len(self._views))]

    def _job(self, number: int, now_ms: int) -> JobCost:
        finished = NOTHING
        for counted_as, billed_ms in self._counted[number]:
            finished = finished.plus(self._allotments.price(counted_as, billed_ms))
        allotment, elapsed_ms, rest_ms = self._to_come(number, now_ms)
        if allotment is None:
            return JobCost(None, None, finished, finished, None)
        cores, memory = allotment.cores, allotment.memory_bytes or None
        if number in self._over:
            return JobCost(cores, memory, finished, finished, NOTHING)
        so_far = finished.plus(self._allotments.price(allotment, elapsed_ms))
        return JobCost(cores, memory, finished, so_far, None if rest_ms is None else self._allotments.price(allotment, rest_ms))

    def _to_come(self, number: int, now_ms: int) -> tuple[Optional[Allotment], int, Optional[int]]:
        """What a job that has not ended is granted, its billed milliseconds until now, and those still to come, None where nothing is known."""
        view, job = self._views[number], self._spec.jobs[number]
        elapsed_ms = 0
        if number in self._running:
            allotment = self._running[number]
            elapsed_ms = self.card.billed_ms(view.started_ms, now_ms, view.main_ms, view.output_ms)
        else:
            allotment = self._allotments.of(job.request, view.granted)
        expected_ms = self._expected_ms(number, job)
        return allotment, elapsed_ms, None if expected_ms is None else max(0, expected_ms - elapsed_ms)

    def _expected_ms(self, number: int, job: JobSpec) -> Optional[int]:
        took_ms, count = self._took[self._stage_of[number]]
        return took_ms // count if count else self._known_ms(number, job)

    def _known_ms(self, number: int, job: JobSpec) -> Optional[int]:
        """What was known of its duration before the run."""
        if number < len(self._expected) and self._expected[number]:
            return self._expected[number]
        return None if job.timeout_s is None else int(job.timeout_s * 1000)

    def cost(self, now_ms: int) -> RunCost:
        """What is known now."""
        with self._lock:
            running, rest, unknown, unpriced = self._open_jobs(now_ms)
            sizes = [0] * len(self._stages)
            for stage in self._stage_of:
                sizes[stage] += 1
            kinds = zip(self._stages, sizes, self._ended, running, rest, unknown, unpriced)
            stages = tuple([self._stage(*kind) for kind in kinds])
        return RunCost(self.card.label, self.card.free, whole_of(stages), stages)

    def _open_jobs(self, now_ms: int) -> tuple[list[dict[Allotment, int]], list[dict[Allotment, int]], list[int], list[int]]:
        """By stage: milliseconds of running attempts, those still to come, jobs of whose rest nothing is known, jobs that cannot be priced."""
        running: list[dict[Allotment, int]] = [{} for _ in self._stages]
        rest: list[dict[Allotment, int]] = [{} for _ in self._stages]
        unknown, unpriced = [0] * len(self._stages), [0] * len(self._stages)
        for stage, kinds in enumerate(self._waiting):
            took_ms, count = self._took[stage]
            for allotment, waiting in kinds.items():
                if allotment is None:
                    unpriced[stage] += waiting.jobs
                    continue
                rest[stage][allotment] = waiting.jobs * (took_ms // count) if count else waiting.known_ms
                unknown[stage] += 0 if count else waiting.unknown
        for number in self._running:
            stage = self._stage_of[number]
            allotment, elapsed_ms, rest_ms = self._to_come(number, now_ms)
            if allotment is None:
                unpriced[stage] += 1
                continue
            running[stage][allotment] = running[stage].get(allotment, 0) + elapsed_ms
            rest[stage][allotment] = rest[stage].get(allotment, 0) + (rest_ms or 0)
            unknown[stage] += rest_ms is None
        return running, rest, unknown, unpriced

    def _stage(
        self, name: str, jobs: int, ended: Mapping[Allotment, int], running: Mapping[Allotment, int], rest: Mapping[Allotment, int], unknown: int, unpriced: int
    ) -> StageCost:
        kinds = {**ended, **running}
        cores = max([allotment.cores for allotment in kinds], default=Fraction(0))
        hours = sum([allotment.cores * billed_ms for times in (ended, running) for allotment, billed_ms in times.items()], Fraction(0)) / HOUR_MS
        finished = self._sum(ended)
        return StageCost(name, jobs, cores, hours, finished, finished.plus(self._sum(running)), self._sum(rest), unknown, unpriced)

    def _sum(self, times: Mapping[Allotment, int]) -> Breakdown:
        whole = NOTHING
        for allotment, billed_ms in times.items():
            whole = whole.plus(self._allotments.price(allotment, billed_ms))
        return whole


def whole_of(stages: tuple[StageCost, ...], name: str = "") -> StageCost:
    """All stages together."""
    whole = StageCost(name, 0, Fraction(0), Fraction(0), NOTHING, NOTHING, NOTHING)
    for stage in stages:
        whole = StageCost(
            name,
            whole.jobs + stage.jobs,
            max(whole.cores, stage.cores),
            whole.core_hours + stage.core_hours,
            whole.finished.plus(stage.finished),
            whole.so_far.plus(stage.so_far),
            whole.rest.plus(stage.rest),
            whole.unknown + stage.unknown,
            whole.unpriced + stage.unpriced,
        )
    return whole

"""What jobs will probably cost: what the card grants, times what is known of their durations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple, Optional

from hail_batch_jupyter.core.spec import JobSpec, Request
from hail_batch_jupyter.core.stems import stage_name
from hail_batch_jupyter.cost.history import NO_HISTORY, REFUSED, SAME_NAME, SAME_STAGE, TAKEN_OVER, TIMEOUT, UNKNOWN, History, Seen
from hail_batch_jupyter.cost.money import NOTHING, Breakdown
from hail_batch_jupyter.cost.rates import HOUR_MS, Allotment, Card
from hail_batch_jupyter.errors import GrantError


class Range(NamedTuple):
    """Dollars by part: as if every job were as quick as it ever was, as it mostly was, as slow as it ever was."""

    low: Breakdown = NOTHING
    expected: Breakdown = NOTHING
    high: Breakdown = NOTHING

    def plus(self, other: Range) -> Range:
        """The sum, each with each."""
        return Range(*[mine.plus(theirs) for mine, theirs in zip(self, other)])


class JobForecast(NamedTuple):
    """One job: what it is granted (None where no worker has it), where its duration is from, and the milliseconds that are charged."""

    job_id: int
    name: str
    stage: str
    granted: Optional[Allotment]
    basis: str
    low_ms: int = 0
    expected_ms: int = 0
    high_ms: int = 0


class StageForecast(NamedTuple):
    """The jobs of one stage together; `cores` are those of its largest job, `core_hours` low, expected and high."""

    stage: str
    jobs: int
    cores: Fraction
    cost: Range
    core_hours: tuple[Fraction, Fraction, Fraction]
    bases: Counter[str]


class Estimate:
    """What a run will probably cost, exact; print it, or show it in a notebook.

    card      the rate card        jobs   one JobForecast each
    runs      the earlier runs that durations are from
    refused   why jobs cannot be granted, by their reasons: how many
    where     jobs run, '' where that goes without saying
    """

    where: str = ""

    def __init__(self, card: Card, jobs: Sequence[JobForecast], runs: Sequence[str] = (), refused: Counter[str] | None = None) -> None:
        self.card = card
        self.jobs = tuple(jobs)
        self.runs = tuple(runs)
        self.refused = refused or Counter()
        self.bases = Counter([job.basis for job in self.jobs])
        self.stages = _stages(card, self.jobs)
        whole = Range()
        for stage in self.stages:
            whole = whole.plus(stage.cost)
        self.cost = whole
        low, expected, high = ([stage.core_hours[which] for stage in self.stages] for which in range(3))
        self.core_hours = (sum(low, Fraction(0)), sum(expected, Fraction(0)), sum(high, Fraction(0)))

    @property
    def unknown(self) -> int:
        """How many jobs are not counted because nothing is known of their durations, or no worker has what they ask for."""
        return self.bases[UNKNOWN] + self.bases[REFUSED]

    @property
    def low_usd(self) -> float:
        """Dollars if every job is as quick as it ever was."""
        return float(self.cost.low.total)

    @property
    def expected_usd(self) -> float:
        """Dollars if every job takes as long as it mostly did; a job of which only the timeout is known, all of that."""
        return float(self.cost.expected.total)

    @property
    def high_usd(self) -> float:
        """Dollars if every job is as slow as it ever was."""
        return float(self.cost.high.total)

    def of_job(self, job_id: int) -> Range:
        """Dollars of one job; nothing for one of which nothing is known.

        Raises KeyError for a number that none has.
        """
        job = next((job for job in self.jobs if job.job_id == job_id), None)
        if job is None:
            raise KeyError(job_id)
        if job.granted is None:
            return Range()
        hourly = self.card.hourly(job.granted)
        return Range(*[hourly.times(Fraction(ms, HOUR_MS)) for ms in (job.low_ms, job.expected_ms, job.high_ms)])

    def __repr__(self) -> str:
        from hail_batch_jupyter.cost.report import estimate_text

        return estimate_text(self)

    def _repr_html_(self) -> str:
        from hail_batch_jupyter.core.registry import hook

        return str(hook("estimate_html")(self))


def estimate(jobs: Sequence[JobSpec], card: Card, history: History = NO_HISTORY) -> Estimate:
    """What these jobs will probably cost by the card: durations of the same job, else of its stage, else its timeout, else nothing is known.

    A job whose fingerprint succeeded before, and all whose parents did, costs nothing but at most, where its files may be gone, what it cost then.
    """
    granted: dict[Request, Allotment | str] = {}
    done: set[int] = set()
    first = jobs[0].job_id if jobs else 1
    forecasts, refused = [], Counter[str]()
    for job in jobs:
        given = granted.get(job.request)
        if given is None:
            given = granted[job.request] = _granted(card, job.request)
        if isinstance(given, str):
            refused[given] += 1
            forecasts.append(JobForecast(job.job_id, job.display_name, stage_name(job), None, REFUSED))
            continue
        again = job.key in history.done and all(edge.job_id in done or edge.job_id < first for edge in job.parents)
        if again:
            done.add(job.job_id)
        forecasts.append(_forecast(job, given, history, again=again))
    return Estimate(card, forecasts, history.runs, refused)


def _granted(card: Card, request: Request) -> Allotment | str:
    try:
        return card.grant(request)
    except GrantError as error:
        return str(error)


def _forecast(job: JobSpec, granted: Allotment, history: History, *, again: bool) -> JobForecast:
    stage = stage_name(job)
    basis, seen = _seen(job, stage, history)
    limit_ms = None if job.timeout_s is None else int(job.timeout_s * 1000)
    low, expected, high = seen[:3]
    if limit_ms is not None:
        low, expected, high = min(low, limit_ms), min(expected, limit_ms), min(high, limit_ms)
    if again:
        return JobForecast(job.job_id, job.display_name, stage, granted, TAKEN_OVER, 0, 0, high)
    return JobForecast(job.job_id, job.display_name, stage, granted, basis, low, expected, high)


def _seen(job: JobSpec, stage: str, history: History) -> tuple[str, Seen]:
    """Where the duration is from, and which."""
    found = history.by_name.get(job.name or "")
    if found is not None:
        return SAME_NAME, found
    found = history.by_stage.get(stage)
    if found is not None:
        return SAME_STAGE, found
    if job.timeout_s is not None:
        limit_ms = int(job.timeout_s * 1000)
        return TIMEOUT, Seen(0, limit_ms, limit_ms, 0)
    return UNKNOWN, Seen(0, 0, 0, 0)


def _stages(card: Card, jobs: Iterable[JobForecast]) -> tuple[StageForecast, ...]:
    """The jobs summed by stage, in the order in which stages begin; milliseconds first, so that each kind of grant is priced once."""
    times: dict[str, dict[Allotment | None, list[int]]] = {}
    bases: dict[str, Counter[str]] = {}
    for job in jobs:
        sums = times.setdefault(job.stage, {}).setdefault(job.granted, [0, 0, 0])
        sums[0] += job.low_ms
        sums[1] += job.expected_ms
        sums[2] += job.high_ms
        bases.setdefault(job.stage, Counter())[job.basis] += 1
    return tuple([_stage(card, stage, kinds, bases[stage]) for stage, kinds in times.items()])


def _stage(card: Card, stage: str, kinds: dict[Allotment | None, list[int]], bases: Counter[str]) -> StageForecast:
    cost, hours = Range(), [Fraction(0)] * 3
    for granted, sums in kinds.items():
        if granted is None:
            continue
        hourly = card.hourly(granted)
        cost = cost.plus(Range(*[hourly.times(Fraction(ms, HOUR_MS)) for ms in sums]))
        hours = [hour + granted.cores * ms / HOUR_MS for hour, ms in zip(hours, sums)]
    cores = max([granted.cores for granted in kinds if granted is not None], default=Fraction(0))
    return StageForecast(stage, sum(bases.values()), cores, cost, (hours[0], hours[1], hours[2]), bases)

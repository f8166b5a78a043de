"""What the next run of a batch will probably cost, from what its earlier runs took."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from hail_batch_jupyter.batch.resume import script_lineage
from hail_batch_jupyter.compile.compiler import compile_batch
from hail_batch_jupyter.core.events import BatchSnapshot, JobView
from hail_batch_jupyter.core.spec import BatchSpec, Budget, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.core.stems import stage_name
from hail_batch_jupyter.cost.card import card_data, chosen_card
from hail_batch_jupyter.cost.estimate import Estimate, estimate
from hail_batch_jupyter.cost.history import TAKEN_OVER, TIMEOUT, History, seen_by
from hail_batch_jupyter.cost.money import dollars, parse_usd
from hail_batch_jupyter.errors import CapabilityError, RunLostError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import read_spec
from hail_batch_jupyter.observe.journal import read_events

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.cost.rates import Card
    from hail_batch_jupyter.observe.rundir import RunInfo

_RUNS = 5
"""So many of the newest earlier runs are read,"""
_JOBS = 30_000
"""and no more once so many jobs were."""

Told = tuple[str, BatchSpec, BatchSnapshot]


def estimate_batch(batch: Batch, card: str | os.PathLike[str] | Card | None = None) -> Estimate:
    """See `Batch.estimate_cost`."""
    from hail_batch_jupyter.batch.runs import settle

    if not batch.backend.remote:
        settle(batch)
    spec = compile_batch(batch.draft, only_new=not batch.lineage, appended=batch.backend.remote)
    return estimate_spec(batch, spec, card, takes_over=bool(batch.lineage))


def estimate_spec(batch: Batch, spec: BatchSpec, card: str | os.PathLike[str] | Card | None = None, *, takes_over: bool) -> Estimate:
    """What this spec of the batch will probably cost; with `takes_over` the successes of the last run are not run again."""
    chosen = chosen_card(batch.backend.name, card)
    found = estimate(spec.jobs, chosen, history_of(batch, chosen, takes_over=takes_over))
    found.where = batch.backend.where()
    return found


def with_budget(batch: Batch, spec: BatchSpec, max_cost_usd: str | float, *, takes_over: bool) -> BatchSpec:
    """The spec with a limit of what it may cost, and with what is needed to keep it: the card, and how long its jobs will probably take.

    Raises UnitError for what is no amount, CapabilityError where nothing is charged, or where a service runs the jobs.
    """
    max_usd = parse_usd(max_cost_usd)
    if batch.backend.remote:
        raise CapabilityError(
            f"a limit of {dollars(max_usd)} for one run needs a backend whose jobs are started from here; a batch service has limits for its billing projects"
        )
    card = chosen_card(batch.backend.name)
    if card.free:
        raise CapabilityError(
            f"a limit of {dollars(max_usd)} needs prices, and by rate card {card.label} nothing is charged; name a card in the setting batch/rate_card"
        )
    found = estimate(spec.jobs, card, history_of(batch, card, takes_over=takes_over))
    expected_ms = tuple([0 if job.basis in (TAKEN_OVER, TIMEOUT) else job.expected_ms for job in found.jobs])
    return spec._replace(card=card_data(card), budget=Budget(max_usd, expected_ms))


def history_of(batch: Batch, card: Card, *, takes_over: bool) -> History:
    """What the newest runs of the batch tell, by what the card charges."""
    runs = list(_told(batch))
    samples = [(job, _billed_ms(card, view)) for _, spec, snapshot in runs for job, view in zip(spec.jobs, snapshot.jobs, strict=True) if _counts(view)]
    by_name = seen_by((job.name, took_ms) for job, took_ms in samples if job.name)
    by_stage = seen_by((stage_name(job), took_ms) for job, took_ms in samples)
    done = frozenset(_succeeded(*runs[0][1:])) if takes_over and runs else frozenset()
    return History(by_name, by_stage, tuple([run_id for run_id, _, _ in runs]), done)


def _counts(view: JobView) -> bool:
    return view.state is JobState.SUCCESS and not view.reused and view.started_ms is not None and view.ended_ms is not None


def _billed_ms(card: Card, view: JobView) -> int:
    return card.billed_ms(view.started_ms, view.ended_ms or 0, view.main_ms, view.output_ms)


def _succeeded(spec: BatchSpec, snapshot: BatchSnapshot) -> Iterator[str]:
    pairs: Iterator[tuple[JobSpec, JobView]] = zip(spec.jobs, snapshot.jobs, strict=True)
    return (job.key for job, view in pairs if view.state is JobState.SUCCESS)


def _told(batch: Batch) -> Iterator[Told]:
    """The runs that this process knows and those of the same batch on this machine, newest first."""
    jobs = 0
    for number, told in enumerate(_earlier(batch), 1):
        yield told
        jobs += len(told[1].jobs)
        if number >= _RUNS or jobs >= _JOBS:
            return


def _earlier(batch: Batch) -> Iterator[Told]:
    known = set()
    for run in reversed(batch.runs):
        known.add(run.running.id)
        yield str(run.running.id), run.running.spec, run.running.snapshot()
    for info in rundir.list_runs():
        if info.run_id not in known and _same_batch(batch, info):
            with suppress(RunLostError):  # another version wrote it, or it was removed meanwhile
                spec = read_spec(info.directory)
                blank = BatchSnapshot.empty([job.job_id for job in spec.jobs])
                yield info.run_id, spec, blank.after(read_events(info.directory / "events.jsonl"))


def _same_batch(batch: Batch, run: RunInfo) -> bool:
    """By what its runs have in common; where it has nothing, by its name."""
    if batch.lineage:
        return run.lineage == batch.lineage
    return bool(batch.name) and (run.name == batch.name or run.lineage == script_lineage(batch.name))

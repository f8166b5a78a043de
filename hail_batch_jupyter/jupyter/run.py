"""Runs the current batch, waits for it, ends it and comes back to it."""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.batch.run import WAITING
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.errors import RunLiveError, RunLostError
from hail_batch_jupyter.jupyter import display
from hail_batch_jupyter.jupyter.cells.subset import same_work, with_ancestors
from hail_batch_jupyter.jupyter.desk import place_of
from hail_batch_jupyter.jupyter.news import mark_seen
from hail_batch_jupyter.jupyter.waiting import ended_within
from hail_batch_jupyter.jupyter.words import plural, progress_text

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
    from hail_batch_jupyter.jupyter.desk import Desk
    from hail_batch_jupyter.observe.running import RunningBatch

_SLICE_S = 0.5
_SHOWN_STAGES = 100
_SHOWN_PARENTS = 6
_SHOWN_CHARACTERS = 20_000
"""A dry run shows so much of ten thousand jobs that a notebook stays small: the first 100 stages, 6 names, 20 000 characters of a script."""


@dataclass(frozen=True)
class RunOrder:
    """How to run: only some jobs, without taking results over, beside a live run, within a budget of dollars."""

    only: tuple[str, ...] = ()
    fresh: bool = False
    again: bool = False
    max_cost: str | None = None


def run_batch(desk: Desk, order: RunOrder) -> RunningBatch:
    """Run what the cells say now, or attach to the live run that does just that; shows the run and returns at once.

    Raises RunLiveError beside a live run of the same batch that does something else.
    """
    from hail_batch_jupyter.observe.starting import one_start

    batch = desk.batch()
    spec = spec_of(batch, order)
    with one_start("" if batch.backend.remote else batch.lineage, lambda: print(WAITING, end="", flush=True)):
        running = _started_or_found(batch, spec, order)
    keep(desk, batch, running)
    display.show_run(running)
    return running


def _started_or_found(batch: Batch, spec: BatchSpec, order: RunOrder) -> RunningBatch:
    """The new run, or the live one that does just that; no other process starts one meanwhile."""
    from hail_batch_jupyter.observe import rundir
    from hail_batch_jupyter.observe.attach import attach, read_spec

    last = rundir.last_run(batch.lineage)
    if last is not None and last.state == "live" and not order.again:
        if not same_work(spec, read_spec(last.directory)):
            raise RunLiveError(_live_words(batch, last.run_id))
        print(f"the same jobs are running already; this is that run (%batch_run --again starts another): {last.run_id}")
        return attach(last.run_id)
    if last is not None and last.state == "dead":
        attach(last.run_id)
    previous = None if order.fresh or last is None else last.run_id
    spec = spec._replace(previous_run=previous)
    if order.max_cost is not None:
        from hail_batch_jupyter.batch.estimate import with_budget

        spec = with_budget(batch, spec, order.max_cost, takes_over=not order.fresh)
    running: RunningBatch = batch.backend.submit(spec, SubmitOptions(keep_files=True, detach=True))
    return running


def spec_of(batch: Batch, order: RunOrder) -> BatchSpec:
    """What would run: all jobs of the batch, or those named and what they need."""
    spec = batch.compile(only_new=False)._replace(lineage=batch.lineage)
    return with_ancestors(spec, order.only) if order.only else spec


def _live_words(batch: Batch, run_id: str) -> str:
    return (
        f"batch {batch.name!r} is still running with other jobs or settings than its cells have now; %batch_attach {run_id} shows that run, "
        f"%batch_cancel ends it, and %batch_run --again runs the new jobs beside it"
    )


def keep(desk: Desk, batch: Batch | None, running: RunningBatch) -> None:
    """Make it the run that the magics, and the files and results of the batch, speak of."""
    desk.run = running
    if batch is not None:
        batch.last_run = running


def dry_run_text(spec: BatchSpec, taken: Collection[int]) -> str:
    """What `--dry-run` shows: each job, and of a stage the first, what it waits for and its command; values of the environment are left out.

    taken   numbers of the jobs whose results would come from an earlier run
    """
    names = {job.job_id: job.display_name for job in spec.jobs}
    parts = [f"{plural(len(spec.jobs) - len(taken), 'job')} would run" + (f", {len(taken)} would be taken over from an earlier run" if taken else "")]
    stages: dict[str, list[JobSpec]] = {}
    for job in spec.jobs:
        stages.setdefault(job.attributes.get("stage") or f"\0{job.job_id}", []).append(job)
    for jobs in list(stages.values())[:_SHOWN_STAGES]:
        parts += _job_lines(jobs[0], names, jobs[0].job_id in taken)
        if len(jobs) > 1:
            others = sum(job.job_id in taken for job in jobs[1:])
            parts.append(f"\n# … and {len(jobs) - 1} more like it, to {jobs[-1].display_name}" + (f" ({others} taken over)" if others else ""))
    left = sum(len(jobs) for jobs in list(stages.values())[_SHOWN_STAGES:])
    return "\n".join([*parts, f"\n# … and {plural(left, 'more job')}"] if left else parts)


def _job_lines(job: JobSpec, names: Mapping[int, str], taken: bool) -> Iterator[str]:
    parents = [names.get(edge.job_id, str(edge.job_id)) for edge in job.parents]
    after = ", ".join(parents[:_SHOWN_PARENTS]) + (f" and {len(parents) - _SHOWN_PARENTS} more" if len(parents) > _SHOWN_PARENTS else "")
    notes = "; ".join([note for note in (f"after {after}" if after else "", "taken over" if taken else "") if note])
    yield f"\n# {job.job_id}: {job.display_name}" + (f" ({notes})" if notes else "")
    yield from (f"# {name}=…" for name in job.env)
    yield from (f"# reads {transfer.source}" for transfer in job.inputs)
    script = (job.command[-1] if job.kind == "bash" else job.user_code or job.display_name).strip()
    yield script if len(script) <= _SHOWN_CHARACTERS else f"{script[:_SHOWN_CHARACTERS]}…\n# … and {len(script) - _SHOWN_CHARACTERS} more characters"
    yield from (f"# writes {transfer.dest}" for transfer in job.outputs)


def wait(running: RunningBatch, job_ids: Sequence[int] | None = None) -> None:
    """Wait for the run or some of its jobs, with a line of progress where no widget shows it.

    Raises JobFailedError when one of them did not succeed. An interrupt stops the waiting only: it says how to end the run.
    """
    line = _ProgressLine(running)
    try:
        while not ended_within(running, _SLICE_S, job_ids):
            line.show()
    except KeyboardInterrupt as interrupt:
        words = f"stopped waiting; the run goes on: {progress_text(running, running.snapshot())}. %batch_wait waits again, %batch_cancel ends the run"
        interrupt._render_traceback_ = lambda: [f"KeyboardInterrupt: {words}"]  # type: ignore[attr-defined]  # IPython's hook
        raise
    finally:
        line.close()
    mark_seen(running)
    error = running.error(job_ids)
    if error is not None:
        raise error


class _ProgressLine:
    """One line that is written over; where a notebook is executed an output of its own, unless the live widget is there."""

    def __init__(self, running: RunningBatch) -> None:
        self._running = running
        self._shell: Any = display.current_shell()  # IPython's shell carries no types
        self._is_printed = display.is_console(self._shell) or not display.has_kernel(self._shell)
        self._display_id = ""
        self._width = 0

    def show(self) -> None:
        if display.is_live(self._running):
            return
        text = progress_text(self._running, self._running.snapshot())
        if self._is_printed:
            if display.is_console(self._shell):
                print("\r" + text.ljust(self._width), end="", flush=True)
                self._width = len(text)
            return
        update = bool(self._display_id)
        self._display_id = self._display_id or secrets.token_hex(16)
        display.publish(self._shell, ({"text/plain": text}, {}), self._display_id, update)

    def close(self) -> None:
        """Leave the last state behind."""
        if self._display_id:
            self.show()
        elif self._is_printed and not display.is_live(self._running):
            text = progress_text(self._running, self._running.snapshot())
            print(("\r" if self._width else "") + text.ljust(self._width))


def attach_run(desk: Desk, asked: str) -> RunningBatch:
    """Come back to a run by its id, or to the newest run of a batch by its name, and show it; a number is that of a batch of the service.

    Raises RunLostError naming close ids and names, ServiceError for a batch that the user may not see.
    """
    from hail_batch_jupyter.observe.attach import attach

    is_number = asked.isascii() and asked.isdigit()
    running = attach_batch(int(asked)) if is_number else attach(_run_id_of(desk, asked))
    mine = [batch for batch in desk.batches.values() if batch.lineage and batch.lineage == running.spec.lineage]
    keep(desk, mine[0] if mine else None, running)
    display.show_run(running)
    return running


def _run_id_of(desk: Desk, asked: str) -> str:
    """The id itself, or that of the newest run of the batch of that name: of this notebook, where it has one, else of any. Says so where there are several."""
    from hail_batch_jupyter.observe import rundir

    if asked in rundir.run_ids():
        return asked
    found = [run for run in rundir.list_runs() if run.name == asked]
    here = f"{place_of(desk.shell)}::"
    found = [run for run in found if run.lineage.startswith(here)] or found
    if not found:
        close = difflib.get_close_matches(asked, dict.fromkeys(run.name for run in rundir.list_runs() if run.name), 3)
        if close:
            raise RunLostError(f"there is neither a run nor a batch {asked!r}; did you mean {' or '.join(close)}?")
        return asked
    if len(found) > 1:
        others = ", ".join(run.run_id for run in found[1:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")
        print(f"{len(found)} runs of {asked!r}: this is the newest, {found[0].run_id}; the others are {others}")
    return found[0].run_id


def attach_batch(number: int) -> RunningBatch:
    """The handle on a batch of the service, whoever submitted it, with the jobs that the service lists.

    Raises ServiceError for one that the user may not see, CapabilityError for one with more jobs than are shown here.
    """
    from hail_batch_jupyter.backends.service.backend import connect
    from hail_batch_jupyter.backends.service.open import open_batch
    from hail_batch_jupyter.config.deploy import deployment

    return open_batch(connect(None), number, deployment().page_url())

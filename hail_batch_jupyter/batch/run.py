"""Running a batch on a backend: compile, submit, wait, and note what is done."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from hail_batch_jupyter.batch.resume import began_words, lineage_of, resuming_spec
from hail_batch_jupyter.batch.runs import Run, settle
from hail_batch_jupyter.compile.compiler import compile_batch
from hail_batch_jupyter.core.collecting import nothing_collected
from hail_batch_jupyter.core.ports import SubmitOptions

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.core.draft import JobDraft
    from hail_batch_jupyter.core.spec import BatchSpec
    from hail_batch_jupyter.observe.running import RunningBatch

_DEFAULTS: dict[str, Any] = {"wait": True, "resume": False, "open": False, "disable_progress_bar": False, "callback": None, "token": None, "max_cost_usd": None}

WAITING = "another process is just starting this batch; waiting until it has\n"


class _Begun(NamedTuple):
    """A run, and whether it began now."""

    running: RunningBatch
    fresh: bool


def run_batch(batch: Batch, dry_run: bool, verbose: bool, delete_scratch_on_exit: bool, launch: Any = None, **backend_kwargs: Any) -> RunningBatch | None:
    """See `Batch.run`; `launch` is what the backend's `begin` gave."""
    asked = _checked(batch, backend_kwargs)
    begun = _begin(batch, asked, dry_run, verbose, delete_scratch_on_exit, launch)
    if begun is None:
        return None
    if begun.fresh and asked["wait"]:
        try:
            begun.running.wait()
        except KeyboardInterrupt:
            _interrupted(batch, begun.running)
            raise
        _ended(batch, begun.running)
    return begun.running


async def async_run_batch(batch: Batch, dry_run: bool, verbose: bool, delete_scratch_on_exit: bool, **backend_kwargs: Any) -> RunningBatch | None:
    """As `run_batch`, while the loop that awaits it goes on; cancelling the task does what an interrupt does."""
    import asyncio

    asked = _checked(batch, backend_kwargs)
    begun = await asyncio.to_thread(_begin, batch, asked, dry_run, verbose, delete_scratch_on_exit)
    if begun is None:
        return None
    if begun.fresh and asked["wait"]:
        try:
            await begun.running.async_wait()
        except asyncio.CancelledError:
            await asyncio.to_thread(_interrupted, batch, begun.running)
            raise
        await asyncio.to_thread(_ended, batch, begun.running)
    return begun.running


def _begin(batch: Batch, asked: dict[str, Any], dry_run: bool, verbose: bool, delete_scratch_on_exit: bool, launch: Any = None) -> _Begun | None:
    """Compile and submit; None where there is nothing to wait for."""
    if not batch.backend.remote:
        settle(batch)
    with _alone(batch, asked["resume"], dry_run):
        begun = _submitted(batch, asked, dry_run, verbose, delete_scratch_on_exit, launch)
    if begun is not None and begun.fresh:
        _tell_begun(batch, begun.running, asked)
    return begun


def _alone(batch: Batch, resume: bool, dry_run: bool) -> AbstractContextManager[None]:
    """Between the look at the runs of the batch and the start of another one no other process starts one."""
    lineage = lineage_of(batch) if resume else batch.lineage
    if not lineage or dry_run or batch.backend.remote:
        return nullcontext()
    from hail_batch_jupyter.observe.starting import one_start

    return one_start(lineage, lambda: say(WAITING))


def _submitted(batch: Batch, asked: dict[str, Any], dry_run: bool, verbose: bool, delete_scratch_on_exit: bool, launch: Any) -> _Begun | None:
    """What was submitted; the run before where there was nothing to submit."""
    remote, resume = batch.backend.remote, asked["resume"]
    with nothing_collected():
        spec = resuming_spec(batch, verbose) if resume else compile_batch(batch.draft, verbose=verbose, appended=remote)
    if dry_run:
        from hail_batch_jupyter.batch.dry_run import preview

        say(preview(spec))
        return None
    last = batch.last_run
    if not spec.jobs and not spec.external and not (remote and last is None):
        _say_nothing_to_do(remote)
        return None if last is None else _Begun(last, False)
    if asked["max_cost_usd"] is not None:
        from hail_batch_jupyter.batch.estimate import with_budget

        spec = with_budget(batch, spec, asked["max_cost_usd"], takes_over=resume)
    spec = spec._replace(callback=asked["callback"], token=asked["token"])
    follows = last if remote else None
    options = SubmitOptions(resume or not delete_scratch_on_exit, detach=in_notebook() or not asked["wait"], begun=launch, follows=follows)
    return _Begun(batch.backend.submit(spec, options), True)


def _tell_begun(batch: Batch, running: RunningBatch, asked: dict[str, Any]) -> None:
    """Note the new run with the batch, and show it."""
    notebook, quiet = in_notebook(), asked["disable_progress_bar"]
    if asked["resume"]:
        _forget_runs(batch)
    _note_submitted(batch, running)
    if asked["resume"] and not notebook:
        say(began_words(running))
    if batch.backend.remote and not quiet:
        say(f"Submitted batch {running.id}, see {running.url}\n")
    _show(running, notebook and not quiet, asked["open"])


def _say_nothing_to_do(remote: bool) -> None:
    if remote:
        import logging

        logging.getLogger(__name__).warning("the batch has no new jobs, so nothing was submitted; add jobs with new_job")
    else:
        say("Batch completed successfully!\n")


def _checked(batch: Batch, backend_kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keywords with their defaults.

    Raises ValueError for those that the backend does not have.
    """
    known = batch.backend.run_options & _DEFAULTS.keys()
    unknown = {name: value for name, value in backend_kwargs.items() if name not in known}
    if unknown:
        remedy = f"it has {', '.join(sorted(known))}" if known else "it has none"
        raise ValueError(f"{type(batch.backend).__name__} does not support any of these keywords: {unknown}; {remedy}")
    return {**_DEFAULTS, **backend_kwargs}


def _forget_runs(batch: Batch) -> None:
    """All jobs have new numbers: the ends of those of earlier runs say nothing any more."""
    batch.draft.finished.clear()
    for run in batch.runs:
        run.settled = True


def _note_submitted(batch: Batch, running: RunningBatch) -> None:
    drafts = batch.draft.jobs
    described = {job.uid: drafts[job.uid] for job in running.spec.jobs if job.uid in drafts}
    for job in running.spec.jobs:
        if job.uid in described:
            described[job.uid].job_id = job.job_id
            described[job.uid].submitted = True
            described[job.uid].kept_in = running.remote_scratch if running.kept else None
    batch.runs.append(Run(running, described, settled=False))
    _note_retries(batch, running, described)
    earlier = [uid for uid, draft in drafts.items() if uid not in described and draft.submitted]
    batch.reorder([*earlier, *described])


def _note_retries(batch: Batch, running: RunningBatch, described: dict[int, JobDraft]) -> None:
    """Files and results of the batch are those of a retried run, once there is one."""
    resubmit = running.resubmit
    if resubmit is None:
        return

    def noted(spec: BatchSpec) -> RunningBatch:
        again = resubmit(spec)
        batch.runs.append(Run(again, described, settled=False))
        _note_retries(batch, again, described)
        return again

    running.resubmit = noted


def _show(running: RunningBatch, notebook: bool, open_page: bool) -> None:
    if notebook:
        from hail_batch_jupyter.core.registry import hook

        hook("show_run")(running)
    if open_page and running.url is not None:
        import webbrowser

        webbrowser.open(running.url)


def _interrupted(batch: Batch, running: RunningBatch) -> None:
    """End the run of a script that is interrupted; one in a notebook or on a service goes on."""
    if batch.backend.remote:
        say(f"Stopped waiting; batch {running.id} goes on. last_run.cancel() of the batch ends it.\n")
    elif in_notebook():
        say(f"Stopped waiting; run {running.id} goes on. %batch_cancel, or last_run.cancel() of the batch, ends it.\n")
    else:
        say("Cancelling the run …\n")
        running.cancel()
        running.wait()
        settle(batch)


def _ended(batch: Batch, running: RunningBatch) -> None:
    """Note the end of a run and tell it; raises JobFailedError if a job failed on this machine."""
    if batch.backend.remote:
        note = running.snapshot().note
        say(f"batch {running.id} complete: {running.last_known_status()['state']}\n" + (f"{note}\n" if note else ""))
        return
    settle(batch)
    failure = running.error()
    if failure is not None:
        raise failure
    say("Batch completed successfully!\n")


def say(text: str) -> None:
    """Write what `Batch.run` tells the user, in hailtop's words where it has them."""
    sys.stdout.write(text)
    sys.stdout.flush()


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    if "ipykernel" not in sys.modules or "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return getattr(shell, "kernel", None) is not None

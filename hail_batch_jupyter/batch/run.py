"""Running a batch on a backend: compile, submit, wait, and note what is done."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.batch.runs import Run, settle
from hail_batch_jupyter.compile.compiler import compile_batch
from hail_batch_jupyter.core.ports import SubmitOptions

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.core.spec import BatchSpec
    from hail_batch_jupyter.observe.running import RunningBatch

_DEFAULTS: dict[str, Any] = {"wait": True, "open": False, "disable_progress_bar": False, "callback": None, "token": None}


def run_batch(batch: Batch, dry_run: bool, verbose: bool, delete_scratch_on_exit: bool, begun: Any = None, **backend_kwargs: Any) -> RunningBatch | None:
    """See `Batch.run`; `begun` is what the backend's `begin` gave."""
    asked = _checked(batch, backend_kwargs)
    settle(batch)
    spec = compile_batch(batch.draft, verbose=verbose)
    if dry_run:
        from hail_batch_jupyter.batch.dry_run import preview

        say(preview(spec))
        return None
    if not spec.jobs and not spec.external:
        say("Batch completed successfully!\n")
        return batch.last_run
    notebook = in_notebook()
    spec = spec._replace(callback=asked["callback"], token=asked["token"])
    options = SubmitOptions(keep_files=not delete_scratch_on_exit, detach=notebook or not asked["wait"], begun=begun)
    running: RunningBatch = batch.backend.submit(spec, options)
    _note_submitted(batch, spec, running)
    _show(running, notebook and not asked["disable_progress_bar"], asked["open"])
    if asked["wait"]:
        _wait(batch, running, notebook)
    return running


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


def _note_submitted(batch: Batch, spec: BatchSpec, running: RunningBatch) -> None:
    described = {job.uid: batch.draft.jobs[job.uid] for job in spec.jobs}
    for job in spec.jobs:
        described[job.uid].job_id = job.job_id
        described[job.uid].submitted = True
    batch.runs.append(Run(running, described, settled=False))
    earlier = [uid for uid, draft in batch.draft.jobs.items() if uid not in described and draft.submitted]
    batch.reorder([*earlier, *described])


def _show(running: RunningBatch, notebook: bool, open_page: bool) -> None:
    if notebook:
        from hail_batch_jupyter.core.registry import hook

        hook("show_run")(running)
    if open_page and running.url is not None:
        import webbrowser

        webbrowser.open(running.url)


def _wait(batch: Batch, running: RunningBatch, notebook: bool) -> None:
    """Wait for the end, note it, and raise JobFailedError if a job failed."""
    try:
        running.wait()
    except KeyboardInterrupt:
        if notebook:
            say(f"Stopped waiting; run {running.id} goes on. %batch_cancel, or last_run.cancel() of the batch, ends it.\n")
        else:
            say("Cancelling the run …\n")
            running.cancel()
            running.wait()
            settle(batch)
        raise
    finally:
        if running.last_known_status()["complete"]:
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

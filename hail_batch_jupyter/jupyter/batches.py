"""What `%batch` does: makes, selects, empties and shows batches, and takes jobs out of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from hail_batch_jupyter.jupyter.cells.namespace import jobs_named
from hail_batch_jupyter.jupyter.cells.settings import default_settings
from hail_batch_jupyter.jupyter.desk import Desk
from hail_batch_jupyter.jupyter.words import plural

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.jupyter.cells.options import Parsed


def select_batch(desk: Desk, parsed: Parsed) -> Batch:
    """Make, select, empty or show a batch, or take one job out of it.

    Raises UsageError for other settings than those of a batch that is there already; the same ones are no mistake, as when all cells run again.
    """
    settings: dict[str, Any] = default_settings(parsed)
    if parsed.backend is not None:
        settings["backend"] = parsed.backend
    if parsed.strict:
        settings["strict"] = True
    name = str(parsed.name or desk.current_name())
    if parsed.reset:
        return _reset(desk, name, settings)
    if settings and name in desk.batches and settings != desk.said_of(name):
        raise UsageError(_taken_words(name, settings))
    batch = desk.select(name, **settings)
    if parsed.drop is not None:
        drop(desk, batch, parsed.drop)
    return batch


def _reset(desk: Desk, name: str, settings: dict[str, Any]) -> Batch:
    said = reset_words(desk, name)
    batch = desk.reset(name, **settings)
    if said:
        print(said)
    return batch


_OPTIONS = {"default_regions": "--default-region"}


def _taken_words(name: str, settings: dict[str, Any]) -> str:
    given = ", ".join(_OPTIONS.get(key, f"--{key.replace('_', '-')}") for key in settings)
    verb = "counts" if len(settings) == 1 else "count"
    return f"batch {name!r} is there already and {given} {verb} for a new one; add --reset to begin it anew, or use another name"


def reset_words(desk: Desk, name: str) -> str:
    """What `--reset` takes away and what it leaves; '' where there is nothing to take away."""
    old = desk.batches.get(name)
    if old is None or not old.jobs:
        return ""
    gone = [name for name in desk.variables_of(old) if not name.startswith("_")]  # IPython keeps what cells gave under such names
    shown = ", ".join(gone[:8]) + (" …" if len(gone) > 8 else "")
    jobs = f"{plural(len(old.jobs), 'job')} and {plural(len(gone), 'variable')} ({shown}) are gone" if gone else f"{plural(len(old.jobs), 'job')} gone"
    return (
        f"batch {name!r} begins anew: {jobs}; run their cells to describe them again. "
        f"Runs and written files stay, and %batch_run takes over from them what has not changed"
    )


def drop(desk: Desk, batch: Batch, asked: object) -> None:
    """Take a job or a stage out of the batch, and its variable away.

    Raises GraphError naming the jobs that use its files.
    """
    (job, *others) = jobs_named(batch, [asked])
    stage = batch.stage_of_uid().get(job.job_draft.uid)
    if stage is not None and not others and len(stage) > 1:
        raise UsageError(f"--drop {asked}: it is one job of the stage {stage.name!r}; drop {stage.name}, or run its cell again with other items")
    if stage is not None:
        batch.drop_stage(stage)
    else:
        batch.drop_job(job)
    made = job if stage is None else stage
    if made.name and desk.shell.user_ns.get(made.name) is made:
        del desk.shell.user_ns[made.name]

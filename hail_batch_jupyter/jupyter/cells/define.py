"""What cells do to the current batch: they become its jobs, and the batch runs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from IPython.core.error import UsageError

from hail_batch_jupyter.batch.base_job import made_by
from hail_batch_jupyter.batch.groups import group_named
from hail_batch_jupyter.batch.stage import JobStage, jobs_among
from hail_batch_jupyter.jupyter import run
from hail_batch_jupyter.jupyter.cells import options
from hail_batch_jupyter.jupyter.cells.each import Each, read_each
from hail_batch_jupyter.jupyter.cells.functions import read_cell
from hail_batch_jupyter.jupyter.cells.madewords import made_line
from hail_batch_jupyter.jupyter.cells.namespace import cell_template, check_name, jobs_named, names_for, surroundings
from hail_batch_jupyter.jupyter.cells.outputs import follow_stage
from hail_batch_jupyter.jupyter.cells.scatter import Copy, calls_of, check_destinations, copies_of, filled, owners, read_names, unused
from hail_batch_jupyter.jupyter.cells.settings import Settings, settings_of
from hail_batch_jupyter.jupyter.cells.since import cell_remark
from hail_batch_jupyter.jupyter.desk import Desk, make_strict
from hail_batch_jupyter.jupyter.tables.costtable import run_preview
from hail_batch_jupyter.jupyter.words import plural

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.batch.job import Job


def bash_cell(desk: Desk, parsed: options.Parsed, cell: str) -> None:
    """A cell of bash becomes a job, or a stage, in the place of what it made before; when it fails nothing has changed."""
    batch = desk.batch()
    each = read_each(parsed.each, parsed.cross, parsed.name, desk.shell.user_ns)
    settings = settings_of(parsed)
    old = check_name(parsed.name, desk.shell, batch, parsed.replace)
    shell, text, staged = settings.values.pop("shell", None), cell.rstrip("\n"), []
    copies = copies_of(parsed.name, each, old)
    for copy in copies:
        job = batch.stage_bash_job(copy.name, copy.replaces, shell=shell, attributes=copy.attributes)
        job.command(cell_template(text, names_for(desk.shell, parsed.name, job, copy.values), batch))
        staged.append(job)
    used = [re.search(rf"\{{{name}\b", text) is not None for name in each.names] if each else []
    _put(desk, batch, Described(copies, staged, old, each, used), settings, parsed, cell)


def python_cell(desk: Desk, parsed: options.Parsed, cell: str) -> None:
    """A cell of Python becomes a job, or a stage, in the place of what it made before; when it fails nothing has changed."""
    batch = desk.batch()
    each = read_each(parsed.each, parsed.cross, parsed.name, desk.shell.user_ns)
    settings = settings_of(parsed)
    old = check_name(parsed.name, desk.shell, batch, parsed.replace)
    read = read_cell(parsed.name, cell)
    copies = copies_of(parsed.name, each, old)
    staged = [batch.stage_python_job(copy.name, copy.replaces, attributes=copy.attributes) for copy in copies]
    pairs = zip(staged, copies, strict=True)
    arounds = [surroundings(desk.shell, names_for(desk.shell, parsed.name, job, copy.values), batch) for job, copy in pairs]
    calls = calls_of(read, parsed.results, arounds, [parsed.name, *(each.names if each else ())])
    for job, call in zip(staged, calls, strict=True):
        job.call_named(call.function, call.outputs, **call.arguments)
    used = [name in read.names.read for name in each.names] if each else []
    _put(desk, batch, Described(copies, staged, old, each, used), settings, parsed, cell)


class Described(NamedTuple):
    """What a cell makes, before it is in the batch; `used` says of each variable of `each` whether the cell reads it."""

    copies: Sequence[Copy]
    staged: Sequence[Job]
    old: Job | JobStage[Any] | None
    each: Each | None
    used: Sequence[bool]


def _apply(job: Job, settings: Settings, env: Mapping[str, str]) -> None:
    for name, value in settings.values.items():
        getattr(job, name)(value)
    if settings.retry:
        job.retry(**settings.retry)
    for variable, value in env.items():
        job.env(variable, value)


def _put(desk: Desk, batch: Batch, cell: Described, settings: Settings, parsed: options.Parsed, source: str) -> None:
    """From here on the batch has the jobs, the variable holds them, and their outputs are written; or the jobs are shown only."""
    name, names = parsed.name, desk.shell.user_ns
    after = jobs_named(batch, parsed.after)
    for job, copy in zip(cell.staged, cell.copies, strict=True):
        job.job_draft.source = source
        _apply(job, settings, filled(settings.env, copy, names, "env"))
        if after:
            job.depends_on(*after)
    outputs = [filled(settings.outputs, copy, names, "output") for copy in cell.copies]
    for file in settings.outputs:
        _check_made(cell.staged[0], file, name)
    check_destinations(outputs, cell.each)
    if parsed.dry_run:
        from hail_batch_jupyter.jupyter.cells.preview import preview

        head = _made_words(name, cell.staged, cell, batch)
        print(preview(batch, cell.staged, [copy.values for copy in cell.copies], head, outputs, settings.group[0]))
        return
    jobs = _placed(desk, batch, cell, name, outputs)
    if settings.group[0]:
        _grouped(batch, jobs, *settings.group)
    desk.note_cell(batch, name)
    print(_made_words(name, jobs, cell, batch) + cell_remark(batch, jobs))
    if parsed.run:
        run_cells(desk, run.RunOrder(only=tuple([job.name or "" for job in jobs])))


def _placed(desk: Desk, batch: Batch, cell: Described, name: str, outputs: Sequence[dict[str, str]]) -> list[Job]:
    made: Job | JobStage[Any]
    if cell.each is not None:
        made = batch.put_stage(name, cell.staged, cell.each.items, outputs, cell.old)
        follow_stage(desk, made)
    elif isinstance(cell.old, JobStage):
        made = batch.put_alone(cell.staged[0], outputs[0], cell.old)
    else:
        made = batch.put_job(cell.staged[0], outputs[0])
    desk.shell.user_ns[name] = made
    jobs: list[Job] = jobs_among([made])
    return jobs


def _grouped(batch: Batch, jobs: Sequence[Job], name: str, at_most: int | None) -> None:
    group = group_named(batch, name)
    for job in jobs:
        group.take(job)
    if at_most is not None:
        group.at_most(at_most)


def _check_made(job: Job, name: str, cell: str) -> None:
    """Raise UsageError naming what the cell makes unless it makes this file or result."""
    made = made_by(job)
    if name not in made:
        close = difflib.get_close_matches(name, made, 3)
        without = f"it makes {', '.join(made)}" if made else f"write {{{cell}.{name}}} where the cell makes it"
        known = f"did you mean {' or '.join(close)}?" if close else without
        raise UsageError(f"--output {name}=…: the cell of {cell!r} does not make {name!r}; {known}")


def _made_words(name: str, jobs: Sequence[Job], cell: Described, batch: Batch) -> str:
    """One line about a cell: 'fit: 24 jobs over alpha; after check; reads train.py, data.csv; makes model'."""
    each, after = cell.each, owners(list(jobs[0].job_draft.depends_on), batch)
    reads = read_names(list(dict.fromkeys([ref for job in jobs for ref in job.job_draft.reads])), batch)
    over = f"{plural(len(jobs), 'job')} over {', '.join(each.names)}{unused(each, cell.used)}" if each else ""
    return made_line(name, batch.name, after, reads, made_by(jobs[0]), over)


def run_command(desk: Desk, parsed: options.Parsed) -> None:
    """What `%batch_run` does."""
    names = tuple(job.name or "" for job in jobs_named(desk.batch(), parsed.only))
    run_cells(desk, run.RunOrder(names, parsed.fresh, parsed.again, parsed.max_cost), dry=parsed.dry_run, strict=parsed.strict, wait=parsed.wait)


def run_cells(desk: Desk, order: run.RunOrder, *, dry: bool = False, strict: bool = False, wait: bool = False) -> None:
    """Run the current batch, or show what would run."""
    batch = desk.batch()
    if strict:
        make_strict(batch.backend)
    spec = run.spec_of(batch, order)
    if not spec.jobs:
        raise UsageError(f"batch {batch.name!r} has no jobs yet; a cell that begins with %%batch_job NAME makes one")
    if dry:
        print(run_preview(batch, spec, fresh=order.fresh))
        return
    running = run.run_batch(desk, order)
    if wait:
        run.wait(running)

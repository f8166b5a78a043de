"""What the magics do to the current batch: cells become its jobs, files its outputs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from IPython.core.error import UsageError

from hail_batch_jupyter.batch.stage import JobStage, StageFiles, jobs_among
from hail_batch_jupyter.core.template import Template
from hail_batch_jupyter.jupyter import options, run
from hail_batch_jupyter.jupyter.braces import Insert, fill
from hail_batch_jupyter.jupyter.cells import read_cell
from hail_batch_jupyter.jupyter.costtable import cost_line
from hail_batch_jupyter.jupyter.desk import Desk
from hail_batch_jupyter.jupyter.each import Each, read_each
from hail_batch_jupyter.jupyter.madewords import made_line
from hail_batch_jupyter.jupyter.namespace import cell_template, check_name, jobs_named, names_for, surroundings
from hail_batch_jupyter.jupyter.scatter import Copy, calls_of, check_destinations, copies_of, filled, owners, read_names, short_name, unused
from hail_batch_jupyter.jupyter.words import plural

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.batch.job import Job
    from hail_batch_jupyter.batch.resource import Resource

DEFAULTS = ("default_cpu", "default_memory", "default_image")


def select_batch(desk: Desk, parsed: options.Parsed) -> Batch:
    """What `%batch` does: make, select, empty or show a batch, or take one job out of it."""
    options.check_defaults(parsed)
    defaults = {name: value for name in DEFAULTS if (value := getattr(parsed, name)) is not None}
    settings = {**defaults, **({"backend": parsed.backend} if parsed.backend else {}), **({"strict": True} if parsed.strict else {})}
    name = parsed.name or desk.current_name()
    if parsed.reset:
        return desk.reset(name, **settings)
    if settings and name in desk.batches:
        given = " ".join(f"--{key.replace('_', '-')}" for key in settings)
        raise UsageError(f"batch {name!r} is there already and {given} count for a new one; add --reset to begin it anew, or use another name")
    batch = desk.select(name, **settings)
    if parsed.drop is not None:
        drop(desk, batch, parsed.drop)
    return batch


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


def bash_cell(desk: Desk, parsed: options.Parsed, cell: str) -> None:
    """A cell of bash becomes a job, or a stage, in the place of what it made before; when it fails nothing has changed."""
    batch = desk.batch()
    each = read_each(parsed.each, parsed.cross, parsed.name, desk.shell.user_ns)
    settings = options.settings_of(parsed)
    old = check_name(parsed.name, desk.shell, batch, parsed.replace)
    shell, text, staged = settings.values.pop("shell", None), cell.rstrip("\n"), []
    copies = copies_of(parsed.name, each, old)
    for copy in copies:
        job = batch.stage_bash_job(copy.name, copy.replaces, shell=shell, attributes=copy.attributes)
        job.command(cell_template(text, names_for(desk.shell, parsed.name, job, copy.values), batch))
        staged.append(job)
    if parsed.dry_run:
        print(_dry_text(staged[0].job_draft.commands[0], batch).strip() + (f"\n# … and {len(staged) - 1} more" if staged[1:] else ""))
        return
    used = [re.search(rf"\{{{name}\b", text) is not None for name in each.names] if each else []
    _put(desk, batch, Described(copies, staged, old, each, used), settings, parsed, cell)


def python_cell(desk: Desk, parsed: options.Parsed, cell: str) -> None:
    """A cell of Python becomes a job, or a stage, in the place of what it made before; when it fails nothing has changed."""
    batch = desk.batch()
    each = read_each(parsed.each, parsed.cross, parsed.name, desk.shell.user_ns)
    settings = options.settings_of(parsed)
    old = check_name(parsed.name, desk.shell, batch, parsed.replace)
    read = read_cell(parsed.name, cell)
    copies = copies_of(parsed.name, each, old)
    staged = [batch.stage_python_job(copy.name, copy.replaces, attributes=copy.attributes) for copy in copies]
    pairs = zip(staged, copies, strict=True)
    arounds = [surroundings(desk.shell, names_for(desk.shell, parsed.name, job, copy.values), batch) for job, copy in pairs]
    calls = calls_of(read, parsed.results, arounds, [parsed.name, *(each.names if each else ())])
    for job, call in zip(staged, calls, strict=True):
        job.call_named(call.function, call.outputs, **call.arguments)
    if parsed.dry_run:
        call = calls[0]
        print(f"{parsed.name}: takes {', '.join(call.arguments) or 'nothing'} from the notebook, gives {', '.join(call.outputs) or 'nothing'} back")
        return
    used = [name in read.names.read for name in each.names] if each else []
    _put(desk, batch, Described(copies, staged, old, each, used), settings, parsed, cell)


class Described(NamedTuple):
    """What a cell makes, before it is in the batch; `used` says of each variable of `each` whether the cell reads it."""

    copies: Sequence[Copy]
    staged: Sequence[Job]
    old: Job | JobStage[Any] | None
    each: Each | None
    used: Sequence[bool]


def _apply(job: Job, values: Mapping[str, Any], env: Mapping[str, str]) -> None:
    for name, value in values.items():
        getattr(job, name)(value)
    for variable, value in env.items():
        job.env(variable, value)


def _put(desk: Desk, batch: Batch, cell: Described, settings: options.Settings, parsed: options.Parsed, source: str) -> None:
    """From here on the batch has the jobs, the variable holds them, and their outputs are written."""
    name, names = parsed.name, desk.shell.user_ns
    after = jobs_named(batch, parsed.after)
    for job, copy in zip(cell.staged, cell.copies, strict=True):
        job.job_draft.source = source
        _apply(job, settings.values, filled(settings.env, copy, names, "env"))
        if after:
            job.depends_on(*after)
    outputs = [filled(settings.outputs, copy, names, "output") for copy in cell.copies]
    for file in settings.outputs:
        _check_made(cell.staged[0], file, name)
    check_destinations(outputs, cell.each)
    made: Job | JobStage[Any]
    if cell.each is not None:
        made = batch.put_stage(name, cell.staged, cell.each.items, outputs, cell.old)
    elif isinstance(cell.old, JobStage):
        made = batch.put_alone(cell.staged[0], outputs[0], cell.old)
    else:
        made = batch.put_job(cell.staged[0], outputs[0])
    names[name] = made
    desk.note_cell(batch, name)
    jobs: list[Job] = jobs_among([made])
    print(_made_words(name, jobs, cell, batch))
    if parsed.run:
        run_cells(desk, run.RunOrder(only=tuple([job.name or "" for job in jobs])))


def _made(job: Job) -> list[str]:
    """Names of the files, groups and results that the cell makes."""
    draft = job.job_draft
    return [file.name for file in draft.files.values() if file.defined] + list(draft.groups) + [result for call in draft.calls for result in call.results]


def _check_made(job: Job, name: str, cell: str) -> None:
    """Raise UsageError naming what the cell makes unless it makes this file or result."""
    made = _made(job)
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
    return made_line(name, batch.name, after, reads, _made(jobs[0]), over)


def _dry_text(template: Template, batch: Batch) -> str:
    from hail_batch_jupyter.compile.shelltext import render

    return render(template, lambda ref: short_name(ref, batch))


def run_command(desk: Desk, parsed: options.Parsed) -> None:
    """What `%batch_run` does."""
    names = tuple(job.name or "" for job in jobs_named(desk.batch(), parsed.only))
    run_cells(desk, run.RunOrder(names, parsed.fresh, parsed.again), dry=parsed.dry_run, strict=parsed.strict, wait=parsed.wait)


def run_cells(desk: Desk, order: run.RunOrder, *, dry: bool = False, strict: bool = False, wait: bool = False) -> None:
    """Run the current batch, or show what would run."""
    batch = desk.batch()
    if strict and hasattr(batch.backend, "strict"):
        batch.backend.strict = True
    spec = run.spec_of(batch, order)
    if not spec.jobs:
        raise UsageError(f"batch {batch.name!r} has no jobs yet; a cell that begins with %%batch_job NAME makes one")
    if dry:
        print(run.dry_run_text(spec))
        print(f"\n{cost_line(batch, spec, fresh=order.fresh)}")
        return
    running = run.run_batch(desk, order)
    if wait:
        run.wait(running)


def output_words(magic: options.Magic, line: str, names: Mapping[str, Any]) -> tuple[Any, str]:
    """The resource and the destination that `%batch_output` names.

    Raises UsageError when the first word is no file or result of a job.
    """
    from hail_batch_jupyter.batch.resource import Resource

    words = options.split(line, raw=True)
    parsed = options.read_words(magic, words)
    asked = parsed.file.strip("{}").removeprefix("$")
    pieces = fill(f"{{{asked}}}", names)
    value = pieces[0].value if len(pieces) == 1 and isinstance(pieces[0], Insert) else None
    if isinstance(value, StageFiles):
        hint = f"--output {value.name}=DEST on the cell of {value.stage.name!r}, with the item's name in braces in DEST"
        raise UsageError(f"%batch_output {asked}: it is {len(value)} files, one a job; write {hint}, or name one, {value.stage.name}[0].{value.name}")
    if not isinstance(value, Resource):
        raise UsageError(f"%batch_output {asked}: it is not a file or result of a job; write %batch_output fit.model DEST")
    return value, str(options.looked_up(parsed.dest, names, "dest"))


def add_output(resource: Resource, dest: str) -> str:
    """Write the file at every run from now on, once a destination; gives a sentence about it."""
    batch = resource.from_batch
    batch.write_output(resource, dest)
    return f"{short_name(resource.file_ref, batch)} is written to {dest} when the batch runs"

"""What the magics do to the current batch: cells become its jobs, files its outputs."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from hail_batch_jupyter.core.template import Template
from hail_batch_jupyter.jupyter import options, run
from hail_batch_jupyter.jupyter.braces import Insert, fill
from hail_batch_jupyter.jupyter.cells import build_call, read_cell
from hail_batch_jupyter.jupyter.desk import Desk
from hail_batch_jupyter.jupyter.madewords import made_line
from hail_batch_jupyter.jupyter.namespace import cell_template, check_name, jobs_named, names_for, surroundings

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.batch.job import Job
    from hail_batch_jupyter.batch.resource import Resource
    from hail_batch_jupyter.core.files import FileRef

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
    """Take a job out of the batch, and its variable away.

    Raises GraphError naming the jobs that use its files.
    """
    (job,) = jobs_named(batch, [asked])
    batch.drop_job(job)
    if job.name and desk.shell.user_ns.get(job.name) is job:
        del desk.shell.user_ns[job.name]


def bash_cell(desk: Desk, parsed: options.Parsed, cell: str) -> None:
    """A cell of bash becomes a job, in the place of the one that it made before; when it fails nothing has changed."""
    batch = desk.batch()
    settings = options.settings_of(parsed)
    old = check_name(parsed.name, desk.shell, batch, parsed.replace)
    job = batch.stage_bash_job(parsed.name, old, shell=settings.values.pop("shell", None))
    template = cell_template(cell.rstrip("\n"), names_for(desk.shell, parsed.name, job), batch)
    job.command(template)
    job.job_draft.source = cell
    _apply(job, settings)
    _wait_for(job, batch, parsed.after)
    if parsed.dry_run:
        print(_dry_text(template, batch).strip())
        return
    _put(desk, batch, job, settings, parsed)


def python_cell(desk: Desk, parsed: options.Parsed, cell: str) -> None:
    """A cell of Python becomes a job, in the place of the one that it made before; when it fails nothing has changed."""
    batch = desk.batch()
    settings = options.settings_of(parsed)
    old = check_name(parsed.name, desk.shell, batch, parsed.replace)
    job = batch.stage_python_job(parsed.name, old)
    read = read_cell(parsed.name, cell)
    call = build_call(read, parsed.results, surroundings(desk.shell, names_for(desk.shell, parsed.name, job), batch))
    job.call_named(call.function, call.outputs, **call.arguments)
    job.job_draft.source = cell
    _apply(job, settings)
    _wait_for(job, batch, parsed.after)
    if parsed.dry_run:
        print(f"{parsed.name}: takes {', '.join(call.arguments) or 'nothing'} from the notebook, gives {', '.join(call.outputs) or 'nothing'} back")
        return
    _put(desk, batch, job, settings, parsed)


def _apply(job: Job, settings: options.Settings) -> None:
    for name, value in settings.values.items():
        getattr(job, name)(value)
    for variable, value in settings.env.items():
        job.env(variable, value)


def _wait_for(job: Job, batch: Batch, asked: list[object]) -> None:
    if asked:
        job.depends_on(*jobs_named(batch, asked))


def _put(desk: Desk, batch: Batch, staged: Job, settings: options.Settings, parsed: options.Parsed) -> None:
    """From here on the batch has the job, the variable holds it, and its outputs are written."""
    name = parsed.name
    for file in settings.outputs:
        _check_made(staged, file)
    job = batch.put_job(staged, settings.outputs)
    desk.shell.user_ns[name] = job
    desk.note_cell(batch, name)
    print(_made_words(job, batch))
    if parsed.run:
        run_cells(desk, run.RunOrder(only=(name,)))


def _made(job: Job) -> list[str]:
    """Names of the files, groups and results that the cell makes."""
    draft = job.job_draft
    return [file.name for file in draft.files.values() if file.defined] + list(draft.groups) + [result for call in draft.calls for result in call.results]


def _check_made(job: Job, name: str) -> None:
    """Raise UsageError naming what the cell makes unless it makes this file or result."""
    made = _made(job)
    if name not in made:
        close = difflib.get_close_matches(name, made, 3)
        without = f"it makes {', '.join(made)}" if made else f"write {{{job.name}.{name}}} where the cell makes it"
        known = f"did you mean {' or '.join(close)}?" if close else without
        raise UsageError(f"--output {name}=…: the cell of {job.name!r} does not make {name!r}; {known}")


def _made_words(job: Job, batch: Batch) -> str:
    """One line about a job: 'fit: after check; reads train.py, data.csv; makes model'."""
    draft = job.job_draft
    after = [str(batch.job_of(uid).name) for uid in draft.depends_on]
    reads = [(batch.job_of(ref.owner).name, ref.name) if ref.made_by_job else (None, _short_name(ref, batch)) for ref in draft.reads]
    return made_line(str(job.name), batch.name, after, reads, _made(job))


def _short_name(ref: FileRef, batch: Batch) -> str:
    """'data.csv' for an input, 'fit.model' for a file of a job."""
    if not ref.made_by_job:
        return os.path.basename(batch.draft.inputs[ref.owner].path) or "a group of files"
    return f"{batch.job_of(ref.owner).name}.{ref.name}"


def _dry_text(template: Template, batch: Batch) -> str:
    from hail_batch_jupyter.compile.shelltext import render

    return render(template, lambda ref: _short_name(ref, batch))


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
    if not isinstance(value, Resource):
        raise UsageError(f"%batch_output {asked}: it is not a file or result of a job; write %batch_output fit.model DEST")
    return value, str(options.looked_up(parsed.dest, names, "dest"))


def add_output(resource: Resource, dest: str) -> str:
    """Write the file at every run from now on, once a destination; gives a sentence about it."""
    batch = resource.from_batch
    batch.write_output(resource, dest)
    return f"{_short_name(resource.file_ref, batch)} is written to {dest} when the batch runs"

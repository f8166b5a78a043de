"""Between the notebook's variables and the batch: which names a job may take, and what a value means in a cell."""

from __future__ import annotations

import builtins
import difflib
import keyword
import re
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from IPython.core.error import UsageError

from hail_batch_jupyter.core.files import FileRef
from hail_batch_jupyter.core.template import Piece, Template
from hail_batch_jupyter.errors import ForeignJobError, TemplateError
from hail_batch_jupyter.jupyter.cells.braces import fill, to_piece
from hail_batch_jupyter.jupyter.cells.chains import Surroundings
from hail_batch_jupyter.jupyter.cells.functions import NOTEBOOK_ONLY

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.batch.job import Job
    from hail_batch_jupyter.batch.resource import InputResourceFile
    from hail_batch_jupyter.batch.stage import JobStage
    from hail_batch_jupyter.jupyter.desk import Shell

_IPYTHON = frozenset({"In", "Out", "exit", "quit", "open", *NOTEBOOK_ONLY})
_INPUTS: WeakKeyDictionary[Batch, dict[str, InputResourceFile]] = WeakKeyDictionary()


def check_name(name: str, shell: Shell, batch: Batch, replace: bool) -> Job | JobStage[Any] | None:
    """The job or stage that a cell of this name replaces, None for a new one.

    Raises UsageError offering another name for one that is no identifier, that Python or IPython needs, or that holds
    something else than a job; `replace` allows the last.
    """
    from hail_batch_jupyter.batch.job import Job
    from hail_batch_jupyter.batch.stage import JobStage

    why = _unusable(name, shell)
    held = shell.user_ns.get(name)
    handle = isinstance(held, (Job, JobStage))
    mine = held if handle and held.job_batch is batch else None
    if why is None and held is not None and not handle and not replace:
        why = f"is a variable that holds {_words(held)}"
    if why is not None:
        also = ", or --replace to take the variable" if why.startswith("is a variable") else ""
        raise UsageError(f"{name!r} {why}; use another name, such as {free_name(name, shell)!r}{also}")
    stage = batch.stages.get(name)
    return stage if stage is not None else batch.job_named(name) or mine


def _unusable(name: str, shell: Shell) -> str | None:
    if keyword.iskeyword(name):
        return "is a word of Python itself"
    if not name.isidentifier():
        return "cannot be a variable, and a job's name becomes one"
    if name in _IPYTHON or name.startswith("_") or (name in shell.user_ns_hidden and shell.user_ns.get(name) is shell.user_ns_hidden[name]):
        return "is a name that IPython uses"
    return "is a name of Python itself" if hasattr(builtins, name) else None


def _words(value: object) -> str:
    kind = type(value).__name__
    return "None" if value is None else f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"


def free_name(name: str, shell: Shell) -> str:
    """A name like this one that a job may take."""
    base = re.sub(r"\W+", "_", name).strip("_") or "job"
    base = f"job_{base}" if base[0].isdigit() else base
    candidates = [base, f"{base}_job", *[f"{base}_job{number}" for number in range(2, 1000)]]
    return next(candidate for candidate in candidates if candidate not in shell.user_ns and _unusable(candidate, shell) is None)


def names_for(shell: Shell, name: str, job: Job, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The notebook's variables, in which `name` is the job that is being described, for these values of `--each`."""
    return ChainMap({name: job, **values}, shell.user_ns)


def cell_template(cell: str, names: Mapping[str, Any], batch: Batch) -> Template:
    """A cell of bash as pieces; files of the notebook are staged, and must exist. Line 1 is the line of the magic.

    Raises TemplateError naming the line for what cannot stand in a command.
    """
    made: list[Piece] = []
    for piece in fill("\n" + cell, names):
        if isinstance(piece, str):
            made.append(piece)
        else:
            place = f"line {piece.line}, {{{piece.expr}}}"
            made.append(to_piece(piece, file_of(batch, place)))
    return tuple(made)


def file_of(batch: Batch, place: str) -> Callable[[object], FileRef | None]:
    """What turns a value into the file that it means, None if it means none; `place` begins the messages."""
    from hail_batch_jupyter.batch.job import Job
    from hail_batch_jupyter.batch.resource import PythonResult, Resource
    from hail_batch_jupyter.batch.stage import JobStage

    def ref(value: object) -> FileRef | None:
        if isinstance(value, PurePath):
            return stage_path(batch, value, place).file_ref
        if isinstance(value, (Job, JobStage)):
            kind = "job; name one of its files" if isinstance(value, Job) else "stage; name files of its jobs"
            said = _said(batch, value)
            raise TemplateError(f"{place}: it is a {kind}, such as {{{said}.model}}, or wait for it with --after {said}")
        if not isinstance(value, Resource):
            return None
        if value.from_batch is not batch:
            raise ForeignJobError(f"{place}: the file belongs to another batch; run the cell that makes it in this batch, or insert a Path of the written file")
        if isinstance(value, PythonResult):
            raise TemplateError(f"{place}: it is a Python value; insert its text, .as_str(), .as_json() or .as_repr(), in an earlier cell: text = ….as_json()")
        return value.file_ref

    return ref


def _said(batch: Batch, value: Job | JobStage[Any]) -> str:
    """How a cell names a job or stage: 'fit', 'fit[3]'."""
    from hail_batch_jupyter.batch.stage import JobStage

    stage = value if isinstance(value, JobStage) else batch.stage_of_uid().get(value.job_draft.uid)
    return str(value.name) if stage is None or stage is value else f"{stage.name}[{stage.jobs.index(value)}]"


def stage_path(batch: Batch, path: PurePath, place: str) -> InputResourceFile:
    """The input of the batch for a path of the notebook, one a path.

    Raises TemplateError when there is no such file.
    """
    absolute = Path(path).expanduser().absolute()
    known = _INPUTS.setdefault(batch, {})
    text = str(absolute)
    if not absolute.exists():
        raise TemplateError(f"{place}: there is no file {str(path)!r}{_close_files(absolute)}; make it first, or insert str(…) if it is only a text")
    if text not in known:
        known[text] = batch.read_input(text)
    return known[text]


def _close_files(path: Path) -> str:
    try:
        close = difflib.get_close_matches(path.name, [other.name for other in path.parent.iterdir()], 3)
    except OSError:
        return f" (looked for {str(path)!r}, whose folder does not exist)"
    return f" in {str(path.parent)!r}" + (f", but {', '.join(map(repr, close))}" if close else "")


def surroundings(shell: Shell, names: Mapping[str, Any], batch: Batch) -> Surroundings:
    """What the notebook has for a cell of Python."""
    from hail_batch_jupyter.batch.job import Job
    from hail_batch_jupyter.batch.resource import Resource
    from hail_batch_jupyter.batch.stage import JobStage, StageFiles

    return Surroundings(
        names,
        shell.user_ns_hidden,
        lambda value: isinstance(value, (Job, JobStage)),
        lambda value: isinstance(value, (Resource, StageFiles)),
        lambda path: stage_path(batch, path, "the cell"),
    )


def jobs_named(batch: Batch, asked: Sequence[object]) -> list[Job]:
    """The jobs that words or variables name; all of its jobs for a stage, one of them for `fit[3]`.

    Raises UsageError naming close ones for an unknown name, ForeignJobError for a job of another batch.
    """
    found = [job for one in asked for job in _named(batch, one)]
    for job in found:
        if job.job_batch is not batch:
            raise ForeignJobError(f"job {job.name!r} belongs to another batch, {job.job_batch.name!r}; name a job of {batch.name!r}")
    return found


def _named(batch: Batch, asked: object) -> list[Job]:
    from hail_batch_jupyter.batch.job import Job
    from hail_batch_jupyter.batch.stage import JobStage, jobs_among

    if isinstance(asked, (Job, JobStage)):
        return jobs_among([asked])
    text = str(asked)
    job = batch.job_named(text)
    stage, index = indexed(text)
    if job is None and stage in batch.stages:
        jobs: list[Job] = batch.stages[stage].jobs
        return jobs if index is None else [part_of(stage, jobs, index)]
    if job is None:
        raise UsageError(unknown_job(text, cell_names(batch), f"batch {batch.name!r}"))
    return [job]


def indexed(text: str) -> tuple[str, int | None]:
    """('fit', 3) for 'fit[3]', ('fit', None) for 'fit'."""
    match = re.fullmatch(r"(\w+)\[(-?\d+)\]", text)
    return (match[1], int(match[2])) if match else (text, None)


def part_of(stage: str, jobs: Sequence[Any], index: int) -> Any:
    """The job of that index; raises UsageError where the stage has none."""
    if not -len(jobs) <= index < len(jobs):
        raise UsageError(f"stage {stage!r} has {len(jobs)} jobs, and none at index {index}; the last is {stage}[{len(jobs) - 1}]")
    return jobs[index]


def cell_names(batch: Batch) -> list[str]:
    """Names of stages, and of the jobs that belong to none."""
    inside = batch.stage_of_uid()
    return [*batch.stages, *[job.name for job in batch.jobs if job.name and job.job_draft.uid not in inside]]


def unknown_job(name: str, names: Sequence[str], where: str) -> str:
    """The sentence for a job that is not there, with close names."""
    close = difflib.get_close_matches(name, names, 3)
    shown = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    hint = f"did you mean {' or '.join(close)}?" if close else f"it has {shown}" if names else "it has no jobs yet"
    return f"there is no job {name!r} in {where}; {hint}"

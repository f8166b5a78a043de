"""What `%batch_output` does: files of jobs, and of all jobs of a stage, are written to where people want them."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from hail_batch_jupyter.batch.files import makes
from hail_batch_jupyter.batch.resource import Resource
from hail_batch_jupyter.batch.stage import StageFiles
from hail_batch_jupyter.compile.paths import file_name
from hail_batch_jupyter.errors import TemplateError
from hail_batch_jupyter.jupyter.cells import options
from hail_batch_jupyter.jupyter.cells.braces import Insert, fill
from hail_batch_jupyter.jupyter.cells.each import inserted
from hail_batch_jupyter.jupyter.cells.scatter import short_name

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.stage import JobStage
    from hail_batch_jupyter.jupyter.desk import Desk

_HOLES = re.compile(r"\{(i|item)\b")


def output_words(magic: options.Magic, line: str, names: Mapping[str, Any]) -> tuple[Any, str]:
    """The file, or the files of a stage, and the destination that `%batch_output` names.

    Raises UsageError when the first word is no file or result of a job.
    """
    parsed = options.read_words(magic, options.split(line, raw=True))
    asked = parsed.file.strip("{}").removeprefix("$")
    pieces = fill(f"{{{asked}}}", names)
    value = pieces[0].value if len(pieces) == 1 and isinstance(pieces[0], Insert) else None
    if not isinstance(value, (Resource, StageFiles)):
        raise UsageError(f"%batch_output {asked}: it is not a file or result of a job; write %batch_output fit.model DEST")
    dest = str(options.looked_up(parsed.dest, names, "dest"))
    if isinstance(value, Resource) and _HOLES.search(dest):
        raise UsageError(f"%batch_output {asked} {dest}: it is one file, and {{i}} and {{item}} are for those of a stage; leave them out")
    return value, dest


def add_output(desk: Desk, files: Resource | StageFiles, dest: str) -> str:
    """Write the file or files at every run from now on, once a destination; gives a sentence about it."""
    if isinstance(files, StageFiles):
        return _add_stage(desk, files, dest)
    batch, place = files.from_batch, inserted(dest, desk.shell.user_ns)
    batch.write_output(files, place)
    return f"{short_name(files.file_ref, batch)} is written to {place} when the batch runs"


def _add_stage(desk: Desk, files: StageFiles, dest: str) -> str:
    stage = files.stage
    try:
        pairs = list(_destinations(files, dest, desk.shell.user_ns))
    except TemplateError as error:
        raise UsageError(f"%batch_output {_name(files)} {dest}: {error}. The item of a job is {{item}}, its number {{i}}") from error
    seen: dict[str, int] = {}
    for index, (_, place) in enumerate(pairs):
        if seen.setdefault(place, index) != index:
            raise UsageError(f"%batch_output {_name(files)} {dest}: items {seen[place]} and {index} would both be written to {place}; put {{i}} into it")
    for file, place in pairs:
        stage.job_batch.write_output(file, place)
    desk.stage_outputs.setdefault((stage.job_batch.name or "", stage.name), {})[files.name, files.member, dest] = None
    return f"{len(pairs)} files, {_name(files)}, are written to {pairs[0][1]} … {pairs[-1][1]} when the batch runs"


def _name(files: StageFiles) -> str:
    return ".".join(filter(None, (files.stage.name, files.name, files.member)))


def _destinations(files: StageFiles, dest: str, names: Mapping[str, Any]) -> Iterator[tuple[Resource, str]]:
    """Each file with its place: the folder, or the pattern with its number and item."""
    stage = files.stage
    is_pattern = _HOLES.search(dest) is not None
    for file, job, item in zip(files, stage.jobs, stage.items, strict=True):
        number = (job.name or "").rpartition("-")[2]
        own = {"i": number, "item": item.name if isinstance(item, PurePath) else item}
        place = inserted(dest, ChainMap(own, names))  # type: ignore[arg-type]  # nobody writes into it
        yield file, place if is_pattern else f"{place.rstrip('/')}/{job.name}.{file_name(job.job_draft, file.file_ref)}"


def follow_stage(desk: Desk, stage: JobStage[Any]) -> None:
    """Write the files of jobs that a stage has got since; what its cell makes no longer is forgotten."""
    kept = desk.stage_outputs.get((stage.job_batch.name or "", stage.name), {})
    for name, member, dest in list(kept):
        files = StageFiles(stage, name, member)
        if all(makes(job.job_draft, file.file_ref) for job, file in zip(stage.jobs, files, strict=True)):
            for file, place in _destinations(files, dest, desk.shell.user_ns):
                stage.job_batch.write_output(file, place)
        else:
            del kept[name, member, dest]

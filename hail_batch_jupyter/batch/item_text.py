"""The command of a stage: `{item}` and `{job.file}` in a text, everything else as in any command."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hail_batch_jupyter.batch.resource import Resource
from hail_batch_jupyter.batch.stage import JobStage
from hail_batch_jupyter.core.files import FileRef
from hail_batch_jupyter.core.template import Files, Piece, Template, Value, Values
from hail_batch_jupyter.errors import TemplateError

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.base_job import Job

_HOLE = re.compile(r"(?<![$\\{])\{(item|job)\b([^{}\n]*)\}(?!\})|\{(\{(?:item|job)\b[^{}\n]*\})\}")
_PATH = re.compile(r"(?:\.[^\W\d]\w*|\[[^\[\]]+\])*")
_STEP = re.compile(r"\.(\w+)|\[([^\[\]]+)\]")


class Hole(NamedTuple):
    """What is filled in for each job: `root` is 'item' or 'job', `path` the attributes and keys behind it."""

    root: str
    path: str


def split_holes(command: str) -> list[str | Hole]:
    """The text as strings and holes; `{{item}}` is the text `{item}`.

    Raises TemplateError for a form that is none.
    """
    pieces: list[str | Hole] = []
    at = 0
    for match in _HOLE.finditer(command):
        pieces.append(command[at : match.start()])
        at = match.end()
        if match[3] is not None:
            pieces.append(match[3])
            continue
        if not _PATH.fullmatch(match[2]) or (match[1] == "job" and not match[2]):
            forms = "{item}, {item.attribute}, {item[key]} or {job.file}"
            raise TemplateError(f"{match[0]!r} in a command of map cannot be filled in; write {forms}, or {{{match[0]}}} for the text itself")
        pieces.append(Hole(match[1], match[2]))
    return [piece for piece in [*pieces, command[at:]] if piece != ""]


def filled(pieces: Sequence[Piece | Hole], job: Job, item: object) -> Template:
    """The command for one job: values are quoted for the place where they stand, files are paths.

    Raises TemplateError for an attribute or key that the item does not have, and for what is neither text, a number nor a file.
    """
    made: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Hole):
            root, path = piece
            made.append(_piece(_walked(job if root == "job" else item, root, path, job), f"{{{root}{path}}}", job))
        else:
            made.append(piece)
    return tuple(made)


def _walked(value: Any, root: str, path: str, job: Job) -> Any:
    asked = f"{{{root}{path}}}"
    try:
        for attribute, key in _STEP.findall(path):
            value = getattr(value, attribute) if attribute else value[_key(key)]
    except Exception as error:  # an attribute or item of a user's object may raise anything
        raise TemplateError(f"job {job.job_draft}: {asked} cannot be read, {type(error).__name__}: {error}; correct it or the items") from error
    return value


def _key(text: str) -> str | int:
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return text[1:-1] if text[0] == text[-1] and text[0] in "'\"" else text


def _piece(value: Any, asked: str, job: Job) -> Piece:
    one = _one(value, job)
    if one is not None:
        return one if isinstance(one, FileRef) else Value(one)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, JobStage)):
        parts = [_one(part, job) for part in value]
        refs = [part for part in parts if isinstance(part, FileRef)]
        texts = [part for part in parts if isinstance(part, str)]
        if len(refs) == len(parts) and refs:
            return Files(tuple(refs))
        if len(texts) == len(parts):
            return Values(tuple(texts))
    raise TemplateError(
        f"job {job.job_draft}: {asked} is a {type(value).__name__}, and a command takes text, numbers, files or a list of one of them; "
        "name a part of it, such as {item[0]}, or make text of it"
    )


def _one(value: Any, job: Job) -> FileRef | str | None:
    if isinstance(value, Resource):
        return job.job_batch.ref_of(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value) if isinstance(os.fspath(value), str) else None
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    return str(value) if isinstance(value, (int, float, complex)) else None

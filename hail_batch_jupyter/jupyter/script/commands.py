"""Commands as text of a script: values are quoted for their places already, files are variables, items of a stage are holes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hail_batch_jupyter.compile.shelltext import render
from hail_batch_jupyter.core.files import FileRef
from hail_batch_jupyter.core.template import Files, Piece, Template

_MARK = re.compile("HBJ([0-9]+)JBH")
_HOLE_LIKE = re.compile(r"\{(?:item|job)\b")
_BEFORE_HOLE = ("$", "\\", "{")
_TRIPLE = ("'''", '"""')


class Mark(NamedTuple):
    """What stands in a command for a file: an expression of the script, or a hole that `Batch.map` fills."""

    text: str
    is_hole: bool = False


class Expressions(NamedTuple):
    """How the script writes a file, and several files behind one another."""

    file: Callable[[FileRef], str]
    files: Callable[[tuple[FileRef, ...]], list[str]]


def command_text(template: Template, expressions: Expressions) -> str:
    """The command as a string of Python."""
    return _string([part for piece in template for part in _marks(piece, expressions)])


def stage_command(templates: Sequence[Template], uids: Sequence[int], expressions: Expressions) -> tuple[str, list[tuple[Piece, ...]]] | None:
    """The command of `Batch.map` as a string of Python, and of each part of its items what the jobs have.

    None where the commands of the jobs differ in more than values and files.
    """
    if len({len(template) for template in templates}) != 1:
        return None
    columns: list[tuple[Piece, ...]] = []
    holes = [_hole(pieces, uids, columns) for pieces in zip(*templates, strict=True)]
    if None in holes or any(_misread(templates[0], place, hole) for place, hole in enumerate(holes)):
        return None
    parts: list[str | Piece | Mark] = []
    for piece, hole in zip(templates[0], holes, strict=True):
        text = (hole or "").replace("{item[0]}", "{item}") if len(columns) == 1 else hole
        parts += [Mark(text, True)] if text else _marks(piece, expressions)
    return _string(parts), columns


def _hole(pieces: Sequence[Piece], uids: Sequence[int], columns: list[tuple[Piece, ...]]) -> str | None:
    """'' for what is the same in all jobs, the hole for what is not; None where there can be none."""
    first = pieces[0]
    if all(isinstance(piece, FileRef) and piece.made_by_job and piece.owner == uid for piece, uid in zip(pieces, uids, strict=True)):
        return _own(list(dict.fromkeys([piece._replace(owner=0) for piece in pieces if isinstance(piece, FileRef)])))
    if all(piece == first for piece in pieces):
        return ""
    if any(isinstance(piece, str) for piece in pieces) or len({type(piece) for piece in pieces}) > 1:
        return None
    column = tuple(pieces)
    if column not in columns:
        columns.append(column)
    return f"{{item[{columns.index(column)}]}}"


def _own(refs: Sequence[FileRef]) -> str | None:
    """The hole of a file that each job makes itself."""
    names = [name for name in (refs[0].name, refs[0].member) if name]
    return f"{{job.{'.'.join(names)}}}" if len(refs) == 1 and all(name.isidentifier() for name in names) else None


def _misread(template: Template, place: int, hole: str | None) -> bool:
    """Whether `map` would take text for a hole, or a hole for text."""
    piece, before = template[place], template[place - 1] if place else ""
    if hole:
        return isinstance(before, str) and before.endswith(_BEFORE_HOLE)
    return isinstance(piece, str) and _HOLE_LIKE.search(piece) is not None


def _marks(piece: Piece, expressions: Expressions) -> list[str | Piece | Mark]:
    if isinstance(piece, FileRef):
        return [Mark(expressions.file(piece))]
    if isinstance(piece, Files):
        spaced: list[str | Piece | Mark] = []
        for text in expressions.files(piece.refs):
            spaced += [" ", Mark(text)] if spaced else [Mark(text)]
        return spaced
    return [piece]


def _string(parts: Sequence[str | Piece | Mark]) -> str:
    """The literal: with values quoted for the places where they stand, and an f-string where there are expressions."""
    marks = [part for part in parts if isinstance(part, Mark)]
    numbers = iter(range(len(marks)))
    flat = render(tuple([f"HBJ{next(numbers)}JBH" if isinstance(part, Mark) else part for part in parts]), str).strip()
    texts = _MARK.split(flat)
    formatted = any(not mark.is_hole for mark in marks) or all(quotes in flat for quotes in _TRIPLE)
    made = []
    for place, text in enumerate(texts):
        if place % 2:
            mark = marks[int(text)]
            made.append(mark.text if formatted is False else f"{{{mark.text}}}")
        else:
            made.append(text.replace("{", "{{").replace("}", "}}") if formatted else text)
    return _literal("".join(made), formatted)


def _literal(text: str, formatted: bool) -> str:
    prefix = "f" if formatted else ""
    if '"' not in text and "\\" not in text and "\n" not in text:
        return f'{prefix}"{text}"'
    raw = f"r{prefix}" if "\\" in text else prefix
    quotes = next((one for one in _TRIPLE if one not in text), _TRIPLE[0])
    if quotes in text:
        text = text.replace(quotes, '{"\'" * 3}')
    body = text if "\n" not in text and not text.endswith(("'", '"', "\\")) and not text.startswith(("'", '"')) else f"\n{text}\n"
    return f"{raw}{quotes}{body}{quotes}"

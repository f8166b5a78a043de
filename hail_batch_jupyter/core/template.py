"""A command as pieces: shell text, values to be quoted for their place, and files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Union

from hail_batch_jupyter.core.files import FileRef


class Value(NamedTuple):
    """Text that must reach the program unharmed, whatever the shell would make of it."""

    text: str


class Files(NamedTuple):
    """Several files as one word each, joined by blanks."""

    refs: tuple[FileRef, ...]


class Values(NamedTuple):
    """Several values as one word each, joined by blanks."""

    texts: tuple[str, ...]


Piece = Union[str, Value, Values, FileRef, Files]
"""`str` is shell text as the user wrote it; everything else is quoted for the place where it stands."""

Template = tuple[Piece, ...]


def refs_of(pieces: Sequence[Piece]) -> tuple[FileRef, ...]:
    """Every file that the pieces mention, in order, each once."""
    found: dict[FileRef, None] = {}
    for piece in pieces:
        if isinstance(piece, FileRef):
            found[piece] = None
        elif isinstance(piece, Files):
            found.update(dict.fromkeys(piece.refs))
    return tuple(found)

"""What a scan of shell text gives: the place of each hole, what to mend around it, and the here-documents.

A hole is the character `HOLE`, which no shell text can hold; it stands for an opaque word that is filled in later.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

HOLE = "\0"


class Place(Enum):
    """The quoting that is in force where a word stands."""

    BARE = "bare"
    DOUBLE = '"…"'
    SINGLE = "'…'"
    ANSI = "$'…'"
    DOUBLE_WORD = '"${x:-…}"'
    """The word of a parameter expansion within double quotes or a here-document: inner quotes work there."""
    DOUBLE_IN_WORD = '"${x:-"…"}"'
    HEREDOC = "<<EOF"
    HEREDOC_QUOTED = "<<'EOF'"
    COMMENT = "#"


class Hole(NamedTuple):
    """A hole that starts and ends at the offsets `start` and `start + 1`."""

    start: int
    end: int
    place: Place


class Fix(NamedTuple):
    """Characters before a hole that would swallow its beginning, and what keeps their meaning."""

    start: int
    end: int
    text: str


class Nested(NamedTuple):
    """The inside of `…` with holes in it; `text` is what the inner shell reads, one level of backslashes removed."""

    start: int
    end: int
    text: str
    places: tuple[Place, ...]
    in_double: bool


class HereDoc(NamedTuple):
    """A here-document: `text[start:end]` is the operator with its delimiter, `text[body:body_end]` the lines.

    `close_end` is the end of the closing line, equal to `body_end` when that line is missing.
    """

    start: int
    end: int
    dash: bool
    quoted: bool
    delimiter: str
    body: int = 0
    body_end: int = 0
    close_end: int = 0


class Scan(NamedTuple):
    """What a shell text holds, in its order."""

    marks: list[Hole | Fix | Nested]
    heredocs: list[HereDoc]

    @property
    def places(self) -> list[Place]:
        """The place of each hole, in the order of the text."""
        found: list[Place] = []
        for mark in self.marks:
            if isinstance(mark, Hole):
                found.append(mark.place)
            elif isinstance(mark, Nested):
                found.extend(mark.places)
        return found

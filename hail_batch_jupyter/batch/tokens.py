"""Text that stands for a file, job or batch in a string, until the string is used in a command.

A token survives JSON, `str.upper`, slicing and joining as long as its own text stays whole, and ends in '__', so that whatever
follows it belongs to the user.
"""

from __future__ import annotations

import re
from sys import intern
from typing import NamedTuple

FILE = "RESOURCE_FILE"
GROUP = "RESOURCE_GROUP"
RESULT = "PYTHON_RESULT"
JOB = "JOB"
BATCH = "BATCH"

_TOKEN = re.compile(rf"__({FILE}|{GROUP}|{RESULT}|{JOB}|{BATCH})__([0-9]+)_([0-9]+)__")

_SHORT = 9
"""Shorter text between files, such as 'cat ' and ' > ', is the same in many commands, and is kept once."""


class Token(NamedTuple):
    """What a token says: its kind, the number of the batch in this process, and a number within that batch."""

    kind: str
    serial: int
    number: int


def token_text(kind: str, serial: int, number: int) -> str:
    """The text of a token."""
    return f"__{kind}__{serial}_{number}__"


def split_tokens(text: str) -> list[str | Token]:
    """The text as pieces: plain strings, none of them empty, and tokens."""
    if "__" not in text:
        return [text] if text else []
    pieces: list[str | Token] = []
    parts = _TOKEN.split(text)
    for at in range(0, len(parts) - 1, 4):
        before, kind, serial, number = parts[at : at + 4]
        if before:
            pieces.append(intern(before) if len(before) < _SHORT else before)
        pieces.append(Token(kind, int(serial), int(number)))
    last = parts[-1]
    if last:
        pieces.append(intern(last) if len(last) < _SHORT else last)
    return pieces

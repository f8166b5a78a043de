"""Text that stands for a file, job or batch in a string, until the string is used in a command.

A token survives JSON, `str.upper`, slicing and joining as long as its own text stays whole, and ends in '__', so that whatever
follows it belongs to the user.
"""

from __future__ import annotations

import re
from typing import NamedTuple

FILE = "RESOURCE_FILE"
GROUP = "RESOURCE_GROUP"
RESULT = "PYTHON_RESULT"
JOB = "JOB"
BATCH = "BATCH"

_TOKEN = re.compile(rf"__({FILE}|{GROUP}|{RESULT}|{JOB}|{BATCH})__([0-9]+)_([0-9]+)__")


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
    at = 0
    for match in _TOKEN.finditer(text):
        if match.start() > at:
            pieces.append(text[at : match.start()])
        pieces.append(Token(match[1], int(match[2]), int(match[3])))
        at = match.end()
    if at < len(text):
        pieces.append(text[at:])
    return pieces

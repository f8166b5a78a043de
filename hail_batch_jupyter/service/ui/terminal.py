"""What a terminal would show of a log, as HTML: colours and bold, lines drawn again, and nothing else that steers one."""

from __future__ import annotations

import re

from hail_batch_jupyter.service.ui.html import Html, joined, tag

_COLOURS = re.compile(r"\x1b\[([0-9;]*)m")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_]|\[[0-?]*[ -/]*$)?")
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
_SIGN = "\ufffd"
"""Stands for bytes that are no text."""


def painted(data: bytes) -> Html:
    """The bytes of a log: what is no text has a sign in its place."""
    parts, colour, bold = _COLOURS.split(_redrawn(data.decode(errors="replace"))), 0, False
    shown: list[Html | str] = []
    for place, part in enumerate(parts):
        if place % 2:
            for code in part.split(";"):
                colour, bold = _after(code, colour, bold)
            continue
        plain = _NO_TEXT.sub(_SIGN, _ESCAPES.sub("", part))
        shown.append(tag("span", plain, class_="hbj-ansi", data_colour=colour or None, data_bold=bold) if plain and (colour or bold) else plain)
    return joined(shown)


def _redrawn(text: str) -> str:
    """A line that was drawn again after a carriage return has its last drawing."""
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def _after(code: str, colour: int, bold: bool) -> tuple[int, bool]:
    """1 to 6: red, green, yellow, blue, magenta, cyan; 0 for none, as for black and white."""
    number = int(code) if code and len(code) < 4 else 0
    if number in (0, 39):
        return 0, bold and number == 39
    if number in (1, 22):
        return colour, number == 1
    return (number % 10 % 7 if 30 <= number <= 37 or 90 <= number <= 97 else colour), bold

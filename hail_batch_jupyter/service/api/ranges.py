"""A part of a file, as the Range header asks for it."""

from __future__ import annotations

import os
import re
from typing import BinaryIO, Literal, Protocol

from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.web import Answer, Piece

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_KIND = "application/octet-stream"


class Openable(Protocol):
    """What has bytes, as a Path and a Log do."""

    def open(self, mode: Literal["rb"]) -> BinaryIO:
        """To be read, and closed by who asked."""


def file_answer(found: Openable | None, header: str | None) -> Answer:
    """The bytes of a file or a log, or those of one range of it; a header that asks for several or other things is ignored, as the standard allows.

    Raises Refusal 416 for a range that begins after the end. Source: RFC 9110, section 14.
    """
    if found is None:
        return Answer(b"", _KIND)
    file = found.open("rb")
    try:
        size = file.seek(0, os.SEEK_END)
        place = _place(header, size)
    except BaseException:
        file.close()
        raise
    if place is None:
        return Answer(b"", _KIND, headers=[("Accept-Ranges", "bytes")], piece=Piece(file, 0, size))
    start, end = place
    headers = [("Accept-Ranges", "bytes"), ("Content-Range", f"bytes {start}-{end - 1}/{size}")]
    return Answer(b"", _KIND, 206, headers, Piece(file, start, end - start))


def _place(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last; None for the whole."""
    found = _RANGE.fullmatch(header or "")
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    start, end = (max(0, size - int(last)), size) if not first else (int(first), min(size, int(last) + 1) if last else size)
    if first and last and int(last) < int(first):
        return None
    if start >= end:
        raise Refusal(416, f"the range {header} is not in the {size} bytes that are there; ask for an earlier one")
    return start, end

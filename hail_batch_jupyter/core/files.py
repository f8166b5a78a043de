"""The identity of a file, a group of files or a Python result within one batch."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class FileKind(str, Enum):
    """What a reference stands for."""

    INPUT = "input"
    INPUT_GROUP = "input_group"
    FILE = "file"
    GROUP = "group"
    RESULT = "result"

    __hash__ = str.__hash__  # Enum's own is no C function, and every look for a file hashes its kind


_MADE_BY_JOB = (FileKind.FILE, FileKind.GROUP, FileKind.RESULT)


class FileRef(NamedTuple):
    """Names a file by who makes it, never by where it lies; `compile.paths` knows where.

    owner   uid of the job that makes it; for an input the uid of the input
    name    identifier of the file, the group or the result ('' for an input)
    member  identifier within a group, '' for a plain file and for the group as a whole
    """

    kind: FileKind
    owner: int
    name: str = ""
    member: str = ""

    @property
    def made_by_job(self) -> bool:
        """True for what a job of the batch makes, False for the batch's inputs."""
        return self.kind in _MADE_BY_JOB

    @property
    def whole(self) -> FileRef:
        """The group that this member belongs to, or the file itself."""
        return self._replace(member="")

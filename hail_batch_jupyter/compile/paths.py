"""Where every file of a batch lies below the scratch folder; equal batches give equal paths."""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

from hail_batch_jupyter.core.draft import BatchDraft, InputDraft, JobDraft
from hail_batch_jupyter.core.files import FileKind, FileRef

_NAME_BYTES = 245
"""What is left of the 255 bytes that a file name may have, after '-', the token and a little."""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = [low + high for high in _DIGITS for low in _DIGITS]


class StagedInput(NamedTuple):
    """Where an input comes from and goes.

    sources  member ('' for a single file) -> absolute path or URI
    paths    member -> path below scratch; '' is the file itself, or the root of a group
    """

    sources: dict[str, str]
    paths: dict[str, str]


class Paths:
    """The paths of one batch."""

    def __init__(self, draft: BatchDraft) -> None:
        self._jobs = draft.jobs
        self._directories = _directories(draft)
        self._inputs = draft.inputs
        self._staged: dict[int, StagedInput] = {}
        self._taken: set[str] = set()
        for found in draft.inputs.values():
            self._staged[found.uid] = self._stage(found)

    def directory(self, uid: int) -> str:
        """The folder of a job."""
        return self._directories[uid]

    def staged(self, uid: int) -> StagedInput:
        """Source and place of an input."""
        return self._staged[uid]

    def of(self, ref: FileRef) -> str:
        """The path of a file, result or member, or the common root of a group."""
        if not ref.made_by_job:
            return self._staged[ref.owner].paths[ref.member]
        return f"{self._directories[ref.owner]}/{file_name(self._jobs[ref.owner], ref)}"

    def all_of(self, ref: FileRef) -> list[str]:
        """The paths of everything that travels with a file of a job: all members of its group, or itself."""
        return [self.of(part) for part in parts_of(self._jobs[ref.owner], ref)]

    def _stage(self, found: InputDraft) -> StagedInput:
        given = {"": found.path} if found.members is None else found.members
        sources = {member: absolute_source(path) for member, path in given.items()}
        token = _token("\0".join(["input", str(found.uid), *sources.values()]), self._taken)
        if found.members is None:
            return StagedInput(sources, {"": f"inputs/{token}/{base_name(sources[''])}{found.extension}"})
        names = _distinct({member: base_name(source) for member, source in sources.items()})
        return StagedInput(sources, {"": f"inputs/{token}", **{member: f"inputs/{token}/{name}" for member, name in names.items()}})


def file_name(job: JobDraft, ref: FileRef) -> str:
    """The name of a job's file in the job's folder, with its extension."""
    if ref.kind is FileKind.FILE:
        file = job.files.get(ref.name)
        return ref.name + file.extension if file is not None else ref.name
    if ref.kind is FileKind.GROUP and ref.member:
        group = job.groups[ref.name]
        return group.members[ref.member].replace("{root}", group.name) + group.extensions.get(ref.member, "")
    return ref.name


def parts_of(job: JobDraft, ref: FileRef) -> list[FileRef]:
    """The members of the group that the file belongs to, or the file itself."""
    if ref.kind is not FileKind.GROUP:
        return [ref]
    return [ref._replace(member=member) for member in job.groups[ref.name].members]


def absolute_source(path: str) -> str:
    """An input's path made absolute from the folder that is current now; a URI other than file:// as it is."""
    if path.startswith("file://"):
        path = path[len("file://") :]
    elif "://" in path:
        return path
    return os.path.abspath(os.path.expanduser(path))


def base_name(source: str) -> str:
    """The name under which an input is staged."""
    if source.startswith("https://"):
        source = source.split("?", 1)[0]
    return source.rstrip("/").rsplit("/", 1)[-1] or "root"


def _distinct(names: dict[str, str]) -> dict[str, str]:
    """Names of members that lie in one folder; one whose name is taken moves to a folder of its own below."""
    taken = set(names.values())
    found: dict[str, str] = {}
    used: set[str] = set()
    for member, name in names.items():
        place, number = name, 2
        while place in used or (place != name and f"{number - 1}" in taken):
            place, number = f"{number}/{name}", number + 1
        used.add(place)
        found[member] = place
    return found


def _directories(draft: BatchDraft) -> dict[int, str]:
    """Job uid -> folder: the safe name, and a token made of the name and the number among jobs of that name."""
    ordinals: dict[str, int] = {}
    taken: set[str] = set()
    found = {}
    for uid in sorted(draft.jobs):
        name = draft.jobs[uid].name or ""
        ordinal = ordinals[name] = ordinals.get(name, 0) + 1
        token = _token(f"{name}\0{ordinal}", taken)
        found[uid] = f"{safe_name(name)}-{token}" if name else token
    return found


def safe_name(name: str) -> str:
    """The name with everything but letters, digits and '-' made '_', in at most 245 bytes."""
    if name.isascii() and name.replace("-", "a").isalnum():
        return name[:_NAME_BYTES]
    safe = "".join([char if char.isalnum() or char == "-" else "_" for char in name])
    return safe.encode(errors="replace")[:_NAME_BYTES].decode(errors="ignore")


def _token(text: str, taken: set[str]) -> str:
    """Five letters or digits that follow from the text, and from the tokens before only where two would be equal."""
    number = int.from_bytes(hashlib.sha256(text.encode(errors="surrogateescape")).digest()[:8], "big")
    while True:
        token = _PAIRS[number % 1296] + _PAIRS[number // 1296 % 1296] + _DIGITS[number // 1296**2 % 36]
        if token not in taken:
            taken.add(token)
            return token
        number += 1

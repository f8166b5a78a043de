"""What clients ask of the storage that the service brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hail_batch_jupyter.service.api.ranges import file_answer
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.folders import Entry
from hail_batch_jupyter.service.shelf import SCHEME, Shelf, part_of
from hail_batch_jupyter.service.web import Answer


class Filing:
    """Every method may be called from any thread."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def place(self, user: str) -> dict[str, Any]:
        """Where the files of a user are, and how much they take."""
        shelf = self._shelf
        return {"remote_tmpdir": f"{SCHEME}{user}/tmp", "used_bytes": shelf.used_bytes(user), "quota_bytes": shelf.quota_bytes}

    def found(self, user: str, query: Mapping[str, str]) -> list[tuple[str, int, str]]:
        """The file, or all files of a folder."""
        return self._shelf.found(user, _told(query, "path"))

    def read(self, user: str, query: Mapping[str, str], header: str | None) -> Answer:
        """The bytes of a file, or of a range of it."""
        return file_answer(self._shelf.file(user, _told(query, "path")), header)

    def folder(self, user: str, inside: str, after: str, most: int) -> tuple[list[Entry], bool]:
        """Up to `most` entries of a folder of the user's own, by the path in it, behind that name; and whether there are more."""
        return self._shelf.folder(user, _address(user, inside), after, most)

    def content(self, user: str, inside: str, header: str | None) -> Answer:
        """As `read`, by the path in the user's own folder."""
        return file_answer(self._shelf.file(user, _address(user, inside)), header)

    def remove_inside(self, user: str, inside: str) -> None:
        """As `remove`, by the path in the user's own folder."""
        self._shelf.remove(user, _address(user, inside))

    def write(self, user: str, query: Mapping[str, str], data: bytes) -> None:
        """Make or replace a file, or add a part to an upload."""
        address, part = _told(query, "path"), part_of(query)
        if part is None:
            self._shelf.write(user, address, data)
        else:
            self._shelf.write_part(user, address, data, part)

    def copy(self, user: str, query: Mapping[str, str]) -> None:
        """Copy a file."""
        self._shelf.copy(user, _told(query, "source"), _told(query, "dest"))

    def remove(self, user: str, query: Mapping[str, str]) -> None:
        """Remove a file or a folder."""
        self._shelf.remove(user, _told(query, "path"))


def _address(user: str, inside: str) -> str:
    return f"{user}/{inside}" if inside else user


def _told(query: Mapping[str, str], key: str) -> str:
    if key not in query:
        raise Refusal(400, f"{key} is required; write ?{key}=USER/FILE")
    return query[key]

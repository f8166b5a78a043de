"""Files at any address, with one access."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from hail_batch_jupyter.core.ports import FileSystem, Found
from hail_batch_jupyter.storage.access import Access
from hail_batch_jupyter.storage.copy import WORKERS, copy_all
from hail_batch_jupyter.storage.router import file_system


class Files:
    """Reads, writes, lists, copies and removes, wherever the files are; every method may be called from several threads at once."""

    def __init__(self, access: Access | None = None) -> None:
        self._access = access

    def read(self, uri: str) -> bytes:
        """The bytes of a file. Raises MissingFileError if there is none."""
        return self._system(uri).read(uri)

    def write(self, uri: str, data: bytes) -> None:
        """Make or replace a file, whole or not at all."""
        self._system(uri).write(uri, data)

    def write_all(self, contents: Iterable[tuple[str, bytes]]) -> None:
        """Make or replace (address, bytes) files, many at once."""
        with ThreadPoolExecutor(WORKERS) as pool:
            for _ in pool.map(lambda content: self.write(*content), contents):
                pass

    def exists(self, uri: str) -> bool:
        """Whether a file or folder is there."""
        return self._system(uri).exists(uri)

    def files(self, uri: str) -> Iterable[Found]:
        """The file, or all files of the folder."""
        return self._system(uri).files(uri)

    def remove(self, uri: str) -> None:
        """Remove a file, or a folder with all that is in it; again does nothing more."""
        self._system(uri).remove(uri)

    def copy(self, transfers: Iterable[tuple[str, str]]) -> None:
        """Copy (source, destination) pairs, files and folders, at once. Raises StorageError naming the first that failed."""
        copy_all(transfers, self._access)

    def _system(self, uri: str) -> FileSystem:
        return file_system(uri, self._access)

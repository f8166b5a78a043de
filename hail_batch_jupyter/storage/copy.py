"""Copying many files at once: any number of files and folders, from any kind of place to any other."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import NamedTuple

from hail_batch_jupyter.core.ports import FileSystem
from hail_batch_jupyter.errors import BatchException, StorageError, UriError
from hail_batch_jupyter.storage.access import Access
from hail_batch_jupyter.storage.router import file_system
from hail_batch_jupyter.storage.uris import base_name, is_local, joined, path_of, safe_below, shown

WORKERS = 16
"""Files that are copied at once: requests wait for the store most of the time."""
_AHEAD = 4
"""Files listed ahead, times the workers, so that memory does not grow with the number of files."""


class FileCopy(NamedTuple):
    """One file to copy."""

    source: str
    dest: str
    size_bytes: int


@dataclass
class Summary:
    """What became of a copy: files and bytes that are there now, (address, why) of what is not, and the first error."""

    n_files: int = 0
    n_bytes: int = 0
    elapsed_s: float = 0.0
    failed: list[tuple[str, str]] = field(default_factory=list)
    error: Exception | None = None

    def head(self) -> str:
        """'copied 3 files, 1.5 MB in 0.5 s (3.0 MB/s)'."""
        rate = self.n_bytes / self.elapsed_s if self.elapsed_s else 0.0
        files = "1 file" if self.n_files == 1 else f"{self.n_files} files"
        return f"copied {files}, {amount(self.n_bytes)} in {self.elapsed_s:.1f} s ({amount(rate)}/s)"

    def text(self) -> str:
        """The head, and a line for each of the first ten that failed."""
        lines = [self.head()]
        if self.failed:
            lines.append(f"{len(self.failed)} not copied:")
            lines.extend(f"  {address}: {why}" for address, why in self.failed[:10])
        if len(self.failed) > 10:
            lines.append(f"  and {len(self.failed) - 10} more")
        return "\n".join(lines)


Told = Callable[[Summary], None]


def copy(transfers: Iterable[tuple[str, str]], access: Access | None = None, *, workers: int = WORKERS, told: Told | None = None) -> Summary:
    """Copy (source, destination) pairs; a folder is copied with all that is below it.

    Each file comes whole or not at all; one that fails leaves the others alone. `told` gets the summary so far after every file, in this thread.
    """
    return _Copying(access, workers, told).run(transfers)


def targets(sources: Sequence[str], dest: str) -> list[tuple[str, str]]:
    """(source, destination) of each source: `dest` itself, or below it where there are several or it ends in '/'.

    Raises UriError for two sources of one name, and for a whole bucket, which has none.
    """
    if len(sources) == 1 and not shown(dest).endswith("/"):
        return [(sources[0], dest)]
    names = [base_name(source) for source in sources]
    for source, name in zip(sources, names, strict=True):
        if not name:
            raise UriError(f"{shown(source)!r} has no name of its own; copy it alone, to a folder that you name without '/' at its end")
        if names.count(name) > 1:
            raise UriError(f"two sources are named {name!r}, and one would replace the other; copy them one by one")
    return [(source, joined(dest, name)) for source, name in zip(sources, names, strict=True)]


def copy_all(transfers: Iterable[tuple[str, str]], access: Access | None = None, *, workers: int = WORKERS) -> None:
    """Copy all of them.

    Raises StorageError, or what else the first that failed raised.
    """
    summary = copy(transfers, access, workers=workers)
    if len(summary.failed) > 1:
        address, why = summary.failed[0]
        raise StorageError(f"{why} (and {len(summary.failed) - 1} more were not copied)", address) from summary.error
    if summary.error is not None:
        raise summary.error


class _Copying:
    """One copy; its numbers are changed by the thread that runs it only."""

    def __init__(self, access: Access | None, workers: int, told: Told | None) -> None:
        self._access = access
        self._workers = workers
        self._told = told
        self._summary = Summary()
        self._running: dict[Future[None], FileCopy] = {}
        self._started_s = time.monotonic()

    def run(self, transfers: Iterable[tuple[str, str]]) -> Summary:
        with ThreadPoolExecutor(self._workers) as pool:
            try:
                for item in self._files(transfers):
                    if len(self._running) >= self._workers * _AHEAD:
                        self._collect()
                    self._running[pool.submit(self._one, item)] = item
                while self._running:
                    self._collect()
            except BaseException:  # an interrupt: what has not begun never does
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        self._summary.elapsed_s = time.monotonic() - self._started_s
        return self._summary

    def _files(self, transfers: Iterable[tuple[str, str]]) -> Iterator[FileCopy]:
        """The single files; what cannot be listed is noted as failed."""
        for source, dest in transfers:
            try:
                for name, size_bytes, _ in self._system(source).files(source):
                    below = safe_below(name, source) if name and is_local(dest) and not is_local(source) else name
                    yield FileCopy(joined(source, name), joined(dest, below), size_bytes)
            except (BatchException, OSError) as error:
                self._fail(source, error)

    def _fail(self, source: str, error: Exception) -> None:
        self._summary.failed.append((shown(source), str(error)))
        self._summary.error = self._summary.error or error

    def _system(self, uri: str) -> FileSystem:
        return file_system(uri, self._access)

    def _one(self, item: FileCopy) -> None:
        source, dest = self._system(item.source), self._system(item.dest)
        if source is dest:
            source.copy(item.source, item.dest)
        elif is_local(item.source):
            dest.upload(path_of(item.source), item.dest)
        elif is_local(item.dest):
            source.download(item.source, path_of(item.dest), item.size_bytes)
        else:
            self._through_here(source, dest, item)

    def _through_here(self, source: FileSystem, dest: FileSystem, item: FileCopy) -> None:
        with tempfile.TemporaryDirectory(prefix="hail-batch-jupyter-") as folder:
            path = os.path.join(folder, "file")
            source.download(item.source, path)
            dest.upload(path, item.dest)

    def _collect(self) -> None:
        for future in wait(self._running, return_when=FIRST_COMPLETED).done:
            item = self._running.pop(future)
            error = future.exception()
            if error is None:
                self._summary.n_files += 1
                self._summary.n_bytes += item.size_bytes
            elif isinstance(error, (BatchException, OSError)):
                self._fail(item.source, error)
            else:
                raise error
        self._summary.elapsed_s = time.monotonic() - self._started_s
        if self._told is not None:
            self._told(self._summary)


def amount(n_bytes: float) -> str:
    """'1.5 MB'."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"

"""Copying many files at once: any number of files and folders, from any kind of place to any other."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple

from hail_batch_jupyter.core.ports import FileSystem
from hail_batch_jupyter.errors import BatchException, StorageError, UriError
from hail_batch_jupyter.storage.access import Access
from hail_batch_jupyter.storage.router import file_system
from hail_batch_jupyter.storage.uris import base_name, is_local, joined, path_of, safe_below, shown

WORKERS = 32
"""Files that are copied at once at most: requests wait for a store that is far away most of the time."""
_FIRST_WORKERS = 4
_BUSY = 0.7
"""Of a processor: from there on more threads bring nothing, for they share one interpreter."""
_LOOK_S = 0.05


class FileCopy(NamedTuple):
    """One file to copy; `name` is that below the folder it is of."""

    source: str
    dest: str
    size_bytes: int
    name: str = ""


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


def copy(
    transfers: Iterable[tuple[str, str]],
    access: Access | None = None,
    *,
    workers: int = WORKERS,
    told: Told | None = None,
    written: dict[str, str] | None = None,
) -> Summary:
    """Copy (source, destination) pairs; a folder is copied with all that is below it.

    Each file comes whole or not at all; one that fails leaves the others alone. `told` gets the summary so far again and again, and at the end, in this thread.
    `written` is filled with name below the source ('' for a file) -> version, where the store of the destination told it.
    """
    return _Copying(access, workers, told, written).run(transfers)


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


def copy_all(transfers: Iterable[tuple[str, str]], access: Access | None = None, *, workers: int = WORKERS, written: dict[str, str] | None = None) -> None:
    """Copy all of them, as `copy` does.

    Raises StorageError, or what else the first that failed raised.
    """
    summary = copy(transfers, access, workers=workers, written=written)
    if len(summary.failed) > 1:
        address, why = summary.failed[0]
        raise StorageError(f"{why} (and {len(summary.failed) - 1} more were not copied)", address) from summary.error
    if summary.error is not None:
        raise summary.error


class _Copying:
    """One copy. Each thread takes the next file when it has done with one; the list, and the numbers, are one thread's at a time."""

    def __init__(self, access: Access | None, workers: int, told: Told | None, written: dict[str, str] | None) -> None:
        self._access = access
        self._written = written
        self._most = workers
        self._told = told
        self._summary = Summary()
        self._started_s = time.monotonic()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._items: Iterator[FileCopy] = iter(())
        self._n_threads = 0
        self._broken: BaseException | None = None

    def run(self, transfers: Iterable[tuple[str, str]]) -> Summary:
        files = self._files(transfers)
        first = list(islice(files, 2))
        self._items = chain(first, files)
        if len(first) > 1:
            self._together()
        else:
            self._work()
        if self._broken is not None:
            raise self._broken
        self._tell()
        return self._summary

    def _together(self) -> None:
        """Start threads, and more as long as that helps: where the processor is busy, they take it from each other."""
        seen = _Busy()
        self._start(min(_FIRST_WORKERS, self._most))
        try:
            while self._wait():
                if not seen.busy() and self._n_threads < self._most:
                    self._start(min(self._n_threads, self._most - self._n_threads))
                self._tell()
        except BaseException:  # an interrupt: what has not begun never does
            self._stop(None)
            while self._wait():
                continue
            raise

    def _start(self, n_threads: int) -> None:
        for _ in range(n_threads):
            with self._lock:
                self._n_threads += 1
            threading.Thread(target=self._run_thread, name="copy", daemon=True).start()

    def _wait(self) -> bool:
        """Whether a thread still works, after a short time or when the last one has ended."""
        with self._lock:
            return not self._changed.wait_for(lambda: self._n_threads == 0, _LOOK_S)

    def _run_thread(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - the edge of a thread: raised by the one that waits
            self._stop(error)
        finally:
            with self._lock:
                self._n_threads -= 1
                self._changed.notify_all()

    def _work(self) -> None:
        """Copy files until none is left."""
        done: FileCopy | None = None
        while True:
            with self._lock:
                if done is not None:
                    self._summary.n_files += 1
                    self._summary.n_bytes += done.size_bytes
                item = next(self._items, None)
            if item is None:
                return
            done = item if self._copied(item) else None

    def _stop(self, error: BaseException | None) -> None:
        with self._lock:
            self._broken = self._broken or error
            self._items = iter(())

    def _tell(self) -> None:
        with self._lock:
            self._summary.elapsed_s = time.monotonic() - self._started_s
            if self._told is not None:
                self._told(self._summary)

    def _files(self, transfers: Iterable[tuple[str, str]]) -> Iterator[FileCopy]:
        """The single files; what cannot be listed is noted as failed."""
        for source, dest in transfers:
            try:
                for name, size_bytes, _ in self._system(source).files(source):
                    below = safe_below(name, source) if name and is_local(dest) and not is_local(source) else name
                    yield FileCopy(joined(source, name), joined(dest, below), size_bytes, name)
            except (BatchException, OSError) as error:
                self._fail(source, error)

    def _fail(self, source: str, error: Exception) -> None:
        self._summary.failed.append((shown(source), str(error)))
        self._summary.error = self._summary.error or error

    def _copied(self, item: FileCopy) -> bool:
        try:
            version = self._one(item)
        except (BatchException, OSError) as error:
            with self._lock:
                self._fail(item.source, error)
            return False
        if self._written is not None and version:
            self._written[item.name] = version
        return True

    def _system(self, uri: str) -> FileSystem:
        return file_system(uri, self._access)

    def _one(self, item: FileCopy) -> str:
        source, dest = self._system(item.source), self._system(item.dest)
        if source is dest:
            source.copy(item.source, item.dest)
        elif is_local(item.source):
            return dest.upload(path_of(item.source), item.dest)
        elif is_local(item.dest):
            source.download(item.source, path_of(item.dest), item.size_bytes)
        else:
            return self._through_here(source, dest, item)
        return ""

    def _through_here(self, source: FileSystem, dest: FileSystem, item: FileCopy) -> str:
        with tempfile.TemporaryDirectory(prefix="hail-batch-jupyter-") as folder:
            path = os.path.join(folder, "file")
            source.download(item.source, path)
            return dest.upload(path, item.dest)


class _Busy:
    """Whether this process has kept a processor busy since it was asked last."""

    def __init__(self) -> None:
        self._seen = time.process_time(), time.monotonic()

    def busy(self) -> bool:
        before, self._seen = self._seen, (time.process_time(), time.monotonic())
        return self._seen[0] - before[0] > _BUSY * (self._seen[1] - before[1])


def amount(n_bytes: float) -> str:
    """'1.5 MB'."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"

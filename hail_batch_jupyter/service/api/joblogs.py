"""The log of an attempt: a file of a run directory here, or one of an account that is asked for the parts that are wanted."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, cast

from hail_batch_jupyter.observe.local_port import path_of_log
from hail_batch_jupyter.observe.rundir import ELSEWHERE
from hail_batch_jupyter.observe.running import RunningBatch


class Log(NamedTuple):
    """Of a job by its number in its run, the number of the attempt, and the part of the job."""

    run: RunningBatch
    number: int
    attempt: int
    container: str

    def exists(self) -> bool:
        """Whether there is one that is known of."""
        path = self._path()
        return path.exists() if path is not None else self.size() > 0

    def size(self) -> int:
        """Bytes of it as it is now, 0 where it cannot be asked for."""
        path = self._path()
        return path.stat().st_size if path is not None else self.run.log_size(self.number, self.container, self.attempt)

    def read(self, start: int, n_bytes: int) -> bytes:
        """A part of it."""
        with self.open("rb") as file:
            file.seek(start)
            return file.read(n_bytes)

    def open(self, mode: Literal["rb"]) -> BinaryIO:
        """To be read, and closed by who asked; how long it is is that of this moment."""
        path = self._path()
        return path.open(mode) if path is not None else cast(BinaryIO, _Asked(self))

    def _path(self) -> Path | None:
        """The file here, None for one that is elsewhere."""
        assert self.run.directory is not None
        if (self.run.directory / ELSEWHERE).exists():
            return None
        return path_of_log(self.run.directory, self.number, self.attempt, self.container)


class _Asked(io.RawIOBase):
    """A log that is elsewhere, read by its parts; the size is that of the time when it was opened."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._size = log.size()
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """As many bytes from there on."""
        left = max(0, self._size - self._at)
        wanted = left if size < 0 else min(size, left)
        data = self._log.run.log(self._log.number, self._log.container, self._at, wanted, self._log.attempt) if wanted else b""
        self._at += len(data)
        return data

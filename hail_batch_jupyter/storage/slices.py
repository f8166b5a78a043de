"""A part of a file that reads as if it were a file of its own."""

from __future__ import annotations

import io


class Slice(io.RawIOBase):
    """`length` bytes of the file from `start`; nothing is read before it is asked for."""

    def __init__(self, path: str, start: int, length: int) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed with the slice
        self._start = start
        self._length = length
        self._file.seek(start)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Bytes from the start of the slice."""
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the slice; gives it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._length}[whence]
        self._file.seek(self._start + max(0, min(base + offset, self._length)))
        return self.tell()

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # any writable buffer
        """Fill the buffer as far as the slice goes; gives the number of bytes."""
        rest = self._length - self.tell()
        return self._file.readinto(memoryview(buffer)[:rest]) or 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

"""Empty folders and empty logs of ended jobs, used again for later ones.

Making a folder costs 0.05 to 0.4 ms on ext4, depending on where it looks for a free inode; a rename costs 0.02 ms.
What may still be open in a process that left its job's group must not be given back.
"""

from __future__ import annotations

import os
from contextlib import suppress

_MODE = 0o40700


class Recycler:
    """Keeps what ended jobs left empty."""

    def __init__(self) -> None:
        self._logs: list[str] = []
        self._folders: list[str] = []

    def log(self, path: str) -> None:
        """Make an empty log at `path` if there is one to use again."""
        if self._logs:
            os.rename(self._logs.pop(), path)

    def folder(self, path: str) -> None:
        """Make an empty folder at `path`, which must not exist."""
        if self._folders:
            os.rename(self._folders.pop(), path)
        else:
            os.mkdir(path, 0o700)

    def give_log(self, log: str) -> None:
        """Keep a log if it is empty."""
        with suppress(OSError):
            if os.stat(log).st_size == 0:
                self._logs.append(log)

    def give_folder(self, folder: str) -> None:
        """Keep a folder if it is empty."""
        with suppress(OSError):
            if os.stat(folder).st_mode == _MODE and not os.listdir(folder):
                self._folders.append(folder)

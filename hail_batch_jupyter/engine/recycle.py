"""Empty folders and empty logs of ended jobs, used again for later ones.

Making a file or folder costs 0.02 to 0.4 ms on ext4, depending on where it looks for a free inode; a rename costs 0.02 ms.
What may still be open in a process that left its job's group is not used again before such processes were looked for.
"""

from __future__ import annotations

import os
from collections import deque

REST_S = 0.3
"""Three times the interval at which the executor looks for stray processes."""
_MODE = 0o40700


class Recycler:
    """Keeps what ended jobs left empty; all times are monotonic seconds."""

    def __init__(self) -> None:
        self._logs: deque[tuple[float, str]] = deque()
        self._folders: deque[tuple[float, str]] = deque()

    def log(self, path: str, now: float) -> None:
        """Make an empty log at `path` if there is one to use again."""
        if self._logs and self._logs[0][0] <= now:
            os.rename(self._logs.popleft()[1], path)

    def folder(self, path: str, now: float) -> None:
        """Make an empty folder at `path`, which must not exist."""
        if self._folders and self._folders[0][0] <= now:
            os.rename(self._folders.popleft()[1], path)
        else:
            os.mkdir(path, 0o700)

    def give(self, folder: str, log: str, now: float) -> None:
        """Keep those of the two that are empty."""
        try:
            if os.stat(log).st_size == 0:
                self._logs.append((now + REST_S, log))
            if os.stat(folder).st_mode == _MODE and not os.listdir(folder):
                self._folders.append((now + REST_S, folder))
        except OSError:
            return

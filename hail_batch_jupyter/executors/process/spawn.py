"""Starting one command as the leader of its own session, quickly and whatever the size of the caller."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache

_POSIX_SPAWN = sys.platform == "linux"
"""glibc's posix_spawn has `setsid`; elsewhere Popen starts the session."""

_RESET = [signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGQUIT, signal.SIGXFSZ]


def encode(env: Mapping[str, str]) -> dict[bytes, bytes]:
    """The environment as the system takes it; encoding it anew for each of many jobs would cost 20 µs a job."""
    return {os.fsencode(name): os.fsencode(value) for name, value in env.items()}


def spawn(argv: Sequence[str], env: Mapping[bytes, bytes], directory: str | None, log: str | int, *, stdin: int | None = None, path: str = os.defpath) -> int:
    """Start `argv` in `directory` with both outputs appended to `log`, a path or a descriptor, and an empty or the given stdin; gives its pid.

    `path` is where a program without a folder is looked for.

    With a `directory` the caller must be single-threaded: its own working directory is changed, because posix_spawn cannot set one.
    Raises FileNotFoundError or PermissionError naming the program or the directory when it cannot be started.
    """
    program = argv[0] if os.sep in argv[0] else find_program(argv[0], path)
    log_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600) if isinstance(log, str) else log
    try:
        if directory is not None:
            os.chdir(directory)
        if not _POSIX_SPAWN:
            import subprocess

            source = subprocess.DEVNULL if stdin is None else stdin
            return subprocess.Popen([program, *argv[1:]], env=env, stdin=source, stdout=log_fd, stderr=log_fd, start_new_session=True).pid
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0) if stdin is None else (os.POSIX_SPAWN_DUP2, stdin, 0),
            (os.POSIX_SPAWN_DUP2, log_fd, 1),
            (os.POSIX_SPAWN_DUP2, log_fd, 2),
        ]
        return os.posix_spawn(program, list(argv), env, file_actions=actions, setsid=True, setsigmask=[], setsigdef=_RESET)
    finally:
        if log_fd != log:
            os.close(log_fd)


@lru_cache(maxsize=64)
def find_program(name: str, path: str) -> str:
    """The program that `name` means on `path`.

    Raises FileNotFoundError naming it.
    """
    import shutil

    found = shutil.which(name, path=path)
    if found is None:
        raise FileNotFoundError(2, "not found on PATH", name)
    return found

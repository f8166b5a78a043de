"""What a forked process does before and after it is a Python job."""

from __future__ import annotations

import atexit
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import NoReturn

_RESET = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGQUIT, signal.SIGXFSZ)


def become_job(directory: str, log: str, env: Mapping[str, str]) -> None:
    """Own session, empty stdin, both outputs appended to `log`, own directory and environment, fresh random numbers."""
    os.setsid()
    for number in _RESET:
        signal.signal(number, signal.SIG_DFL)
    empty = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for fd, target in ((empty, 0), (out, 1), (out, 2)):
        os.dup2(fd, target)
    os.close(empty)
    os.close(out)
    os.chdir(directory)
    _set_environment(env)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    faulthandler.enable()
    _reseed()


def _set_environment(env: Mapping[str, str]) -> None:
    """Change only what differs: each change is a call of the system's library."""
    for name in [name for name in os.environ if name not in env]:
        del os.environ[name]
    for name, value in env.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _reseed() -> None:
    """numpy's global generator would give the same numbers in every job (Python's own is reseeded after a fork)."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def leave(status: int) -> NoReturn:
    """End as an interpreter would: wait for threads, run exit functions, flush; then without a way back into the server."""
    try:
        for thread in threading.enumerate():
            if thread is not threading.main_thread() and not thread.daemon:
                thread.join()
        atexit._run_exitfuncs()  # noqa: SLF001 - there is no other way to run them in a forked process
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)

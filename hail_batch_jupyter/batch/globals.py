"""Constants of describing a batch."""

from __future__ import annotations

from functools import cache

DEFAULT_SHELL = "/bin/bash"


@cache
def arg_max() -> int:
    """The most bytes that arguments and environment of a process may have together on this machine."""
    import os

    return os.sysconf("SC_ARG_MAX")

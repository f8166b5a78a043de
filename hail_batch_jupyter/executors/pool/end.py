"""Why a worker of a pool ended, in words with a remedy."""

from __future__ import annotations

import os
import signal

from hail_batch_jupyter.core.events import Usage
from hail_batch_jupyter.core.ports import Outcome, PoolOutcome
from hail_batch_jupyter.core.units import format_bytes
from hail_batch_jupyter.executors.pool.worker import OUTPUT_BYTES

_LINES = 20
_OWN = os.path.dirname(os.path.dirname(__file__)) + os.sep
"""Frames of a crash that tell nobody anything."""
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)


def end_in_words(ended: Outcome, log: str) -> PoolOutcome:
    """What the call of a worker that ended gets: how the worker ended, what helps, and the last lines that it wrote."""
    output = tail(log)
    last = [line for line in output.decode(errors="replace").strip().splitlines() if _OWN not in line][-_LINES:]
    said = "\n".join(["; it had written:", *last]) if last else "; it had written nothing"
    return PoolOutcome("lost", output=output, reason=_cause(ended) + said)


def _cause(ended: Outcome) -> str:
    if ended.exit_code is None:
        return f"its worker process was lost, because {ended.reason}; call it again"
    if ended.exit_code <= 128:
        return f"its worker process ended with exit code {ended.exit_code}; let the function return or raise instead of ending its process"
    name = _signal_name(ended.exit_code - 128)
    if ended.exit_code - 128 == signal.SIGKILL:
        remedy = "as the system does when memory runs out; if so give each call more of it, with a larger cpus_per_job, or smaller pieces of work"
        return f"its worker process was killed by {name}{_peak(ended.usage)}, {remedy}"
    if ended.exit_code - 128 in _CRASHES:
        return f"its worker process crashed ({name}) in compiled code; call the same with smaller data, or another version of the package that it names"
    return f"its worker process was ended by {name}; call it again, or find out who sent the signal"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _peak(usage: Usage | None) -> str:
    return f" (it had {format_bytes(usage.max_rss_bytes)} at its peak)" if usage and usage.max_rss_bytes else ""


def tail(log: str) -> bytes:
    """The end of a log, b'' where there is none."""
    try:
        with open(log, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - OUTPUT_BYTES))
            return file.read()
    except OSError:
        return b""

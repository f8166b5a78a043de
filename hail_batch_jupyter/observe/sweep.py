"""Ending every process that a dead runner has left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Callable

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe import procfs
from hail_batch_jupyter.observe.containers import remove_containers
from hail_batch_jupyter.observe.journal import read_events
from hail_batch_jupyter.observe.slurm_jobs import cancel_jobs, close_queue

TERM_S = 2.0
_KILL_S = 5.0
_PAUSE_S = 0.02
_SAME_START_MS = 3000
"""A leader that started at another time than the journal says is a stranger with a reused number."""


def sweep(directory: Path) -> int:
    """End all processes of the run in `directory`: TERM, two seconds, KILL. Gives how many there were.

    They are known by the sessions that the journal names and, also outside of these, by the run's id in their environment.
    Jobs of Slurm are cancelled when nobody is left who could submit more.
    Containers hear TERM through their clients, and are removed while what an engine keeps beside them still lives.
    """
    close_queue(directory)
    sessions = open_sessions(directory)

    def members() -> Iterable[int]:
        return _members(directory.name, sessions)

    asked = _ask(members, TERM_S)
    remove_containers(directory)
    _kill(members)
    cancel_jobs(directory)
    return asked


def _kill(members: Callable[[], Iterable[int]]) -> None:
    deadline = time.monotonic() + _KILL_S
    while time.monotonic() < deadline:
        left = list(members())
        if not left:
            return
        for pid in left:
            _send(pid, signal.SIGKILL)
        time.sleep(_PAUSE_S)


def _ask(members: Callable[[], Iterable[int]], within_s: float) -> int:
    """Ask each once to end, also one that is seen late, as a process that has just begun is; gives how many there were."""
    asked: set[int] = set()
    deadline = time.monotonic() + within_s
    while left := set(members()):
        for pid in left - asked:
            _send(pid, signal.SIGTERM)
            _send(pid, signal.SIGCONT)  # a stopped process hears nothing else
        asked |= left
        if time.monotonic() >= deadline:
            break
        time.sleep(_PAUSE_S)
    return len(asked)


def open_sessions(directory: Path) -> dict[int, int]:
    """Session -> when its leader was started (ms since the epoch), of every attempt whose end is not written down."""
    sessions: dict[int, tuple[int, int]] = {}
    for event in read_events(directory / "events.jsonl"):
        if event.state is JobState.RUNNING and event.pid:
            sessions[event.job_id] = (event.pid, event.time_ms)
        elif event.state is not None and event.state.complete:
            sessions.pop(event.job_id, None)
    return dict(sessions.values())


def _members(run_id: str, sessions: dict[int, int]) -> Iterable[int]:
    wanted = run_id.encode()
    for pid in procfs.pids():
        facts = procfs.stat(pid)
        if facts is None or facts.zombie or pid == os.getpid():
            continue
        if _in_session(facts.session, sessions) or procfs.environment(pid).get(procfs.RUN_VARIABLE.encode()) == wanted:
            yield pid


def _in_session(session: int, sessions: dict[int, int]) -> bool:
    if session not in sessions:
        return False
    leader = procfs.stat(session)
    return leader is None or abs(procfs.started_ms(leader) - sessions[session]) < _SAME_START_MS


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return

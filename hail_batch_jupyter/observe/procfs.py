"""What /proc says of processes; on systems without it every answer is the careful one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

RUN_VARIABLE = "HAIL_BATCH_JUPYTER_RUN"
"""In the environment of every process of a run: the id of the run."""

ATTEMPT_VARIABLE = "HAIL_BATCH_JUPYTER_ATTEMPT"
"""In the environment of every process of an attempt: '12.1' for the first attempt of job 12."""


class Stat(NamedTuple):
    """Of /proc/PID/stat: parent, session, start time in ticks since boot, and whether it is a zombie."""

    parent: int
    session: int
    ticks: int
    zombie: bool


def stat(pid: int) -> Stat | None:
    """The facts of one process, None if it is gone or the system has no /proc.

    Source: proc(5); the command may hold blanks and parentheses, so fields are counted after the last ')'.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Stat(int(fields[1]), int(fields[3]), int(fields[19]), fields[0] in (b"Z", b"X"))


def start_ticks(pid: int) -> int:
    """Start time of a process in ticks since boot, 0 where it cannot be known."""
    found = stat(pid)
    return found.ticks if found else 0


def started_ms(facts: Stat) -> int:
    """When a process started, in milliseconds since the epoch, to about a second."""
    with open("/proc/stat", "rb") as file:
        booted_s = next(int(line.split()[1]) for line in file if line.startswith(b"btime"))
    return booted_s * 1000 + facts.ticks * 1000 // os.sysconf("SC_CLK_TCK")


def environment(pid: int) -> dict[bytes, bytes]:
    """The environment that a process was started with, {} if it cannot be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = (line.partition(b"=") for line in file.read().split(b"\0"))
            return {name: value for name, _, value in pairs}
    except OSError:
        return {}


def pids() -> Iterator[int]:
    """Numbers of all processes; none where the system has no /proc."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    yield from (int(name) for name in names if name.isdigit())


def processes_of(variable: str, value: str) -> list[int]:
    """Living processes that were started with `variable` set to `value`, this one excepted."""
    wanted = value.encode()
    found = []
    for pid in pids():
        if pid != os.getpid() and environment(pid).get(variable.encode()) == wanted:
            facts = stat(pid)
            if facts and not facts.zombie:
                found.append(pid)
    return found


def boot_id() -> str:
    """Names this boot of this machine, '' where it cannot be known."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def host() -> str:
    """The name of this machine."""
    return os.uname().nodename


def alive(pid: int, ticks: int) -> bool:
    """Whether the process that started at `ticks` still runs; without /proc whether any process has that number."""
    if os.path.exists("/proc/self/stat"):
        facts = stat(pid)
        return facts is not None and not facts.zombie and (not ticks or facts.ticks == ticks)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

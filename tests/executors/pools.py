"""What pools call in tests; workers import this module."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn


def increment(number: int) -> int:
    return number + 1


def facts() -> dict[str, Any]:
    """What a call sees of its process."""
    return {"pid": os.getpid(), "session": os.getsid(0), "cwd": os.getcwd(), "stdin": sys.stdin.read(), "env": dict(os.environ)}


def crash() -> None:
    ctypes.string_at(0)


def leave(code: int) -> NoReturn:
    print("about to leave", flush=True)
    os._exit(code)


def kill_self(number: int) -> None:
    os.kill(os.getpid(), number)


def fail(text: str) -> NoReturn:
    raise KeyError(text)


def hold(folder: str, name: str = "held") -> None:
    """Note this process and two children, one in a session of its own, below `folder`, and stay for ever."""
    children = [subprocess.Popen(["sleep", "1000"]), subprocess.Popen(["sleep", "1000"], start_new_session=True)]
    pids = [os.getpid(), *(child.pid for child in children)]
    part = Path(folder) / f"{name}.part"
    part.write_text(" ".join(map(str, pids)))
    part.rename(Path(folder) / name)
    signal.pause()


def wait_for(path: str) -> str:
    """Come back when the file is there."""
    while not Path(path).exists():
        time.sleep(0.005)
    return path


def alive(pid: int) -> bool:
    """Whether the process is there and not merely waiting to be forgotten."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # it may go between opening and reading
        return False


def pids_in(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()]

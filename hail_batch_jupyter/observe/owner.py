"""Who works on a run directory, and whether he still lives."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from hail_batch_jupyter.observe import procfs

HEARTBEAT_S = 10.0
SILENT_S = 60.0
"""A runner of another host or boot counts as dead after so many seconds without a heartbeat."""


def write_owner(directory: Path, pid: int, guard: int = 0) -> None:
    """Note the process that works on the run; with its guard it replaces an older note in one step, without it gives way to one."""
    facts = {"host": procfs.host(), "boot": procfs.boot_id(), "pid": pid, "ticks": procfs.start_ticks(pid)}
    if guard:
        facts.update(guard=guard, guard_ticks=procfs.start_ticks(guard))
    temporary = directory / f"owner.{os.getpid()}.new"
    temporary.write_text(json.dumps(facts))
    if guard:
        os.replace(temporary, directory / "owner")
        return
    with contextlib.suppress(FileExistsError):  # the runner itself was quicker, and knows more
        os.link(temporary, directory / "owner")
    os.unlink(temporary)


def read_owner(directory: Path) -> dict[str, Any] | None:
    """The note, None when nobody owns the run."""
    try:
        facts = json.loads((directory / "owner").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return facts if isinstance(facts, dict) else None


def beat(directory: Path) -> None:
    """Say that the owner is alive."""
    os.utime(directory / "owner")


def owner_alive(directory: Path) -> bool:
    """Whether the owner lives: asked of the system on his own host and boot, elsewhere by the heartbeat."""
    facts = read_owner(directory)
    if facts is None:
        return False
    if facts["host"] == procfs.host() and facts["boot"] == procfs.boot_id():
        return procfs.alive(facts["pid"], facts["ticks"])
    try:
        age_s = time.time() - (directory / "owner").stat().st_mtime
    except FileNotFoundError:
        return False
    return facts["host"] != procfs.host() and age_s < SILENT_S


def guard_alive(directory: Path) -> bool:
    """Whether the guard of a dead runner on this host is still ending what the runner left."""
    facts = read_owner(directory) or {}
    here = facts.get("host") == procfs.host() and facts.get("boot") == procfs.boot_id()
    return here and "guard" in facts and procfs.alive(facts["guard"], facts["guard_ticks"])


def take_over(directory: Path) -> Path | None:
    """Become the one who closes a dead run: the note under its new name, None if another one was quicker.

    Atomic, also between two hosts of one home. What a closer of this host left that was killed itself is taken up.
    """
    mine = directory / f"owner.dead.{procfs.host()}.{os.getpid()}"
    for note in [directory / "owner", *_left_by_dead(directory)]:
        try:
            os.rename(note, mine)
        except FileNotFoundError:
            continue
        return mine
    return None


def _left_by_dead(directory: Path) -> list[Path]:
    begin = f"owner.dead.{procfs.host()}."
    notes = [path for path in directory.glob("owner.dead.*") if path.name.startswith(begin)]
    return [path for path in notes if not procfs.alive(int(path.name[len(begin) :]), 0)]

"""A lock made of notes, for file systems that have no locks: whoever makes the note with the next number has it.

Relied upon is that of two hosts that `link` the same name one succeeds, which NFS promises, and that both see it then. The note with the highest number is
never removed, so that a host that was slow cannot take a number for the second time and believe that it was the first.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from pathlib import Path
from typing import Callable, Optional

from hail_batch_jupyter.observe import procfs
from hail_batch_jupyter.observe.owner import HEARTBEAT_S, SILENT_S


def take(folder: Path) -> Optional[Callable[[], None]]:
    """What gives the lock in this folder back, None while somebody has it.

    Who has ended has it no longer: of its own host that is asked of the system, of another one it is true after 60 s without a sign of life.
    Raises OSError when the folder cannot be written.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    last = max(_numbers(folder), default=0)
    if last and _held(folder / str(last)):
        return None
    mine = folder / str(last + 1)
    if not _made(mine):
        return None
    if max(_numbers(folder)) > last + 1:  # while this process looked, others had the lock, and removed the older numbers
        os.unlink(mine)
        return None
    for older in _numbers(folder):
        if older <= last:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(folder / str(older))
    return _kept(mine)


def _numbers(folder: Path) -> list[int]:
    return [int(name) for name in os.listdir(folder) if name.isdigit()]


def _held(note: Path) -> bool:
    try:
        text, age_s = note.read_text(), time.time() - note.stat().st_mtime
    except FileNotFoundError:
        return True  # a newer one took its place: look again
    if not text:
        return False
    facts = json.loads(text)
    if facts["host"] == procfs.host():
        return facts["boot"] == procfs.boot_id() and procfs.alive(facts["pid"], facts["ticks"])
    return age_s < SILENT_S


def _made(note: Path) -> bool:
    """Whether this process made the note, whole from the first moment on."""
    facts = {"host": procfs.host(), "boot": procfs.boot_id(), "pid": os.getpid(), "ticks": procfs.start_ticks(os.getpid())}
    whole = note.with_name(f".{os.urandom(8).hex()}")
    whole.write_text(json.dumps(facts))
    try:
        os.link(whole, note)
    except FileExistsError:
        return False
    finally:
        os.unlink(whole)
    return True


def _kept(note: Path) -> Callable[[], None]:
    """Give signs of life until the lock is given back, by making the note empty."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_S):
            os.utime(note)

    beating = threading.Thread(target=beat, name="lock", daemon=True)
    beating.start()

    def release() -> None:
        over.set()
        beating.join()
        os.truncate(note, 0)

    return release

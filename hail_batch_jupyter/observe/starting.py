"""One process at a time looks whether a batch goes on already, and starts it; also among hosts that share the folder of runs."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, Optional

from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.observe import numbered_note, rundir
from hail_batch_jupyter.observe.uploads import OWN

STARTING = "starting"
_LONG_S = 2.0
"""Starting a run on this machine takes 50 ms, by ssh a second and what sending its files takes."""
_PAUSES_S = (0.005, 0.1)

Release = Callable[[], None]


@contextlib.contextmanager
def one_start(batch: str, say: Optional[Callable[[], None]] = None) -> Iterator[None]:
    """Whoever is inside is alone among all that start `batch`, a lineage or the id of a run; '' is alone always.

    Who ends, however, is inside no longer. Waits for whoever is; after 2 s of that `say` is called, once. Not to be nested: two batches may share a lock.
    Raises SubmitError when the folder of runs cannot be written.
    """
    if not batch:
        yield
        return
    release = _wait(_place(batch), say)
    try:
        yield
    finally:
        release()


def _place(batch: str) -> Path:
    """One of 256, so that batches of long ago leave nothing behind."""
    folder = rundir.runs_folder() / OWN / STARTING
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder / hashlib.sha256(batch.encode(errors="surrogateescape")).hexdigest()[:2]


def _wait(place: Path, say: Optional[Callable[[], None]]) -> Release:
    since_s = time.monotonic()
    pause_s, longest_s = _PAUSES_S
    while True:
        try:
            release = _take(place)
        except OSError as error:
            raise _unwritable(place, error) from error
        if release is not None:
            return release
        if say is not None and time.monotonic() - since_s > _LONG_S:
            say()
            say = None
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, longest_s)


def _take(place: Path) -> Optional[Release]:
    """What gives it back, None while somebody else has it.

    The system lets go of a lock whose holder ends. Where the file system has none it is a note that says who holds it.
    """
    fd = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError:  # ENOLCK, ENOSYS and others: NFS without its lock service, Lustre without -o flock
        os.close(fd)
        return numbered_note.take(place.with_suffix(".notes"))

    def release() -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)  # also of a copy in a child that was forked meanwhile
        os.close(fd)

    return release


def _unwritable(place: Path, error: OSError) -> SubmitError:
    return SubmitError(f"the run directory {str(place)!r} cannot be written ({error.strerror}); free space or set {rundir.RUNS_VARIABLE} to a folder that can")

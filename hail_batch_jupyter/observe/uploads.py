"""Files that were sent to a cluster for runs, each under the digest of its content and shared by all that read it: how long they stay there.

Several machines may send to one work directory while a runner there cleans it. So nothing is locked: who wants a file says so first and looks for it then;
who removes one takes it away first and looks then whether somebody has said so meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.retention import DAY_S, Limits, tree_bytes

OWN = ".hbj"
"""Folder below the work directory for what runs share: the zipapp, uploaded files, orders on their way."""
FILES = "files"
"""In it: what was sent, by digest."""
USED = "used"
"""In it: an empty file for each of them, changed when a run was about to use it last."""
_NAMED = re.compile(rf'/{re.escape(OWN)}/{FILES}/([0-9a-f]{{64}})[/"]')
_GOING = ".going-"


class Upload(NamedTuple):
    """One of them, and when it was used last as far as is known (seconds since the epoch)."""

    name: str
    used_s: float


def say_used(own: Path, names: Iterable[str]) -> None:
    """Say that these are wanted, before it is looked whether they are there."""
    (own / USED).mkdir(exist_ok=True)
    for name in names:
        (own / USED / name).touch()


def clean(place: Path, limits: Limits) -> list[str]:
    """Remove uploads of the work directory that no run has used for so long, and the oldest when all take too much room; gives their digests.

    Never one of a run that has not ended, nor one that was wanted within a day: a run is about to begin.
    """
    own, now_s = place / OWN, time.time()
    for left in (own / FILES).glob(f"{_GOING}*"):
        _remove_tree(left)
    free = sorted(_unused(own), key=lambda upload: upload.used_s)
    free = [upload for upload in free if now_s - upload.used_s > DAY_S]
    old = [upload for upload in free if now_s - upload.used_s > limits.age_s]
    if limits.size_bytes != float("inf"):
        total = tree_bytes(str(own / FILES)) - sum(_bytes(own, upload) for upload in old)
        for upload in free[len(old) :]:
            if total <= limits.size_bytes:
                break
            old.append(upload)
            total -= _bytes(own, upload)
    return [upload.name for upload in old if remove(own, upload)]


def remove(own: Path, upload: Upload) -> bool:
    """Remove one, unless somebody has wanted it since it was looked at."""
    path, going = own / FILES / upload.name, own / FILES / f"{_GOING}{upload.name}"
    try:
        path.rename(going)
    except OSError:  # another cleaning was quicker
        return False
    if _used_s(own, upload.name) > upload.used_s:
        try:
            going.rename(path)
        except OSError:  # it has been sent again already
            _remove_tree(going)
        return False
    _remove_tree(going)
    (own / USED / upload.name).unlink(missing_ok=True)
    return True


def _unused(own: Path) -> list[Upload]:
    """Uploads that no run which goes on reads."""
    live: set[str] = set()
    ended: dict[str, float] = {}
    for run in rundir.list_runs():
        named = _named_by(run.directory)
        if run.ended_ms is None:
            live |= named
        else:
            ended.update((name, max(ended.get(name, 0.0), run.ended_ms / 1000)) for name in named)
    names = [name for name in os.listdir(own / FILES) if not name.startswith(".") and name not in live]
    return [Upload(name, max(_used_s(own, name), ended.get(name, 0.0))) for name in names]


def _named_by(directory: Path) -> set[str]:
    try:
        return set(_NAMED.findall((directory / "spec.json").read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return set()


def _used_s(own: Path, name: str) -> float:
    """When somebody wanted it last, else when it came."""
    for path in (own / USED / name, own / FILES / name):
        with contextlib.suppress(OSError):
            return path.stat().st_mtime if path.parent.name == USED else path.lstat().st_ctime
    return 0.0


def _bytes(own: Path, upload: Upload) -> int:
    path = own / FILES / upload.name
    return tree_bytes(str(path)) if path.is_dir() else path.lstat().st_blocks * 512 if path.exists() else 0


def _remove_tree(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

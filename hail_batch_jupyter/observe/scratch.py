"""Where intermediate files lie that are not kept: a folder of each user's own, so that users of one machine do not meet."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from hail_batch_jupyter.errors import SubmitError

_NAME = re.compile(r"batch-\d+")


def own_folder(tmp_dir: str) -> Path:
    """`batch-UID` below `tmp_dir`, made if need be, closed to others.

    Raises SubmitError when it cannot be made, or when what is there is a link or somebody else could write into it:
    a name below /tmp may have been taken by anybody before.
    """
    folder = Path(tmp_dir).absolute() / f"batch-{os.getuid()}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            _check(folder, os.lstat(folder))
    except OSError as error:
        raise SubmitError(f"the scratch folder {str(folder)!r} cannot be written ({error.strerror}); free space or choose another tmp_dir") from error
    return folder


def _check(folder: Path, facts: os.stat_result) -> None:
    if stat.S_ISLNK(facts.st_mode):
        what = "is a link"
    elif not stat.S_ISDIR(facts.st_mode):
        what = "is no folder"
    elif facts.st_uid != os.getuid():
        what = f"belongs to the user {facts.st_uid}"
    elif facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        what = "can be written by others"
    else:
        return
    raise SubmitError(f"the scratch folder {str(folder)!r} {what}, so what lies in it is not safe; remove it, or choose another tmp_dir")


def is_scratch(path: Path) -> bool:
    """Whether that is the folder of one run's intermediate files, which may be removed with it."""
    return path.is_absolute() and (path.name == "scratch" or _NAME.fullmatch(path.parent.name) is not None)

"""A copy of a service's data folder, made while the service works."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from hail_batch_jupyter.errors import ConfigError, StorageError
from hail_batch_jupyter.service.store.database import FILE

_COPIED = ("token", "tokens.json", "files")
_OF_JOBS = ("scratch", "slurm")
"""Folders of a run that its jobs work in, where they lie in the run directory."""


def back_up(data: Path, target: Path) -> Path:
    """Copy all that a service keeps, but not the folders that jobs work in; the copy is there whole or not at all.

    The database comes first: a run that it does not know yet is one that did not begin.
    Raises ConfigError when there is nothing to copy, or something where the copy is to be; StorageError for a file that cannot be copied.
    """
    data, target = data.expanduser().absolute(), target.expanduser().absolute()
    if not (data / FILE).is_file():
        raise ConfigError(f"{str(data)!r} is no data folder of a service; name the one that it told when it started, with --data")
    if target.exists():
        raise ConfigError(f"{str(target)!r} is there already; name a place for a new folder")
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        partial.mkdir(mode=0o700, parents=True)
        _copy_database(data / FILE, partial / FILE)
        for name in _COPIED:
            if (data / name).is_dir():
                _copy_folder(data / name, partial / name)
            elif (data / name).exists():
                shutil.copy2(data / name, partial / name)
        _copy_runs(data / "runs", partial / "runs")
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _copy_runs(source: Path, dest: Path) -> None:
    """The run directories themselves, also of those that lie in a work directory of a cluster, to which there are links."""
    for run in sorted(source.iterdir()) if source.is_dir() else ():
        if run.is_dir():
            _copy_folder(run.resolve(), dest / run.name, _OF_JOBS)


def _copy_folder(source: Path, dest: Path, left_out: tuple[str, ...] = ()) -> None:
    """Files, folders and links, without these names and pipes and the like, of which there is nothing to keep.

    What is removed while it is copied, as runs of deleted batches are, is not missed.
    """

    def ignored(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if name in left_out or not _kept(Path(folder, name))}

    try:
        shutil.copytree(source, dest, symlinks=True, ignore_dangling_symlinks=True, ignore=ignored)
    except shutil.Error as error:
        for path, _, why in error.args[0]:
            if os.path.lexists(path):
                raise StorageError(f"{path!r} cannot be copied ({why}); change who may read it, or free space, and back up again", path) from error
    except FileNotFoundError:
        if source.exists():
            raise


def _kept(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _copy_database(source: Path, dest: Path) -> None:
    """Through the database's own copying, which sees one state of it however much is written meanwhile."""
    dest.touch(mode=0o600)
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old, closing(sqlite3.connect(dest)) as new:
        old.backup(new)

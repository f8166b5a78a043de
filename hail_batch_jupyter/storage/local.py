"""Files of this machine, at paths and URIs such as file:///shared/tmp."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from hail_batch_jupyter.core.ports import Found
from hail_batch_jupyter.errors import MissingFileError, StorageError
from hail_batch_jupyter.storage.uris import path_of


class LocalFiles:
    """The file system of paths and file:// URIs."""

    def write(self, uri: str, data: bytes) -> None:
        """Make or replace a file in one step for its readers."""
        place(path_of(uri), lambda path: Path(path).write_bytes(data))

    def upload(self, path: str, uri: str) -> str:
        """Copy a file, or a folder with all that is in it; links become what they point to. Gives '', for what is written here is looked at."""
        target = path_of(uri)
        for name, _, _ in self.files(path):
            _copy(os.path.join(path, name) if name else path, os.path.join(target, name) if name else target)
        return ""

    def download(self, uri: str, path: str, size_bytes: int | None = None) -> None:
        """Copy one file to `path`, whole or not at all."""
        _copy(path_of(uri), path)

    def copy(self, source: str, dest: str) -> None:
        """Copy one file."""
        _copy(path_of(source), path_of(dest))

    def files(self, uri: str) -> Iterator[Found]:
        """The file at `uri`, under the name '', or all files below it."""
        path = path_of(uri)
        if not os.path.exists(path):
            raise MissingFileError(f"file {path!r} does not exist; make it or mend the path, nothing was started", uri)
        if not os.path.isdir(path):
            yield _found("", path)
            return
        for folder, folders, names in os.walk(path, followlinks=True):
            folders.sort()
            for name in sorted(names):
                inside = os.path.join(folder, name)
                if os.path.isfile(inside):
                    yield _found(os.path.relpath(inside, path), inside)

    def read(self, uri: str) -> bytes:
        """The bytes of a file."""
        try:
            return Path(path_of(uri)).read_bytes()
        except FileNotFoundError as error:
            raise MissingFileError(f"file {uri!r} does not exist; it was never made, or was removed since", uri) from error
        except OSError as error:
            raise StorageError(f"file {uri!r} cannot be read ({error.strerror}); change who may read it", uri) from error

    def exists(self, uri: str) -> bool:
        """Whether a file or folder is there."""
        return os.path.exists(path_of(uri))

    def remove(self, uri: str) -> None:
        """Remove a file, or a folder with all that is in it."""
        path = Path(path_of(uri))
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{uri!r} cannot be removed ({error.strerror}); change who may write there", uri) from error


def place(path: str, fill: Callable[[str], object]) -> None:
    """Make a file in one step for its readers: `fill` writes it under another name beside, and nothing is left when it fails.

    Raises StorageError for what the file system refuses.
    """
    folder = os.path.dirname(path)
    temporary = f"{folder}/.{secrets.token_hex(4)}.part"
    try:
        if not os.path.isdir(folder):
            os.makedirs(folder, exist_ok=True)
        try:
            fill(temporary)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except StorageError:
        raise
    except OSError as error:
        if not error.errno:  # what a network library raises is not about this file
            raise
        raise StorageError(f"file {path!r} cannot be written ({error.strerror}); free space, or choose another place", path) from error


def _copy(source: str, dest: str) -> None:
    if os.path.isdir(dest):
        raise StorageError(f"{dest!r} is a folder, so no file can be written there; name a file in it", dest)
    place(dest, lambda temporary: shutil.copy2(source, temporary))


def _found(name: str, path: str) -> Found:
    facts = os.stat(path)
    return Found(name, facts.st_size, str(facts.st_mtime_ns))

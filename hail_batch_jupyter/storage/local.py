"""Files of this machine, at URIs such as file:///shared/tmp."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from hail_batch_jupyter.errors import MissingFileError, StorageError


class LocalFiles:
    """The file system of file:// URIs."""

    def write(self, uri: str, data: bytes) -> None:
        """Make or replace a file in one step for its readers."""
        self._place(uri, lambda path: path.write_bytes(data))

    def upload(self, path: str, uri: str) -> None:
        """Copy a file, or a folder with all that is in it; links become what they point to."""
        source = Path(path)
        if source.is_dir():
            for found in sorted(source.rglob("*")):
                if found.is_file():
                    self.upload(str(found), f"{uri.rstrip('/')}/{found.relative_to(source)}")
            return
        if not source.exists():
            raise MissingFileError(f"file {path!r} does not exist; make it or mend the path, nothing was started", path)
        self._place(uri, lambda target: shutil.copy(source, target))

    def read(self, uri: str) -> bytes:
        """The bytes of a file."""
        try:
            return path_of(uri).read_bytes()
        except FileNotFoundError as error:
            raise MissingFileError(f"file {uri!r} does not exist; it was never made, or was removed since", uri) from error
        except OSError as error:
            raise StorageError(f"file {uri!r} cannot be read ({error.strerror}); change who may read it", uri) from error

    def exists(self, uri: str) -> bool:
        """Whether a file or folder is there."""
        return path_of(uri).exists()

    def remove(self, uri: str) -> None:
        """Remove a file, or a folder with all that is in it."""
        path = path_of(uri)
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{uri!r} cannot be removed ({error.strerror}); change who may write there", uri) from error

    def _place(self, uri: str, fill: Callable[[Path], object]) -> None:
        path = path_of(uri)
        temporary = path.with_name(f".{secrets.token_hex(4)}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                fill(temporary)
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"file {uri!r} cannot be written ({error.strerror}); free space, or choose another remote_tmpdir", uri) from error


def path_of(uri: str) -> Path:
    """The path in a file:// URI."""
    return Path(uri[len("file://") :])

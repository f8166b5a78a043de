"""The storage that the service brings: a folder for each user, in which files appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from hail_batch_jupyter.service import folders
from hail_batch_jupyter.service.api.refusal import Refusal, not_found

SCHEME = "hbj://"
_UPLOAD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FRESH_S = 10.0
_OLD_S = 86_400.0
_ABANDONED_S = 3_600.0
"""An upload of which so long nothing came takes no room that is needed for another."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Part(NamedTuple):
    """Where the bytes of one request belong: from `offset` in an upload of `size` bytes; `sha256` of all comes with the last."""

    upload: str
    offset: int
    size: int
    sha256: str


class Shelf:
    """Files of all users below `files` of the data folder; every method may be called from any thread.

    owner        whose folder may have links that lead out of it: who started the service could read those files anyway
    quota_bytes  no user may keep more, None for no limit
    """

    def __init__(self, data: Path, owner: str, quota_bytes: int | None = None) -> None:
        self.root = data / "files"
        self._uploads = data / "uploads"
        self.owner = owner
        self.quota_bytes = quota_bytes
        self._lock = threading.Lock()
        self._used: dict[str, tuple[float, int]] = {}
        self._added: Counter[str] = Counter()
        self._coming: dict[tuple[str, str], int] = {}
        for folder in (self.root, self._uploads):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._remove_old(_OLD_S)
        self._coming = {(path.parent.name, path.name): path.stat().st_size for path in self._uploads.glob("*/*")}

    # places

    def path(self, user: str, address: str) -> Path:
        """Where 'USER/FILE', also with hbj:// before it, lies for this user.

        Raises Refusal for another user's file, and for a path that leads out of the folder.
        """
        owner, _, inside = address.removeprefix(SCHEME).rstrip("/").partition("/")
        if owner != user:
            raise Refusal(403, f"{SCHEME}{owner} is not yours; your files are at {SCHEME}{user}")
        if any(part in ("", ".", "..") for part in inside.split("/") if inside) or "\0" in inside:
            raise Refusal(400, f"{address!r} is no good path; write {SCHEME}{user}/folder/file, without '..' and empty parts")
        found = self.root / user / inside if inside else self.root / user
        if user != self.owner and not Path(os.path.realpath(found)).is_relative_to(os.path.realpath(self.root / user)):
            raise Refusal(403, f"{address!r} is a link that leads out of your files; name a file")
        return found

    def file(self, user: str, address: str) -> Path:
        """A file that is there."""
        path = self.path(user, address)
        with _refused(address):
            if path.is_dir():
                raise Refusal(400, f"{address!r} is a folder; name a file in it")
            if not path.is_file():
                raise not_found(f"there is no file {address!r}")
        return path

    # reading

    def found(self, user: str, address: str) -> list[tuple[str, int, str]]:
        """(name below, bytes, version) of the file, whose name is '', or of all files of the folder."""
        path, links = self.path(user, address), user == self.owner
        with _refused(address):
            if path.is_file():
                return [("", *_facts(path, links=links))]
            if not path.is_dir():
                raise not_found(f"there is no file {address!r}")
            return [(str(each.relative_to(path)), *_facts(each, links=links)) for each in folders.files_below(path, links=links)]

    def folder(self, user: str, address: str, after: str, most: int) -> tuple[list[folders.Entry], bool]:
        """Up to `most` entries of a folder with names behind `after`, and whether there are more; a user who has no files yet has an empty one."""
        path = self.path(user, address)
        if path == self.root / user and not path.exists():
            return [], False
        with _refused(address):
            return folders.listed(path, after, most, links=user == self.owner)

    def used_bytes(self, user: str) -> int:
        """What the files of a user take, as it was some seconds ago, with what was written here since."""
        with self._lock:
            counted_s, before = self._used.get(user, (float("-inf"), 0))
            added = self._added[user]
        if time.monotonic() - counted_s < _FRESH_S:
            return before + added
        links = user == self.owner
        n_bytes = sum(_facts(each, links=links)[0] for each in folders.files_below(self.root / user, links=links))
        with self._lock:
            self._used[user] = (time.monotonic(), n_bytes - added)  # what came meanwhile counts, whether it was seen or not
            return n_bytes - added + self._added[user]

    # writing

    def write(self, user: str, address: str, data: bytes) -> None:
        """Make or replace a file."""
        target = self._target(user, address)
        with _refused(address), self._new_file(user, len(data)) as temporary:
            temporary.write_bytes(data)
            self._put(user, temporary, target)

    def write_part(self, user: str, address: str, data: bytes, part: Part) -> None:
        """Add to an upload; the last part makes or replaces the file. The same part again changes nothing."""
        if not _UPLOAD.fullmatch(part.upload):
            raise Refusal(400, f"upload {part.upload!r} is no name; take 1 to 64 letters and digits")
        if not 0 <= part.offset <= part.offset + len(data) <= part.size:
            raise Refusal(400, f"{len(data)} bytes from {part.offset} on do not fit in {part.size} bytes")
        target = self._target(user, address)
        upload, last = self._upload(user, part.upload), part.offset + len(data) == part.size
        with _refused(address):
            there = upload.stat().st_size if upload.exists() else 0
            if last and not there and part.offset and target.is_file() and _digest(target) == part.sha256:
                return
            if there < part.offset:
                raise Refusal(400, f"upload {part.upload} has {there} bytes, and this part begins at {part.offset}; send the parts in their order")
            self._claim(user, part.upload, part.size)
            with open(upload, "r+b" if there else "wb") as file:
                file.seek(part.offset)
                file.write(data)
            if last:
                self._finish(user, upload, target, part)

    def _finish(self, user: str, upload: Path, target: Path, part: Part) -> None:
        if upload.stat().st_size != part.size or _digest(upload) != part.sha256:
            upload.unlink()
            self._give_up(user, part.upload)
            raise Refusal(400, f"upload {part.upload} is not what was sent: the checksum differs; send the file again")
        self._put(user, upload, target)

    def copy(self, user: str, source: str, dest: str) -> None:
        """Copy one file of a user."""
        path = self.file(user, source)
        target = self._target(user, dest)
        with _refused(dest), self._new_file(user, path.stat().st_size) as temporary:
            shutil.copyfile(path, temporary)
            self._put(user, temporary, target)

    def remove(self, user: str, address: str) -> None:
        """Remove a file, or a folder with all that is in it; again does nothing more."""
        path = self.removable(user, address)
        with _refused(address):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        with self._lock:
            if user in self._used:
                self._used[user] = (float("-inf"), self._used[user][1])  # to be counted again

    def removable(self, user: str, address: str) -> Path:
        """Where a file or folder is that may be removed: any but that with all of the user's files."""
        path = self.path(user, address)
        if path == self.root / user:
            raise Refusal(400, f"{address!r} is all that you have; name a folder in it")
        return path

    # parts of these

    def _target(self, user: str, address: str) -> Path:
        """Where a file may be written."""
        path = self.path(user, address)
        with _refused(address):
            if path == self.root / user or path.is_dir():
                raise Refusal(400, f"{address!r} is a folder; name a file in it")
        return path

    @contextmanager
    def _new_file(self, user: str, n_bytes: int) -> Iterator[Path]:
        """A place for a file of that size on its way, for which there is room."""
        name = secrets.token_hex(16)
        self._claim(user, name, n_bytes)
        path = self._upload(user, name)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)
            self._give_up(user, name)

    def _claim(self, user: str, name: str, n_bytes: int) -> None:
        """Keep room for a file on its way, so that many at once get no more than there is. Raises Refusal where there is too little."""
        if self.quota_bytes is None or self._claimed(user, name, n_bytes):
            return
        self._remove_old(_ABANDONED_S)
        if not self._claimed(user, name, n_bytes):
            keeps = f"you keep {self.used_bytes(user)} of {self.quota_bytes}, with others on their way"
            raise Refusal(413, f"{n_bytes} bytes more are over your quota: {keeps}; remove files that you do not need")

    def _claimed(self, user: str, name: str, n_bytes: int) -> bool:
        """Whether there is room, which is kept then."""
        self.used_bytes(user)
        with self._lock:
            coming = sum(each for (of, upload), each in self._coming.items() if of == user and upload != name)
            _, before = self._used.get(user, (0.0, 0))
            fits = not n_bytes or before + self._added[user] + coming + n_bytes <= (self.quota_bytes or 0)
            if fits:
                self._coming[user, name] = n_bytes
            return fits

    def _give_up(self, user: str, name: str) -> None:
        """Keep no more room for a file that is there, or does not come."""
        with self._lock:
            self._coming.pop((user, name), None)

    def _upload(self, user: str, name: str) -> Path:
        folder = self._uploads / user
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / name

    def _put(self, user: str, temporary: Path, target: Path) -> None:
        """Let a file appear in its place."""
        n_bytes = temporary.stat().st_size
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock:
            more = n_bytes - _facts(target, links=False)[0]
            os.replace(temporary, target)
            self._added[user] += more
            self._coming.pop((user, temporary.name), None)

    def _remove_old(self, old_s: float) -> None:
        """What was begun so long ago and is not finished."""
        for path in self._uploads.glob("*/*"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > old_s:
                    path.unlink()
                    self._give_up(path.parent.name, path.name)


def part_of(query: Mapping[str, str]) -> Part | None:
    """The part that a request brings, None for a whole file."""
    if "upload" not in query:
        return None
    numbers = [query.get(key, "") for key in ("offset", "size")]
    if not all(text.isascii() and text.isdigit() and len(text) <= 18 for text in numbers):
        raise Refusal(400, "offset and size of an upload are no numbers; send both with every part")
    return Part(query["upload"], int(numbers[0]), int(numbers[1]), query.get("sha256", ""))


@contextmanager
def _refused(address: str) -> Iterator[None]:
    """What the file system does not do, as a refusal."""
    try:
        yield
    except FileNotFoundError as error:
        raise not_found(f"there is no file {address!r}") from error
    except OSError as error:
        raise Refusal(413 if error.errno in _FULL else 400, f"{address!r} cannot be used: {error.strerror}") from error


def _facts(path: Path, *, links: bool) -> tuple[int, str]:
    try:
        facts = path.stat(follow_symlinks=links)
    except OSError:  # removed since it was listed, or a link to nothing
        return 0, ""
    return facts.st_size, f"{facts.st_mtime_ns}-{facts.st_ino}"


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Files in the storage of a batch service of our own, at hbj://USER/FILE."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from hail_batch_jupyter.client import calls
from hail_batch_jupyter.client.session import Service
from hail_batch_jupyter.core.ports import Found
from hail_batch_jupyter.errors import MissingFileError, ServiceError, StorageError
from hail_batch_jupyter.storage.local import LocalFiles, place
from hail_batch_jupyter.storage.uris import joined

PART_BYTES = 4 << 20
_SCHEME = "hbj://"
T = TypeVar("T")


def service_of_settings() -> Service:
    """The service that settings and environment name, which has the files of every hbj:// address."""
    from hail_batch_jupyter.client.auth import headers_of
    from hail_batch_jupyter.client.transport import Transport
    from hail_batch_jupyter.config.deploy import deployment

    where = deployment()
    return Service(Transport(where.base_url(), headers_of(None, where)))


def service_of_run(told: Mapping[str, str]) -> Service:
    """The service that a run is of, asked with what the run was given for it: `url`, `token` and `certificate`."""
    from hail_batch_jupyter.client.plain import PlainTransport

    return Service(PlainTransport(told["url"], told["token"], told["certificate"]))


class ServiceFiles:
    """The file system of hbj:// addresses. Large files go in parts, and are there when the last one is and the checksum fits."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def write(self, uri: str, data: bytes) -> None:
        """Make or replace a file."""
        if len(data) <= PART_BYTES:
            self._send_call(uri, calls.write_file(_path(uri), data))
        else:
            self._send(uri, len(data), (data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES)))

    def upload(self, path: str, uri: str) -> str:
        """Copy a file, or a folder with all that is in it; gives '', for the service tells no version."""
        for name, size_bytes, _ in LocalFiles().files(path):
            self._upload(os.path.join(path, name) if name else path, joined(uri, name), size_bytes)
        return ""

    def _upload(self, path: str, uri: str, size_bytes: int) -> None:
        with open(path, "rb") as file:
            if size_bytes <= PART_BYTES:
                self.write(uri, file.read())
            else:
                self._send(uri, size_bytes, iter(lambda: file.read(PART_BYTES), b""))

    def _send(self, uri: str, size_bytes: int, parts: Iterator[bytes]) -> None:
        name, digest, start = secrets.token_hex(8), hashlib.sha256(), 0
        for data in parts:
            digest.update(data)
            part = {"upload": name, "offset": str(start), "size": str(size_bytes)}
            start += len(data)
            if start == size_bytes:
                part["sha256"] = digest.hexdigest()
            self._send_call(uri, calls.write_part(_path(uri), data, part))
        if start != size_bytes:
            raise StorageError(f"{uri!r} was not written: the file changed while it was copied; copy it again", uri)

    def download(self, uri: str, path: str, size_bytes: int | None = None) -> None:
        """Copy one file to a path of this machine."""
        version = self._file(uri)

        def fetch(temporary: str) -> None:
            with open(temporary, "wb") as file:
                for data in self._parts(uri, version.size_bytes):
                    file.write(data)
            if self._file(uri) != version:
                raise StorageError(f"{uri!r} changed while it was copied; copy it again", uri)

        place(path, fetch)

    def copy(self, source: str, dest: str) -> None:
        """Copy one file, which the service does."""
        self._send_call(source, calls.copy_file(_path(source), _path(dest)))

    def files(self, uri: str) -> Iterator[Found]:
        """The file at `uri`, under the name '', or all files below it."""
        for name, size_bytes, version in self._ask(uri, lambda: self._service.json(calls.list_files(_path(uri)))):
            yield Found(name, size_bytes, version)

    def read(self, uri: str) -> bytes:
        """The bytes of a file."""
        return b"".join(self._parts(uri, self._file(uri).size_bytes))

    def exists(self, uri: str) -> bool:
        """Whether a file or folder is there."""
        try:
            next(self.files(uri), None)
        except MissingFileError:
            return False
        return True

    def remove(self, uri: str) -> None:
        """Remove a file, or a folder with all that is in it."""
        self._send_call(uri, calls.remove_files(_path(uri)))

    # how

    def _file(self, uri: str) -> Found:
        found = next((each for each in self.files(uri) if not each.name), None)
        if found is None:
            raise StorageError(f"{uri!r} is a folder; name a file in it", uri)
        return found

    def _parts(self, uri: str, size_bytes: int) -> Iterator[bytes]:
        for start in range(0, size_bytes, PART_BYTES):
            yield self._send_call(uri, calls.read_file(_path(uri), start, min(PART_BYTES, size_bytes - start)))

    def _send_call(self, uri: str, call: calls.Call) -> bytes:
        return self._ask(uri, lambda: self._service.transport.send(call))

    @staticmethod
    def _ask(uri: str, work: Callable[[], T]) -> T:
        try:
            return work()
        except ServiceError as error:
            if error.status == 404:
                raise MissingFileError(f"file {uri!r} does not exist at the batch service; it was never made, or was removed since", uri) from error
            raise StorageError(f"{uri!r}: {error}", uri) from error


def _path(uri: str) -> str:
    return uri.removeprefix(_SCHEME)

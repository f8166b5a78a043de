"""Objects of Google Cloud Storage, at URIs such as gs://bucket/folder/file."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from hail_batch_jupyter.core.ports import Found
from hail_batch_jupyter.errors import MissingFileError, StorageError
from hail_batch_jupyter.storage import gcs_parts
from hail_batch_jupyter.storage.access import Access
from hail_batch_jupyter.storage.again import persistently
from hail_batch_jupyter.storage.gcs_client import Client, is_transient
from hail_batch_jupyter.storage.gcs_media import Named, crc32c_of, pieces_of
from hail_batch_jupyter.storage.local import LocalFiles, place
from hail_batch_jupyter.storage.uris import bucket_and_name, joined

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Bucket

_READ_BYTES = 1 << 20
"""Files up to here are read once, for their checksum and to be sent."""
_LISTED = "items(name,size,generation),nextPageToken"
T = TypeVar("T")


class GcsFiles:
    """The file system of gs:// URIs. Bytes are checked against the checksum of the store, both ways."""

    def __init__(self, access: Access = Access()) -> None:  # noqa: B008 - a frozen value
        self._access = access
        self._lock = threading.Lock()
        self._client: Client | None = None

    def write(self, uri: str, data: bytes) -> None:
        """Make or replace an object."""
        what = self._named(uri)
        self._ask(uri, "written", lambda: self._client_now().media.put(what, len(data), crc32c_of([data]), lambda: iter((data,))))

    def upload(self, path: str, uri: str) -> str:
        """Copy a file; gives the generation of the object. A folder is copied with all that is in it, and gives ''."""
        if os.path.isfile(path):
            what = self._named(uri)
            return self._ask(uri, "written", lambda: self._upload(path, what))
        for name, _, _ in LocalFiles().files(path):
            self.upload(os.path.join(path, name), joined(uri, name))
        return ""

    def download(self, uri: str, path: str, size_bytes: int | None = None) -> None:
        """Copy one object to a file."""
        what = self._named(uri)

        def fetch(temporary: str) -> None:
            small = (size_bytes or 0) < gcs_parts.PARTS_FROM_BYTES
            if not (small and self._client_now().media.get(what, partial(_keep, temporary), gcs_parts.PARTS_FROM_BYTES)):
                self._download_parts(uri, temporary)

        self._ask(uri, "read", lambda: place(path, fetch))

    def copy(self, source: str, dest: str) -> None:
        """Copy one object within the store; its bytes do not come here."""

        def rewrite() -> None:
            token, target, origin = None, self._blob(dest), self._blob(source)
            while True:
                token, _, _ = target.rewrite(origin, token=token)
                if token is None:
                    return

        self._ask(source, f"copied to {dest!r}", rewrite)

    def files(self, uri: str) -> Iterator[Found]:
        """The object at `uri`, under the name '', or all objects below it."""
        bucket, name = bucket_and_name(uri)
        if name and not uri.endswith("/"):
            blob = self._ask(uri, "read", lambda: self._bucket(bucket).get_blob(name))
            if blob is not None:
                yield Found("", blob.size, str(blob.generation))
                return
        there = False
        for blob in self._list(uri, bucket, name):
            there = True
            inside = blob.name[len(name) + 1 :] if name else blob.name
            if inside and not inside.endswith("/"):  # some tools mark folders by empty objects
                yield Found(inside, blob.size, str(blob.generation))
        if not there:
            raise _missing(uri)

    def read(self, uri: str) -> bytes:
        """The bytes of an object."""
        data: bytes = self._ask(uri, "read", lambda: self._blob(uri).download_as_bytes(checksum="crc32c"))
        return data

    def exists(self, uri: str) -> bool:
        """Whether there is an object, or one below."""
        return next(iter(self._found(uri)), None) is not None

    def remove(self, uri: str) -> None:
        """Remove an object, and all that are below it.

        Raises StorageError for a whole bucket.
        """
        from concurrent.futures import ThreadPoolExecutor

        bucket, name = bucket_and_name(uri)
        if not name:
            raise StorageError(f"{uri!r} is a whole bucket, which is never removed from here; name a folder in it", uri)
        blobs = [self._bucket(bucket).blob(name), *self._list(uri, bucket, name)]
        with ThreadPoolExecutor(8) as pool:
            for _ in pool.map(lambda blob: self._ask(uri, "removed", lambda: _delete(blob)), blobs):
                pass

    def storage_class(self, uri: str) -> str | None:
        """The class that new objects of the bucket get, such as 'NEARLINE'; where that is not told, the class of an object at or below `uri`; None if unknown.

        Raises MissingFileError for a bucket that is not there, StorageError when the store does not answer.
        """
        from google.api_core.exceptions import Forbidden, Unauthorized

        bucket, name = bucket_and_name(uri)

        def ask() -> str | None:
            google = self._client_now().google
            try:
                return str(google.get_bucket(self._bucket(bucket)).storage_class)
            except (Forbidden, Unauthorized):
                found = next(iter(google.list_blobs(self._bucket(bucket), prefix=name, max_results=1)), None)
                return None if found is None else str(found.storage_class)

        return self._ask(uri, "looked at", ask)

    # how

    def _upload(self, path: str, what: Named) -> str:
        with open(path, "rb", buffering=0) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes < gcs_parts.PARTS_FROM_BYTES:
                return self._upload_whole(file.fileno(), size_bytes, what)
        return gcs_parts.upload(path, self._bucket(what.bucket).blob(what.name), self._client_now())

    def _upload_whole(self, fd: int, size_bytes: int, what: Named) -> str:
        if size_bytes <= _READ_BYTES:
            data = os.read(fd, size_bytes + 1)
            return self._client_now().media.put(what, len(data), crc32c_of([data]), lambda: iter((data,)))
        crc32c = crc32c_of(pieces_of(fd, 0, size_bytes))
        return self._client_now().media.put(what, size_bytes, crc32c, lambda: pieces_of(fd, 0, size_bytes))

    def _download_parts(self, uri: str, temporary: str) -> None:
        blob = self._blob(uri)
        blob.reload()
        if (blob.size or 0) >= gcs_parts.PARTS_FROM_BYTES and not blob.content_encoding:
            gcs_parts.download(blob, temporary)
        else:
            blob.download_to_filename(temporary, checksum="crc32c")

    def _found(self, uri: str) -> Iterator[Found]:
        try:
            yield from self.files(uri)
        except MissingFileError:
            return

    def _client_now(self) -> Client:
        with self._lock:
            if self._client is None:
                self._client = Client(self._access.key_file)
            return self._client

    def _bucket(self, bucket: str) -> Bucket:
        return self._client_now().google.bucket(bucket, user_project=self._access.payer(bucket))

    def _named(self, uri: str) -> Named:
        bucket, name = bucket_and_name(uri)
        if not name:
            raise StorageError(f"{uri!r} is a bucket and no file; write {uri.rstrip('/')}/FILE", uri)
        return Named(bucket, name, self._access.payer(bucket))

    def _blob(self, uri: str) -> Blob:
        what = self._named(uri)
        return self._bucket(what.bucket).blob(what.name)

    def _list(self, uri: str, bucket: str, name: str) -> Iterator[Blob]:
        """The objects below, a page at a time, each of which is asked for again by itself."""
        token = None
        while True:
            blobs, token = self._ask(uri, "listed", partial(self._page, bucket, f"{name}/" if name else None, token))
            yield from blobs
            if not token:
                return

    def _page(self, bucket: str, prefix: str | None, token: str | None) -> tuple[list[Blob], str | None]:
        pages = self._client_now().google.list_blobs(self._bucket(bucket), prefix=prefix, page_token=token, fields=_LISTED)
        return list(next(pages.pages, ())), pages.next_page_token

    def _ask(self, uri: str, done: str, action: Callable[[], T]) -> T:
        """What the action gives, tried again where the store or the network is at fault, errors told as this package's."""
        try:
            return persistently(action, is_transient)
        except StorageError:
            raise
        except Exception as error:
            raise self._told(uri, done, error) from error

    def _told(self, uri: str, done: str, error: Exception) -> Exception:
        code = getattr(error, "code", None)
        if code == 404:
            return _missing(uri)
        return StorageError(f"{uri!r} cannot be {done} ({_reason(error)}); {self._remedy(uri, code, str(error))}", uri)

    def _remedy(self, uri: str, code: Any, words: str) -> str:
        bucket = bucket_and_name(uri)[0]
        if code == 400 and "requester pays" in words:
            return f"say who pays for bucket {bucket!r}: hail-batch-jupyter config set gcs_requester_pays/project PROJECT"
        if code in (401, 403):
            who = self._client_now().who
            return f"you ask as {who}; log in with `gcloud auth application-default login`, or ask the owner of the bucket for access"
        return "try again later" if code is None or code >= 500 else "mend the address"


def _reason(error: Exception) -> str:
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    return str(message).partition("\n")[0][:300]


def _missing(uri: str) -> MissingFileError:
    return MissingFileError(f"{uri!r} does not exist; mend the address, or make the file first", uri)


def _keep(path: str, pieces: Iterator[bytes]) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        for data in pieces:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(fd, rest) :]
    finally:
        os.close(fd)


def _delete(blob: Blob) -> None:
    from google.api_core.exceptions import NotFound

    try:
        blob.delete()
    except NotFound:
        return

"""Blobs of Azure, at addresses such as https://ACCOUNT.blob.core.windows.net/CONTAINER/folder/file, with or without a token behind a '?'."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import unquote

from hail_batch_jupyter.core.ports import Found
from hail_batch_jupyter.errors import MissingFileError, MissingPackageError, StorageError
from hail_batch_jupyter.storage.again import persistently
from hail_batch_jupyter.storage.local import LocalFiles, place
from hail_batch_jupyter.storage.uris import joined, shown

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient

ENDPOINT = "HAIL_BATCH_AZURE_ENDPOINT"
"""Where accounts are asked instead of at Azure, with {account} in it: for emulators and private networks."""
_PART_BYTES = 4 << 20
_THREADS = 4
_HOST = ".blob.core.windows.net"
T = TypeVar("T")


class Place(NamedTuple):
    """An address taken apart; `name` is '' for a container."""

    account: str
    container: str
    name: str
    token: str


class AzureFiles:
    """The file system of Azure's blob storage. Every part carries a checksum, and a blob appears when all are there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._credential: Any = None

    def write(self, uri: str, data: bytes) -> None:
        """Make or replace a blob."""
        self._ask(uri, "written", lambda: self._blob(uri).upload_blob(data, overwrite=True, validate_content=True))

    def upload(self, path: str, uri: str) -> str:
        """Copy a file; gives the tag of the blob. A folder is copied with all that is in it, and gives ''."""
        if os.path.isfile(path):
            return self._ask(uri, "written", partial(self._send, path, uri))
        for name, _, _ in LocalFiles().files(path):
            self.upload(os.path.join(path, name), joined(uri, name))
        return ""

    def download(self, uri: str, path: str, size_bytes: int | None = None) -> None:
        """Copy one blob to a file."""

        def fetch(temporary: str) -> None:
            with open(temporary, "wb") as file:
                self._blob(uri).download_blob(max_concurrency=_THREADS, validate_content=True).readinto(file)

        self._ask(uri, "read", lambda: place(path, fetch))

    def copy(self, source: str, dest: str) -> None:
        """Copy one blob by way of this machine: the two may be of different accounts, with tokens of their own."""
        with tempfile.TemporaryDirectory(prefix="hail-batch-jupyter-") as folder:
            path = os.path.join(folder, "file")
            self.download(source, path)
            self.upload(path, dest)

    def files(self, uri: str) -> Iterator[Found]:
        """The blob at `uri`, under the name '', or all blobs below it."""
        found = place_of(uri)
        if found.name and not shown(uri).endswith("/"):
            blob = self._ask(uri, "read", lambda: self._properties(uri))
            if blob is not None:
                yield Found("", blob.size, _tag(blob.etag))
                return
        there = False
        for blob in self._list(uri, found):
            there = True
            inside = blob.name[len(found.name) + 1 :] if found.name else blob.name
            if inside and not inside.endswith("/"):
                yield Found(inside, blob.size, _tag(blob.etag))
        if not there:
            raise _missing(uri)

    def read(self, uri: str) -> bytes:
        """The bytes of a blob."""
        data: bytes = self._ask(uri, "read", lambda: self._blob(uri).download_blob(validate_content=True).readall())
        return data

    def exists(self, uri: str) -> bool:
        """Whether there is a blob, or one below."""
        try:
            return next(iter(self.files(uri)), None) is not None
        except MissingFileError:
            return False

    def remove(self, uri: str) -> None:
        """Remove a blob, and all that are below it.

        Raises StorageError for a whole container.
        """
        from concurrent.futures import ThreadPoolExecutor

        found = place_of(uri)
        if not found.name:
            raise StorageError(f"{shown(uri)!r} is a whole container, which is never removed from here; name a folder in it", shown(uri))
        names = [found.name, *(blob.name for blob in self._list(uri, found))]
        with ThreadPoolExecutor(8) as pool:
            for _ in pool.map(lambda name: self._ask(uri, "removed", lambda: self._delete(found, name)), names):
                pass

    # how

    def _send(self, path: str, uri: str) -> str:
        with open(path, "rb") as file:
            return _tag(self._blob(uri).upload_blob(file, overwrite=True, validate_content=True, max_concurrency=_THREADS).get("etag"))

    def _container(self, found: Place) -> ContainerClient:
        try:
            from azure.storage.blob import ContainerClient
        except ImportError as error:
            raise MissingPackageError("files in Azure's blob storage need a package that is not installed; pip install 'hail-batch-jupyter[azure]'") from error
        url = os.environ.get(ENDPOINT, f"https://{{account}}{_HOST}").format(account=found.account)
        sizes: dict[str, Any] = dict.fromkeys(("max_block_size", "max_single_put_size", "max_chunk_get_size", "max_single_get_size"), _PART_BYTES)
        return ContainerClient(url, found.container, credential=found.token or self._own_credential(), **sizes)

    def _own_credential(self) -> Any:
        """The account's key where the environment has it, else what logging in to Azure left."""
        with self._lock:
            if self._credential is None:
                self._credential = os.environ.get("AZURE_STORAGE_KEY") or _logged_in()
            return self._credential

    def _blob(self, uri: str) -> BlobClient:
        found = place_of(uri)
        if not found.name:
            raise StorageError(f"{shown(uri)!r} is a container and no file; write {shown(uri).rstrip('/')}/FILE", shown(uri))
        return self._container(found).get_blob_client(found.name)

    def _properties(self, uri: str) -> Any:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return self._blob(uri).get_blob_properties()
        except ResourceNotFoundError:
            return None

    def _list(self, uri: str, found: Place) -> Iterator[Any]:
        """The blobs below, a page at a time, each of which is asked for again by itself."""
        token = None
        while True:
            blobs, token = self._ask(uri, "listed", partial(self._page, found, token))
            yield from blobs
            if not token:
                return

    def _page(self, found: Place, token: str | None) -> tuple[list[Any], str | None]:
        pages = self._container(found).list_blobs(name_starts_with=f"{found.name}/" if found.name else None).by_page(token)
        return list(next(pages, ())), pages.continuation_token  # type: ignore[attr-defined]  # of the pages that this library gives

    def _delete(self, found: Place, name: str) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            self._container(found).get_blob_client(name).delete_blob()
        except ResourceNotFoundError:
            return

    def _ask(self, uri: str, done: str, action: Callable[[], T]) -> T:
        """What the action gives, tried again where the network is at fault; what is told has no token."""
        try:
            return persistently(action, _is_transient)
        except (StorageError, MissingPackageError):
            raise
        except Exception as error:  # noqa: BLE001 - every error may hold the whole address
            raise _told(uri, done, error) from None


def place_of(uri: str) -> Place:
    """The parts of an address.

    Raises StorageError for one without container.
    """
    address, _, token = uri.partition("?")
    host, _, path = address[len("https://") :].partition("/")
    container, _, name = path.partition("/")
    if not host.endswith(_HOST) or not container:
        raise StorageError(f"{address!r} names no container; write https://ACCOUNT{_HOST}/CONTAINER/FILE", address)
    return Place(host[: -len(_HOST)], container, unquote(name).rstrip("/"), token)


def _tag(etag: Any) -> str:
    """The tag of a blob, which answers quote and lists do not."""
    return str(etag or "").strip('"')


def _logged_in() -> Any:
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise MissingPackageError("logging in to Azure needs a package that is not installed; pip install 'hail-batch-jupyter[azure]'") from error
    return DefaultAzureCredential()


def _is_transient(error: Exception) -> bool:
    from azure.core.exceptions import HttpResponseError, IncompleteReadError, ServiceRequestError, ServiceResponseError

    if isinstance(error, HttpResponseError):
        return error.status_code in (408, 429, 500, 502, 503, 504) or isinstance(error, IncompleteReadError)
    return isinstance(error, (ServiceRequestError, ServiceResponseError))


def _told(uri: str, done: str, error: Exception) -> StorageError:
    status = getattr(error, "status_code", None)
    if status == 404:
        return _missing(uri)
    reason = str(getattr(error, "error_code", None) or getattr(error, "reason", None) or type(error).__name__)
    if status in (401, 403):
        remedy = "give an address with a token (SAS) that allows it, or log in with `az login`"
    else:
        remedy = "mend the address" if status is not None and status < 500 else "try again later"
    return StorageError(f"{shown(uri)!r} cannot be {done} ({reason}); {remedy}", shown(uri))


def _missing(uri: str) -> MissingFileError:
    return MissingFileError(f"{shown(uri)!r} does not exist; mend the address, or make the file first", shown(uri))

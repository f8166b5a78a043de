"""Large objects in parts, several at once: downloads by ranges, uploads as parts that the store puts together."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from hail_batch_jupyter.storage.again import persistently
from hail_batch_jupyter.storage.gcs_client import Client, is_transient
from hail_batch_jupyter.storage.gcs_media import Named, crc32c_of, pieces_of
from hail_batch_jupyter.storage.slices import Slice

if TYPE_CHECKING:
    from google.cloud.storage import Blob

PARTS_FROM_BYTES = 64 << 20
"""Smaller objects go in one request, which begins anew when it fails: parts cost three requests more."""
_THREADS = 4
_MOST_PARTS = 32
"""What one request can put together."""
_LEAST_PART_BYTES = 32 << 20
_POSTED_BYTES = 64 << 20
_CHUNK_BYTES = 8 << 20


def download(blob: Blob, path: str) -> None:
    """Write the object into a file, by ranges whose checksums add up to that of the object."""
    from google.cloud.storage import transfer_manager

    options = {"if_generation_match": blob.generation}
    threads = transfer_manager.THREAD
    transfer_manager.download_chunks_concurrently(blob, path, _LEAST_PART_BYTES, options, worker_type=threads, max_workers=_THREADS)


def upload(path: str, blob: Blob, client: Client) -> str:
    """Make the object of a file, and give its generation.

    Parts go up under names of their own, which are removed, and nobody sees the object before it is whole.
    The library's own way to do this compares no checksum of the whole object, and not every store that speaks this protocol has it.
    """
    size_bytes = os.path.getsize(path)
    part_bytes = max(_LEAST_PART_BYTES, -(-size_bytes // _MOST_PARTS))
    starts = range(0, size_bytes, part_bytes)
    stem = f"{blob.name}.{secrets.token_hex(4)}.part"
    parts = [blob.bucket.blob(f"{stem}{number:02}", chunk_size=_CHUNK_BYTES) for number in range(len(starts))]
    blob.content_type = "application/octet-stream"
    with ThreadPoolExecutor(_THREADS) as pool:
        sent = [pool.submit(_send, path, part, start, min(part_bytes, size_bytes - start), client) for part, start in zip(parts, starts, strict=True)]
        try:
            whole = _checksum(path)
            _all(sent)
            blob.compose(parts)
            _check(blob, whole)
            return str(blob.generation)
        finally:
            wait(sent)
            _all([pool.submit(_remove, part) for part in parts])


def _all(futures: Iterable[Future[None]]) -> None:
    """Wait for all of them, then raise the first error of any."""
    for future in wait(futures).done:
        future.result()


def _send(path: str, part: Blob, start: int, length: int, client: Client) -> None:
    """Send a part; what arrives is checked as a whole. A part that takes long goes in chunks, so that a broken connection costs one of them."""

    def send() -> None:
        if length <= _POSTED_BYTES:
            with open(path, "rb", buffering=0) as file:
                client.media.put(named(part), length, None, lambda: pieces_of(file.fileno(), start, length))
        else:
            with Slice(path, start, length) as file:
                part.upload_from_file(file, size=length, content_type="application/octet-stream", checksum="crc32c")

    persistently(send, is_transient)


def named(blob: Blob) -> Named:
    """The object as requests name it."""
    return Named(blob.bucket.name, blob.name, blob.bucket.user_project)


def _checksum(path: str) -> str:
    """The CRC32C of a file, as the store writes it."""
    with open(path, "rb", buffering=0) as file:
        return crc32c_of(iter(lambda: file.read(_CHUNK_BYTES), b""))


def _check(blob: Blob, whole: str) -> None:
    """Raise DataCorruption, and leave no object, if it is not the file: that was changed in the meantime."""
    from google.cloud.storage.exceptions import DataCorruption

    if blob.crc32c != whole:
        blob.delete()
        raise DataCorruption(None, f"the object has checksum {blob.crc32c} and the file {whole}")


def _remove(part: Blob) -> None:
    from google.api_core.exceptions import NotFound

    with contextlib.suppress(NotFound):
        part.delete()

"""Buckets whose files cost money each time they are read, which a batch would read again and again."""

from __future__ import annotations

from collections.abc import Collection

from hail_batch_jupyter.errors import UriError
from hail_batch_jupyter.storage.access import Access
from hail_batch_jupyter.storage.uris import bucket_and_name

_HOT = ("STANDARD", "REGIONAL", "MULTI_REGIONAL", "DURABLE_REDUCED_AVAILABILITY")
_FOUND_HOT: set[tuple[Access, str]] = set()
"""Buckets that were asked about and are not asked about again in this process."""


def check_hot(uri: str, access: Access, allowed: Collection[str]) -> None:
    """Raise UriError for a place in a bucket that keeps its files in cold storage, unless the bucket is among the `allowed`.

    Where there are no credentials nothing is asked: then the run tells what cannot be read.
    Raises MissingFileError for a bucket that is not there, StorageError for one that these credentials may not see.
    """
    from hail_batch_jupyter.storage.gcs_client import may_have_credentials

    bucket, _ = bucket_and_name(uri)
    if bucket in allowed or (access, bucket) in _FOUND_HOT or not may_have_credentials(access.key_file):
        return
    from hail_batch_jupyter.storage.router import google_files

    found = google_files(access).storage_class(uri)
    if found is not None and found not in _HOT:
        words = f"{uri!r}: bucket {bucket!r} is configured to use cold storage by default ({found}), where each reading costs money"
        raise UriError(f"{words}; use another bucket, or allow this one: hail-batch-jupyter config set gcs/bucket_allow_list {bucket}")
    _FOUND_HOT.add((access, bucket))


def forget() -> None:
    """Ask about all buckets again."""
    _FOUND_HOT.clear()

"""Which file system is behind a URI."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from hail_batch_jupyter.core.ports import FileSystem
from hail_batch_jupyter.errors import CapabilityError
from hail_batch_jupyter.storage.access import Access, configured_access
from hail_batch_jupyter.storage.local import LocalFiles
from hail_batch_jupyter.storage.uris import is_local, kept_by_service, shown

if TYPE_CHECKING:
    from hail_batch_jupyter.client.session import Service
    from hail_batch_jupyter.storage.azure import AzureFiles
    from hail_batch_jupyter.storage.gcs import GcsFiles
    from hail_batch_jupyter.storage.of_service import ServiceFiles

_LOCAL = LocalFiles()


def file_system(uri: str, access: Access | None = None) -> FileSystem:
    """What reads and writes the place of `uri`; without `access` as the settings say.

    Raises CapabilityError for a kind of place that files cannot be copied to from here.
    """
    if is_local(uri):
        return _LOCAL
    scheme = uri.partition("://")[0]
    if scheme == "https":
        return _azure_files()
    if kept_by_service(uri):
        return _service_files(None if access is None else access.service)
    if scheme != "gs":
        known = "gs://BUCKET/FILE, https://ACCOUNT.blob.core.windows.net/CONTAINER/FILE, hbj://USER/FILE, or a path of this machine"
        raise CapabilityError(f"{shown(uri)!r}: files at {scheme}:// are not reached from here; use {known}")
    return google_files(configured_access() if access is None else access)


@cache
def google_files(access: Access) -> GcsFiles:
    """What is behind gs://: one object for each access, which keeps its connections."""
    from hail_batch_jupyter.storage.gcs import GcsFiles

    return GcsFiles(access)


@cache
def _azure_files() -> AzureFiles:
    from hail_batch_jupyter.storage.azure import AzureFiles

    return AzureFiles()


@cache
def _service_files(service: Service | None) -> ServiceFiles:
    from hail_batch_jupyter.storage.of_service import ServiceFiles, service_of_settings

    return ServiceFiles(service_of_settings() if service is None else service)


def forget() -> None:
    """Let go of the connections to all stores; the next question opens new ones, as environment and settings say then."""
    google_files.cache_clear()
    _azure_files.cache_clear()
    _service_files.cache_clear()

"""Which file system is behind a URI."""

from __future__ import annotations

from hail_batch_jupyter.core.ports import FileSystem
from hail_batch_jupyter.errors import CapabilityError
from hail_batch_jupyter.storage.local import LocalFiles


def file_system(uri: str) -> FileSystem:
    """What reads and writes the place of `uri`.

    Raises CapabilityError for a kind of place that files cannot be copied to from here.
    """
    if uri.startswith("file://"):
        return LocalFiles()
    scheme = uri.partition("://")[0]
    raise CapabilityError(f"files of this machine cannot be copied to {scheme}:// by this version; give the jobs no local files, or use file:///folder")

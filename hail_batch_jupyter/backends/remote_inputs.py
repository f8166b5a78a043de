"""What is known of inputs in object stores before a run begins."""

from __future__ import annotations

import hashlib

from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.engine.stores import is_remote
from hail_batch_jupyter.errors import MissingFileError, SubmitError

_THREADS = 16


def versions_of(spec: BatchSpec) -> dict[str, str]:
    """Input in an object store -> a text that changes when the file, or one of the folder, does; all are asked for at once.

    Raises SubmitError for one that is not there, StorageError for one that cannot be reached.
    """
    readers = {transfer.source: "the batch" for transfer in spec.external if is_remote(transfer.source)}
    readers.update((transfer.source, f"job {job.display_name!r}") for job in spec.jobs for transfer in job.inputs if is_remote(transfer.source))
    if not readers:
        return {}
    from concurrent.futures import ThreadPoolExecutor

    from hail_batch_jupyter.storage.access import configured_access
    from hail_batch_jupyter.storage.router import file_system
    from hail_batch_jupyter.storage.uris import shown

    access = configured_access(spec.requester_pays_project)

    def version(uri: str) -> str:
        try:
            found = sorted(file_system(uri, access).files(uri))
        except MissingFileError as error:
            raise SubmitError(f"{readers[uri]} reads {shown(uri)!r}, which does not exist; make the file or mend the address, nothing was started") from error
        return hashlib.sha256(repr(found).encode()).hexdigest()

    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(readers, pool.map(version, readers), strict=True))

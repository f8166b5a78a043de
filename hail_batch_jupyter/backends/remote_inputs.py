"""What is known of inputs in object stores before a run begins."""

from __future__ import annotations

from collections.abc import Mapping

from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.engine.stores import is_remote
from hail_batch_jupyter.errors import SubmitError


def readers_of(spec: BatchSpec) -> dict[str, str]:
    """Input in an object store -> who reads it, in words."""
    readers = {transfer.source: "the batch" for transfer in spec.external if is_remote(transfer.source)}
    readers.update((transfer.source, f"job {job.display_name!r}") for job in spec.jobs for transfer in job.inputs if is_remote(transfer.source))
    return readers


def versions_of(spec: BatchSpec) -> dict[str, str]:
    """Input in an object store -> a text that changes when the file, or one of the folder, does; all are asked for at once.

    Raises SubmitError for one that is not there, StorageError for one that cannot be reached.
    """
    readers = readers_of(spec)
    if not readers:
        return {}
    from hail_batch_jupyter.storage.access import configured_access
    from hail_batch_jupyter.storage.versions import versions

    return all_there(versions(readers, configured_access(spec.requester_pays_project)), readers)


def all_there(found: dict[str, str], readers: Mapping[str, str]) -> dict[str, str]:
    """What was found; raises SubmitError for an input that is not there."""
    for uri in (uri for uri, version in found.items() if not version):
        from hail_batch_jupyter.storage.uris import shown

        raise SubmitError(f"{readers[uri]} reads {shown(uri)!r}, which does not exist; make the file or mend the address, nothing was started")
    return found

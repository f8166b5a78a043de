"""The requests of the Batch Service's REST API as values; nothing is sent here.

Source: the Batch Service's protocol, chapters 5 to 9 and 15.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

_V1 = "/api/v1alpha"


class Call(NamedTuple):
    """One request; `body` is b'' for none.

    part   (start, length) of the answer that is wanted, a negative start from its end; None for the whole
    kind   of the body
    """

    method: str
    path: str
    body: bytes = b""
    part: tuple[int, int | None] | None = None
    kind: str = "application/json"


def create_fast(body: bytes) -> Call:
    """A batch with all its jobs, in one request."""
    return Call("POST", f"{_V1}/batches/create-fast", body)


def create(body: bytes) -> Call:
    """A batch whose jobs come later."""
    return Call("POST", f"{_V1}/batches/create", body)


def update_fast(batch_id: int, body: bytes) -> Call:
    """More jobs for a batch, in one request."""
    return Call("POST", f"{_V1}/batches/{batch_id}/update-fast", body)


def create_update(batch_id: int, body: bytes) -> Call:
    """Room for more jobs in a batch."""
    return Call("POST", f"{_V1}/batches/{batch_id}/updates/create", body)


def create_jobs(batch_id: int, update_id: int, bunch: bytes) -> Call:
    """Some jobs of an update; again does nothing more."""
    return Call("POST", f"{_V1}/batches/{batch_id}/updates/{update_id}/jobs/create", bunch)


def create_groups(batch_id: int, update_id: int, bunch: bytes) -> Call:
    """Some job groups of an update; again does nothing more."""
    return Call("POST", f"{_V1}/batches/{batch_id}/updates/{update_id}/job-groups/create", bunch)


def commit(batch_id: int, update_id: int) -> Call:
    """Let the jobs of an update run; again does nothing more."""
    return Call("PATCH", f"{_V1}/batches/{batch_id}/updates/{update_id}/commit")


def get_batch(batch_id: int) -> Call:
    """State and counters of a batch."""
    return Call("GET", f"{_V1}/batches/{batch_id}")


def wait(batch_id: int, seen: str, timeout_s: float) -> Call:
    """As `get_batch`, as soon as its mark is not the one that was seen, with the jobs that changed if they are few; for services whose batches have a mark."""
    return Call("GET", f"{_V1}/batches/{batch_id}/wait?{urlencode({'seen': seen, 'timeout_s': f'{timeout_s:.3f}', 'jobs': 'true'})}")


def list_batches(last_batch_id: int | None = None) -> Call:
    """A page of the user's own batches, newest first, with numbers below `last_batch_id`."""
    return Call("GET", f"{_V1}/batches" + ("" if last_batch_id is None else f"?{urlencode({'last_batch_id': last_batch_id})}"))


def cancel(batch_id: int, group_id: int = 0) -> Call:
    """Cancel a batch, or a group of it; again does nothing more."""
    return Call("PATCH", f"{_V1}/batches/{batch_id}/job-groups/{group_id}/cancel")


def delete(batch_id: int) -> Call:
    """Cancel a batch and forget it."""
    return Call("DELETE", f"{_V1}/batches/{batch_id}")


def list_jobs(batch_id: int, q: str = "", version: int = 1, last_job_id: int | None = None, limit: int | None = None) -> Call:
    """A page of the jobs of a batch with numbers above `last_job_id`; `q` is of the query language of that version.

    `limit` is how many jobs it may have: of fifty, where a service does not know the word.
    """
    query: dict[str, Any] = {"q": q, "recursive": "True"}
    if limit is not None:
        query["limit"] = limit
    if last_job_id is not None:
        query["last_job_id"] = last_job_id
    return Call("GET", f"/api/v{version}alpha/batches/{batch_id}/job-groups/0/jobs?{urlencode(query)}")


def get_job(batch_id: int, job_id: int) -> Call:
    """All that the service knows of a job."""
    return Call("GET", f"{_V1}/batches/{batch_id}/jobs/{job_id}")


def attempts(batch_id: int, job_id: int) -> Call:
    """The attempts of a job."""
    return Call("GET", f"{_V1}/batches/{batch_id}/jobs/{job_id}/attempts")


def container_log(batch_id: int, job_id: int, container: str, attempt_id: str | None = None) -> Call:
    """The log of a container of a job."""
    query = "" if attempt_id is None else f"?{urlencode({'attempt_id': attempt_id})}"
    return Call("GET", f"{_V1}/batches/{batch_id}/jobs/{job_id}/log/{container}{query}")


def resource_usage(batch_id: int, job_id: int) -> Call:
    """What the last attempt of a job used, as tables."""
    return Call("GET", f"{_V1}/batches/{batch_id}/jobs/{job_id}/resource_usage")


def billing_projects() -> Call:
    """The billing projects that the user may see."""
    return Call("GET", f"{_V1}/billing_projects")


def billing(start: str, end: str, *, by_resource: bool) -> Call:
    """What was spent between two days."""
    return Call("GET", f"{_V1}/{'billing_breakdown' if by_resource else 'billing'}?{urlencode({'start': start, 'end': end})}")


def default_region() -> Call:
    """The region of jobs that name none; plain text."""
    return Call("GET", f"{_V1}/default_region")


def supported_regions() -> Call:
    """The regions that jobs may name."""
    return Call("GET", f"{_V1}/supported_regions")


def place() -> Call:
    """Where jobs run; Hail's service does not tell."""
    return Call("GET", f"{_V1}/place")


# files that a service keeps; Hail's has none of these


_OCTETS = "application/octet-stream"


def storage() -> Call:
    """Where the service keeps files of who asks, and how much of it."""
    return Call("GET", f"{_V1}/files")


def list_files(path: str) -> Call:
    """The file, or all files of a folder."""
    return Call("GET", f"{_V1}/files/list?{urlencode({'path': path})}")


def read_file(path: str, start: int, n_bytes: int) -> Call:
    """Some bytes of a file."""
    return Call("GET", f"{_V1}/files/content?{urlencode({'path': path})}", part=(start, n_bytes))


def write_file(path: str, data: bytes) -> Call:
    """A file, whole."""
    return Call("PUT", f"{_V1}/files/content?{urlencode({'path': path})}", data, kind=_OCTETS)


def write_part(path: str, data: bytes, part: Mapping[str, str]) -> Call:
    """A part of a file, which is there when the last one is."""
    return Call("PUT", f"{_V1}/files/content?{urlencode({'path': path, **part})}", data, kind=_OCTETS)


def copy_file(source: str, dest: str) -> Call:
    """A copy of a file, which the service makes."""
    return Call("POST", f"{_V1}/files/copy?{urlencode({'source': source, 'dest': dest})}")


def remove_files(path: str) -> Call:
    """A file or a folder gone."""
    return Call("DELETE", f"{_V1}/files/content?{urlencode({'path': path})}")

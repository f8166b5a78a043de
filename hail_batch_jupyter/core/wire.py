"""The Batch Service's JSON of what is posted: jobs, batches and updates.

Source: the Batch Service's protocol, chapters 6 and 8. What is read back is in `core.answers`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from hail_batch_jupyter.core.spec import BatchSpec, GroupSpec, JobSpec, Request, Transfer
from hail_batch_jupyter.errors import SubmitError

BUNCH_BYTES = 1 << 20
BUNCH_JOBS = 1024
ANY_REGION = ("any_region",)
BUNCH_GROUPS = 1024
_ROOT = 0
NO_GROUPS: Mapping[int, int] = MappingProxyType({})
Group = tuple[str, int]
"""Where a group is: 'in_update' or 'absolute', and its number there."""
_FRAME_BYTES = 2000
_ITEM_BYTES = 60
"""More than what JSON has around all values of a job, and around each of them."""


def places(groups: Iterable[GroupSpec], there: Mapping[int, int], *, new_batch: bool) -> dict[int, Group]:
    """Where each group of a batch is, the batch itself included; `there` are the numbers that the service gave to those of earlier updates."""
    found: dict[int, Group] = {_ROOT: ("in_update" if new_batch else "absolute", _ROOT)}
    number = 0
    for group in groups:
        number += group.group_id not in there
        found[group.group_id] = ("absolute", there[group.group_id]) if group.group_id in there else ("in_update", number)
    return found


def groups_json(groups: Iterable[GroupSpec], there: Mapping[int, int], *, new_batch: bool) -> list[dict[str, Any]]:
    """The groups that are not there yet, as the service takes them."""
    groups = list(groups)
    where = places(groups, there, new_batch=new_batch)
    made = []
    for group in groups:
        if group.group_id in there:
            continue
        kind, parent = where[group.parent]
        data = {"job_group_id": where[group.group_id][1], f"{kind}_parent_id": parent, "attributes": {**group.attributes, "name": group.name}}
        made.append({**data, **({"cancel_after_n_failures": group.cancel_after_n_failures} if group.cancel_after_n_failures else {})})
    return made


def job_json(job: JobSpec, first: int, *, where: Group, requester_pays_project: str | None = None) -> dict[str, Any]:
    """A job as the service takes it; jobs from the number `first` on belong to the same update, lower numbers to earlier ones.

    `where` is its group. What has no value is left out, as the service has its own defaults.
    """
    data: dict[str, Any] = {
        "always_run": job.always_run,
        "n_max_attempts": job.n_max_attempts,
        "always_copy_output": job.always_copy_output,
        "job_id": job.job_id - first + 1,
        "absolute_parent_ids": [edge.job_id for edge in job.parents if edge.job_id < first],
        "in_update_parent_ids": [edge.job_id - first + 1 for edge in job.parents if edge.job_id >= first],
        "process": {"command": list(job.command), "image": job.image, "type": "docker"},
        f"{where[0]}_job_group_id": where[1],
    }
    if job.env:
        data["env"] = [{"name": name, "value": value} for name, value in job.env.items()]
    resources = resources_json(job.request)
    if resources:
        data["resources"] = resources
    if job.attributes or job.name:
        data["attributes"] = {**job.attributes, "name": job.name} if job.name else dict(job.attributes)
    if job.inputs:
        data["input_files"] = _transfers(job.inputs)
    if job.outputs:
        data["output_files"] = _transfers(job.outputs)
    if job.timeout_s:
        data["timeout"] = job.timeout_s
    if job.cloudfuse:
        data["cloudfuse"] = [{"bucket": bucket, "mount_path": path, "read_only": read_only} for bucket, path, read_only in job.cloudfuse]
    if job.regions is not None and job.regions != ANY_REGION:
        data["regions"] = list(job.regions)
    if requester_pays_project:
        data["requester_pays_project"] = requester_pays_project
    if job.user_code:
        data["user_code"] = job.user_code
    return data


def resources_json(request: Request) -> dict[str, Any]:
    """What is asked for, in the user's own words; quantities are strings."""
    data: dict[str, Any] = dict(request.asked)
    if request.machine_type is not None:
        data["machine_type"] = request.machine_type
    if request.spot is not None:
        data["preemptible"] = request.spot
    return data


def _transfers(copies: Iterable[Transfer]) -> list[dict[str, str]]:
    return [{"from": copy.source, "to": copy.dest} for copy in copies]


def batch_json(spec: BatchSpec, token: str) -> dict[str, Any]:
    """A new batch."""
    data: dict[str, Any] = {
        "billing_project": spec.billing_project,
        "n_jobs": len(spec.jobs),
        "n_job_groups": len(spec.groups) if spec.jobs else 0,
        "token": token,
    }
    attributes = {**spec.attributes, **({"name": spec.name} if spec.name else {})}
    rest = {"attributes": attributes, "callback": spec.callback, "cancel_after_n_failures": spec.cancel_after_n_failures}
    return {**data, **{key: value for key, value in rest.items() if value}}


def update_json(n_jobs: int, token: str, n_groups: int = 0) -> dict[str, Any]:
    """Jobs, and groups of jobs, that are added to a batch."""
    return {"token": token, "n_jobs": n_jobs, "n_job_groups": n_groups}


def fast_body(bunch: bytes, groups: bytes, what: str, data: dict[str, Any]) -> bytes:
    """The body of one request for everything: `what` is 'batch' or 'update'."""
    return b'{"bunch":' + bunch + b',"job_groups":' + groups + b',"' + what.encode() + b'":' + _dumps(data) + b"}"


def body(data: Any) -> bytes:
    """Any other body."""
    return _dumps(data)


def bunches(spec: BatchSpec, *, new_batch: bool, there: Mapping[int, int] = NO_GROUPS) -> Iterator[bytes]:
    """The jobs as JSON lists of less than BUNCH_BYTES and at most BUNCH_JOBS each, one after the other.

    Raises SubmitError naming a job that is too large by itself.
    """
    where = places(spec.groups, there, new_batch=new_batch)
    parts: list[bytes] = []
    size = 2
    for job in spec.jobs:
        part = _described(job, spec, where[job.group])
        if len(parts) == BUNCH_JOBS or size + len(part) >= BUNCH_BYTES:
            yield b"[" + b",".join(parts) + b"]"
            parts, size = [], 2
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield b"[" + b",".join(parts) + b"]"


def check_sizes(spec: BatchSpec) -> None:
    """Raise what `bunches` would raise, without describing the jobs, but those that may be too large."""
    for job in spec.jobs:
        if _most_bytes(job) >= BUNCH_BYTES:
            _described(job, spec, ("in_update", job.group))


def _described(job: JobSpec, spec: BatchSpec, where: Group) -> bytes:
    part = _dumps(job_json(job, spec.jobs[0].job_id, where=where, requester_pays_project=spec.requester_pays_project))
    if len(part) + 2 >= BUNCH_BYTES:
        raise SubmitError(
            f"job {job.display_name!r} takes {len(part)} bytes to describe, and a service takes less than {BUNCH_BYTES}; put its data into a file"
        )
    return part


def _most_bytes(job: JobSpec) -> int:
    """A bound of what describes a job: in JSON a character takes twelve bytes at most."""
    n_chars = len(job.user_code) + len(job.name or "") + len(job.image or "") + sum(map(len, job.command))
    n_items = len(job.command) + len(job.parents)
    for pairs in (job.env.items(), job.attributes.items(), job.request.asked):
        n_items += len(pairs)
        n_chars += sum([len(name) + len(value) for name, value in pairs])
    for copies in (job.inputs, job.outputs):
        n_items += len(copies)
        n_chars += sum([len(copy.source) + len(copy.dest) for copy in copies])
    texts = [*(job.regions or ()), *(f"{bucket}{path}" for bucket, path, _ in job.cloudfuse)]
    return _FRAME_BYTES + 12 * (n_chars + sum(map(len, texts))) + _ITEM_BYTES * (n_items + len(texts))


def _dumps(data: Any) -> bytes:
    return _ENCODED(data).encode()


_ENCODED = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
"""One for all, and what is encoded was made here: a third faster than `json.dumps` for a hundred thousand jobs."""

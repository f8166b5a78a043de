"""From a job as it was posted to one that is taken, which asks for nothing that this service cannot do, and to all that it means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from hail_batch_jupyter.service.api.places import Places
from hail_batch_jupyter.service.api.reach import Reach
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.api.resources import REGION, Grants, asked_of
from hail_batch_jupyter.service.store.rows import JobFacts, NewJob

_INSIDE = "/io/"
_TRIES = 20
_SOMETIMES = ("input_files", "output_files", "timeout", "requester_pays_project", "user_code")
_NOT_HERE = {
    "cloudfuse": "mounts no buckets",
    "gcsfuse": "mounts no buckets",
    "port": "publishes no ports",
    "mount_tokens": "mounts no tokens",
}


class Taker(NamedTuple):
    """Takes the jobs of one request.

    `committed` are the jobs of earlier updates, `reach` says which files the user's jobs may read and write.
    """

    batch_id: int
    start_job_id: int
    committed: Collection[int]
    places: Places
    grants: Grants
    reach: Reach

    def accepted(self, posted: Mapping[str, Any], text: str) -> NewJob:
        """The job as it is put in; `text` is its JSON. Raises Refusal for a job that cannot run here."""
        job_id = self.start_job_id + posted["job_id"] - 1
        who = f"({self.batch_id}, {job_id})"
        _check_abilities(posted, who, self.reach)
        group_id = self.places.of_job(posted, who)
        parents = _parents(posted, who, self.start_job_id, self.committed)
        resources, grant = self.grants.of(posted.get("resources", {}), who)
        asked = asked_of(resources["req_cpu"], resources["req_memory"])
        attributes = posted.get("attributes") or {}
        always_run, n_max_attempts = posted.get("always_run", False), posted.get("n_max_attempts", _TRIES)
        facts = JobFacts(attributes.get("name"), always_run, n_max_attempts, parents, attributes, grant, asked.cpu_mcpu or 0, asked.memory_bytes or 0)
        return NewJob(job_id, group_id, facts, text)


def completed(posted: Mapping[str, Any], job_id: int, group_id: int, grants: Grants) -> dict[str, Any]:
    """What a job does, from what was posted: with its numbers in the batch, and all that was left out."""
    spec = {
        "process": {"command": posted["process"]["command"], "image": posted["process"].get("image", ""), "type": "docker"},
        "job_id": job_id,
        "job_group_id": group_id,
        "always_run": posted.get("always_run", False),
        "always_copy_output": posted.get("always_copy_output", True),
        "n_max_attempts": posted.get("n_max_attempts", _TRIES),
        "resources": grants.of(posted.get("resources", {}), f"{job_id}")[0],
        "regions": posted.get("regions") or [REGION],
        "env": posted.get("env", []),
        "network": "public",
        "secrets": [],
    }
    spec.update({key: posted[key] for key in _SOMETIMES if posted.get(key)})
    return spec


def _check_abilities(posted: Mapping[str, Any], who: str, reach: Reach) -> None:
    process = posted["process"]
    if process["type"] != "docker":
        raise Refusal(400, f"job {who} has a process of type {process['type']!r}, and this service runs 'docker' only; post a command and an image")
    if not process["command"]:
        raise Refusal(400, f"job {who} has an empty command; name a program")
    if process.get("mount_docker_socket"):
        raise Refusal(400, "mount_docker_socket is no longer supported but was set to True in request. Please upgrade.")
    for key in () if _NOT_HERE.keys().isdisjoint(posted) else _NOT_HERE:
        if posted.get(key):
            raise Refusal(400, f"job {who} asks for {key}, and this service {_NOT_HERE[key]}; leave it out")
    for secret in posted.get("secrets", ()):
        raise Refusal(400, f"unauthorized secret {_named(secret)} for user {reach.user}")
    if posted.get("service_account"):
        raise Refusal(400, f"unauthorized service account {_named(posted['service_account'])} for user {reach.user}")
    if posted.get("unconfined"):
        raise Refusal(400, "unauthorized use of unconfined=True")
    if posted.get("network") not in (None, "public"):
        raise Refusal(400, f"unauthorized network {posted['network']}")
    _check_regions(posted.get("regions"))
    _check_words(posted, who)
    _check_copies(posted, who, reach)
    reach.check_command(process["command"], who)
    reach.check_image(process.get("image", ""), who)


def _named(thing: Mapping[str, Any]) -> str:
    """(namespace, name) of what the protocol keeps by them."""
    return f"({thing.get('namespace')}, {thing.get('name')})"


def _check_regions(regions: list[str] | None) -> None:
    if regions is None:
        return
    if not regions:
        raise Refusal(400, "regions must not be an empty array")
    unknown = sorted(set(regions) - {REGION})
    if unknown:
        raise Refusal(400, f"invalid regions specified: {{{', '.join(map(repr, unknown))}}}. Choose from {{{REGION!r}}}")


def _check_words(posted: Mapping[str, Any], who: str) -> None:
    """What the system cannot pass to a process."""
    texts = list(posted["process"]["command"])
    for variable in posted.get("env", []):
        if not variable["name"] or "=" in variable["name"]:
            raise Refusal(400, f"job {who} has a variable {variable['name']!r}; a name is not empty and has no '='")
        texts += variable.values()
    if "\0" in "".join(texts):
        raise Refusal(400, f"job {who} has a NUL in its command or environment, which no process can be given; take it out")


def _check_copies(posted: Mapping[str, Any], who: str, reach: Reach) -> None:
    if "input_files" not in posted and "output_files" not in posted:
        return
    read = [(pair["to"], pair["from"]) for pair in posted.get("input_files") or []]
    written = [(pair["from"], pair["to"]) for pair in posted.get("output_files") or []]
    for inside, outside in [*read, *written]:
        if not inside.startswith(_INSIDE) or ".." in inside.split("/") or "\0" in inside:
            raise Refusal(400, f"job {who} copies to or from {inside!r}; the path of a file in a job begins with {_INSIDE} and has no '..'")
        reach.check(outside, who)
    if written:
        reach.check_room(who)


def _parents(posted: Mapping[str, Any], who: str, start_job_id: int, committed: Collection[int]) -> tuple[int, ...]:
    """Numbers of the parents in the batch; those of the same update must come before the job, so that there is no cycle."""
    inside = posted.get("in_update_parent_ids", [])
    for parent in inside:
        if not 1 <= parent < posted["job_id"]:
            raise Refusal(400, f"job {who} has the parent {parent} in its update, which is not an earlier job of it; post parents before children")
    outside = [*posted.get("absolute_parent_ids", []), *posted.get("parent_ids", [])]
    for parent in outside:
        if parent not in committed:
            raise Refusal(400, f"job {who} has the parent {parent}, which is no job of a committed update; commit parents first")
    parents = [*outside, *(start_job_id + parent - 1 for parent in inside)]
    if len(set(parents)) < len(parents):
        twice = Counter(parents).most_common(1)[0][0]
        raise Refusal(400, f"bunch contains job with duplicated parents (({who[1:-1]}, {twice}))")
    return tuple(parents)

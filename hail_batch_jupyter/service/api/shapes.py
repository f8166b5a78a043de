"""The shape of what clients post: every key known and of its type, or a refusal that says where it is not.

Source: the Batch Service's protocol, chapters 6 and 8.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from hail_batch_jupyter.service.api.refusal import Refusal

Check = Callable[[Any, str], None]
_TOKEN = 100
_ATTRIBUTE = 100
_ADDRESS = 255


def parsed(body: bytes) -> Any:
    """The JSON of a request's body, whose texts can be written down: half a character, as JSON may hold, cannot."""
    try:
        found = json.loads(body)
        if b"\\u" in body:
            json.dumps(found, ensure_ascii=False).encode()
        return found
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is no JSON ({error}); post a JSON document") from error


def is_a(*kinds: type) -> Check:
    """A check of the type; true and false are no numbers."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise Refusal(400, f"{where} is not {' or '.join(str(kind) for kind in kinds)}.")

    return check


def or_null(inner: Check) -> Check:
    """A check that null passes too."""
    return lambda value, where: None if value is None else inner(value, where)


def list_of(inner: Check) -> Check:
    """A list of things that pass."""

    def check(value: Any, where: str) -> None:
        is_a(list)(value, where)
        for number, item in enumerate(value):
            inner(item, f"{where}[{number}]")

    return check


def above_zero(*kinds: type) -> Check:
    """A number above zero."""

    def check(value: Any, where: str) -> None:
        is_a(*kinds)(value, where)
        if not 0 < value < 1 << 31:
            raise Refusal(400, f"{where} does not satisfy the condition x > 0.")

    return check


def not_negative(value: Any, where: str) -> None:
    """A whole number that is zero or above."""
    is_a(int)(value, where)
    if not 0 <= value < 1 << 31:
        raise Refusal(400, f"{where} does not satisfy the condition x >= 0.")


def words(value: Any, where: str) -> None:
    """An object of texts, as attributes are."""
    is_a(dict)(value, where)
    for key, text in value.items():
        if len(key) > _ATTRIBUTE:
            raise Refusal(400, f"{where} has a key of more than {_ATTRIBUTE} characters.")
        is_a(str)(text, f"{where}.{key}")


def token(value: Any, where: str) -> None:
    """An idempotency token."""
    is_a(str)(value, where)
    if not 0 < len(value) <= _TOKEN:
        raise Refusal(400, f"{where} has {len(value)} characters; a token has 1 to {_TOKEN}.")


def address(value: Any, where: str) -> None:
    """A place on the web that can be called."""
    is_a(str)(value, where)
    if len(value) > _ADDRESS or not value.startswith(("http://", "https://")) or not value.isprintable() or " " in value:
        raise Refusal(400, f"{where} is no http:// or https:// address of at most {_ADDRESS} characters.")


def record(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    """An object with these keys and no others."""

    def check(value: Any, where: str) -> None:
        is_a(dict)(value, where)
        unknown = sorted(value.keys() - required.keys() - optional.keys())
        if unknown:
            raise Refusal(400, f"unknown keys in {where}: {{{', '.join(map(repr, unknown))}}}")
        for key, inner in required.items():
            if key not in value:
                raise Refusal(400, f"{where} missing required key {key}.")
            inner(value[key], f"{where}.{key}")
        for key, inner in optional.items():
            if key in value:
                inner(value[key], f"{where}.{key}")

    return check


_TEXT = is_a(str)
_YES_NO = is_a(bool)
_NUMBERS = list_of(is_a(int))
_COPIES = or_null(list_of(record({"from": _TEXT, "to": _TEXT}, {})))
_RESOURCES = record({}, {"cpu": _TEXT, "memory": _TEXT, "storage": _TEXT, "preemptible": _YES_NO, "machine_type": or_null(_TEXT)})
_BUCKETS = or_null(list_of(record({"bucket": _TEXT, "mount_path": _TEXT, "read_only": _YES_NO}, {})))

check_batch = record(
    {"billing_project": _TEXT, "token": token, "n_jobs": not_negative},
    {"n_job_groups": not_negative, "attributes": or_null(words), "callback": or_null(address), "cancel_after_n_failures": or_null(above_zero(int))},
)
check_update = record({"token": token, "n_jobs": not_negative}, {"n_job_groups": not_negative})
_check_job = record(
    {"job_id": above_zero(int), "process": record({"type": _TEXT, "command": list_of(_TEXT)}, {"image": _TEXT, "mount_docker_socket": _YES_NO})},
    {
        "absolute_parent_ids": _NUMBERS,
        "in_update_parent_ids": _NUMBERS,
        "parent_ids": _NUMBERS,
        "absolute_job_group_id": not_negative,
        "in_update_job_group_id": not_negative,
        "always_run": _YES_NO,
        "always_copy_output": _YES_NO,
        "n_max_attempts": above_zero(int),
        "attributes": or_null(words),
        "env": list_of(record({"name": _TEXT, "value": _TEXT}, {})),
        "input_files": _COPIES,
        "output_files": _COPIES,
        "cloudfuse": _BUCKETS,
        "gcsfuse": _BUCKETS,
        "resources": _RESOURCES,
        "timeout": or_null(above_zero(int, float)),
        "port": or_null(is_a(int)),
        "regions": or_null(list_of(_TEXT)),
        "requester_pays_project": or_null(_TEXT),
        "network": or_null(_TEXT),
        "unconfined": _YES_NO,
        "secrets": list_of(is_a(dict)),
        "service_account": or_null(is_a(dict)),
        "mount_tokens": _YES_NO,
        "user_code": or_null(_TEXT),
    },
)
check_jobs = list_of(_check_job)


_check_groups = list_of(
    record(
        {"job_group_id": above_zero(int)},
        {
            "in_update_parent_id": or_null(not_negative),
            "absolute_parent_id": or_null(not_negative),
            "attributes": or_null(words),
            "callback": or_null(address),
            "cancel_after_n_failures": or_null(above_zero(int)),
        },
    )
)


def check_bunch(value: Any, n_jobs: int, update_id: int) -> None:
    """Jobs of an update: their shape, and numbers that follow one another within the update."""
    check_jobs(value, "jobs")
    if not value:
        raise Refusal(400, "jobs has no elements; post at least one job")
    _check_numbers("job", [job["job_id"] for job in value], n_jobs, update_id)


def check_groups(value: Any, n_groups: int, update_id: int) -> None:
    """Job groups of an update, as the jobs."""
    _check_groups(value, "job_groups")
    if not value:
        raise Refusal(400, "job_groups has no elements; post at least one job group")
    _check_numbers("job group", [group["job_group_id"] for group in value], n_groups, update_id)


def _check_numbers(what: str, numbers: list[int], count: int, update_id: int) -> None:
    for before, after in pairwise(numbers):
        if after != before + 1:
            raise Refusal(400, f"noncontiguous {what} ids found in the spec: {before} -> {after}")
    if not 1 <= numbers[0] <= numbers[-1] <= count:
        raise Refusal(400, f"{what} ids [{numbers[0]}, {numbers[-1]}] are out of range [1, {count}] allocated by update {update_id}")

"""What clients post: every key known and of its type, or a refusal that says where it is not.

Source: the Batch Service's protocol, chapters 6 and 8.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.api.shapes import GREATEST, Shape, above_zero, is_a, limited_text, list_of, or_null, record

_TOKEN = 100
_ATTRIBUTE = 100
_ATTRIBUTES = 1 << 16
_FEW = 20
_SHORT = 1000
_ADDRESS = 255
_PROJECT = re.compile("[a-z0-9][a-z0-9.:-]{0,99}")


def _not_negative(value: Any, where: str) -> None:
    is_a(int)(value, where)
    if not 0 <= value < GREATEST:
        raise Refusal(400, f"{where} does not satisfy the condition x >= 0.")


def _words(value: Any, where: str) -> None:
    is_a(dict)(value, where)
    for key, text in value.items():
        if len(key) > _ATTRIBUTE:
            raise Refusal(400, f"{where} has a key of more than {_ATTRIBUTE} characters.")
        is_a(str)(text, f"{where}.{key}")
    if sum(len(key) + len(text) for key, text in value.items()) > _ATTRIBUTES:
        raise Refusal(400, f"{where} has more than {_ATTRIBUTES} characters in all; put large texts into a file.")


def _address(value: Any, where: str) -> None:
    is_a(str)(value, where)
    if len(value) > _ADDRESS or not value.startswith(("http://", "https://")) or not value.isprintable() or " " in value:
        raise Refusal(400, f"{where} is no http:// or https:// address of at most {_ADDRESS} characters.")


def _project(value: Any, where: str) -> None:
    is_a(str)(value, where)
    if not _PROJECT.fullmatch(value):
        raise Refusal(400, f"{where} {value[:_ADDRESS]!r} is no Google project; write its id, such as my-lab-1234.")


def _are_few_words(value: Any) -> bool:
    """Whether they are so few and short that none of the limits is near."""
    return (
        type(value) is dict and len(value) <= _FEW and all(type(text) is str and len(key) <= _ATTRIBUTE and len(text) <= _SHORT for key, text in value.items())
    )


not_negative = Shape(_not_negative, {"type": "integer", "minimum": 0, "maximum": GREATEST - 1}, lambda value: type(value) is int and 0 <= value < GREATEST)
words = Shape(_words, {"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"maxLength": _ATTRIBUTE}}, _are_few_words)
address = Shape(_address, {"type": "string", "maxLength": _ADDRESS, "pattern": "^https?://[!-~]*$"})
project = Shape(_project, {"type": "string", "pattern": f"^{_PROJECT.pattern}$"}, lambda value: type(value) is str and bool(_PROJECT.fullmatch(value)))
token = limited_text(_TOKEN, "a token")
_TEXT = is_a(str)
_YES_NO = is_a(bool)
_NUMBERS = list_of(is_a(int))
_COPIES = or_null(list_of(record({"from": _TEXT, "to": _TEXT}, {})))
_RESOURCES = record({}, {"cpu": _TEXT, "memory": _TEXT, "storage": _TEXT, "preemptible": _YES_NO, "machine_type": or_null(_TEXT)})
_BUCKETS = or_null(list_of(record({"bucket": _TEXT, "mount_path": _TEXT, "read_only": _YES_NO}, {})))

batch_head = record(
    {"billing_project": _TEXT, "token": token, "n_jobs": not_negative},
    {"n_job_groups": not_negative, "attributes": or_null(words), "callback": or_null(address), "cancel_after_n_failures": or_null(above_zero(int))},
)
update_head = record({"token": token, "n_jobs": not_negative}, {"n_job_groups": not_negative})
job = record(
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
        "requester_pays_project": or_null(project),
        "network": or_null(_TEXT),
        "unconfined": _YES_NO,
        "secrets": list_of(is_a(dict)),
        "service_account": or_null(is_a(dict)),
        "mount_tokens": _YES_NO,
        "user_code": or_null(_TEXT),
    },
)
jobs = list_of(job, at_least=1)


groups = list_of(
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


create_fast = record({"bunch": list_of(job), "batch": batch_head}, {"job_groups": or_null(groups)})
update_fast = record({"bunch": list_of(job), "update": update_head}, {"job_groups": or_null(groups)})


billing_limit = Shape(is_a(dict).check, {"type": "object", "properties": {"limit": {"type": ["number", "string", "null"]}}, "required": ["limit"]})

account_key = record({"key": is_a(dict)}, {})
quota = record({"max_cores": or_null(above_zero(int, float))}, {})


def check_bunch(value: Any, n_jobs: int, update_id: int) -> None:
    """Jobs of an update: their shape, and numbers that follow one another within the update."""
    jobs(value, "jobs")
    if not value:
        raise Refusal(400, "jobs has no elements; post at least one job")
    _check_numbers("job", [job["job_id"] for job in value], n_jobs, update_id)


def check_groups(value: Any, n_groups: int, update_id: int) -> None:
    """Job groups of an update, as the jobs."""
    groups(value, "job_groups")
    if not value:
        raise Refusal(400, "job_groups has no elements; post at least one job group")
    _check_numbers("job group", [group["job_group_id"] for group in value], n_groups, update_id)


def _check_numbers(what: str, numbers: list[int], count: int, update_id: int) -> None:
    for before, after in pairwise(numbers):
        if after != before + 1:
            raise Refusal(400, f"noncontiguous {what} ids found in the spec: {before} -> {after}")
    if not 1 <= numbers[0] <= numbers[-1] <= count:
        raise Refusal(400, f"{what} ids [{numbers[0]}, {numbers[-1]}] are out of range [1, {count}] allocated by update {update_id}")

"""What the service answers, as JSON schemas for its description.

Source: the Batch Service's protocol, chapters 6, 7, 9, 13 and 15.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_TEXT, _WHOLE, _NUMBER, _YES_NO, _NOTHING = ({"type": kind} for kind in ("string", "integer", "number", "boolean", "null"))
_ANYTHING: Schema = {"type": "object"}
_JOB_STATES = ("Pending", "Ready", "Creating", "Running", "Cancelled", "Error", "Failed", "Success")


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, _NOTHING]}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _of(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(always: Mapping[str, Schema], sometimes: Mapping[str, Schema] | None = None) -> Schema:
    """These keys and no others."""
    return {"type": "object", "properties": {**always, **(sometimes or {})}, "required": list(always), "additionalProperties": False}


def _keys(words: str, schema: Schema) -> dict[str, Schema]:
    return dict.fromkeys(words.split(), schema)


_ATTRIBUTES: dict[str, Schema] = {"attributes": {"type": "object", "additionalProperties": _TEXT}}
_COST: dict[str, Schema] = {"cost": _NUMBER, "cost_breakdown": _or_null(_list(_object({"resource": _TEXT, "cost": _NUMBER})))}
_COUNTS: dict[str, Schema] = {
    "state": {"enum": ["open", "failure", "cancelled", "success", "running"]},
    "complete": _YES_NO,
    **_keys("n_jobs n_completed n_succeeded n_failed n_cancelled", _WHOLE),
}
_ENDED: dict[str, Schema] = {"time_created": _TEXT, "time_completed": _or_null(_TEXT)}
_USE: dict[str, Schema] = {
    **_keys("cores_mcpu memory_bytes max_rss_bytes", _or_null(_WHOLE)),
    "max_rss_at_most": _YES_NO,
    "cpu_s": _or_null(_NUMBER),
}
_TRIED = _object(
    {"number": _WHOLE, **_keys("start_time_ms end_time_ms exit_code", _or_null(_WHOLE)), "reason": _TEXT, **_USE},
)
_ENTRY: dict[str, Schema] = {
    **_keys("batch_id job_id", _WHOLE),
    "name": _or_null(_TEXT),
    **_keys("user billing_project", _TEXT),
    "state": {"enum": list(_JOB_STATES)},
    "exit_code": _or_null(_WHOLE),
    "end_time": _or_null(_TEXT),
    "duration": _or_null(_WHOLE),
    **_COST,
    "msec_mcpu": _WHOLE,
    "always_run": _YES_NO,
    "display_state": _NOTHING,
    "parent_ids": _list(_WHOLE),
    "attempts": _list(_TRIED),
}

SCHEMAS: Mapping[str, Schema] = {
    "Batch": _object(
        {
            "id": _WHOLE,
            **_keys("user billing_project token", _TEXT),
            **_COUNTS,
            "closed": _YES_NO,
            **_ENDED,
            "time_closed": _NOTHING,
            "duration_ms": _or_null(_WHOLE),
            "duration": _or_null(_TEXT),
            "msec_mcpu": _WHOLE,
            "mark": _TEXT,
            **_COST,
        },
        {**_ATTRIBUTES, "budget": _TEXT, "jobs": _list(_of("JobEntry")), "waits_for": _TEXT},
    ),
    "JobGroup": _object({**_keys("batch_id job_group_id", _WHOLE), **_COUNTS, **_ENDED, "duration": _or_null(_WHOLE), **_COST}, _ATTRIBUTES),
    "JobEntry": _object(_ENTRY, {"waits_for": _TEXT}),
    "Job": _object({**_ENTRY, "status": _or_null(_ANYTHING), "spec": _ANYTHING, "inst_coll": _TEXT}, {**_ATTRIBUTES, "waits_for": _TEXT}),
    "Attempt": _object(
        {
            **_keys("batch_id job_id rollup_time", _WHOLE),
            **_keys("attempt_id instance_name", _TEXT),
            "reason": _or_null(_TEXT),
            "exit_code": _or_null(_WHOLE),
            **_USE,
        },
        {**_keys("start_time end_time duration", _TEXT), **_keys("start_time_ms end_time_ms duration_ms", _WHOLE)},
    ),
    "BillingProject": _object(
        {
            "billing_project": _TEXT,
            "status": {"enum": ["open", "closed"]},
            "users": _list(_TEXT),
            "limit": _or_null(_NUMBER),
            "accrued_cost": _NUMBER,
        }
    ),
    "User": _object(
        {
            **_keys("username login_id display_name state", _TEXT),
            **_keys("hail_identity login trial_bp_name", _or_null(_TEXT)),
            **_keys("is_developer is_service_account", _YES_NO),
            "system_permissions": {"type": "object", "additionalProperties": _YES_NO},
            "max_cores": _or_null(_NUMBER),
            "used_cores": _or_null(_NUMBER),
        }
    ),
}
"""By the names that answers refer to them."""

_STARTS = {"start_job_group_id": _WHOLE, "start_job_id": _WHOLE}
_UPDATE = _object({"update_id": _WHOLE, **_STARTS})
_GROUPS = _object({"job_groups": _list(_of("JobGroup"))}, {"last_job_group_id": _WHOLE})
_JOBS = _object({"jobs": _list(_of("JobEntry"))}, {"last_job_id": _WHOLE})
_ACCOUNT = _object({"user": _TEXT, "hail_identity": _or_null(_TEXT)})
_MEMBER = _object({"billing_project": _TEXT, "user": _TEXT})
_TABLE = _object({"index": _list(_WHOLE), "columns": _list(_TEXT), "data": _list(_list(_or_null(_NUMBER)))})
_LOGS = _object({}, dict.fromkeys(("input", "main", "output"), _or_null(_TEXT)))
_SPENT = {"billing_project": _TEXT, "user": _TEXT}
_DEED = _object({"time_ms": _WHOLE, "job_group_id": _WHOLE, **_keys("deed user why", _TEXT)})

ANSWERS: Mapping[tuple[str, str], Schema] = {
    ("GET", "/supported_regions"): _list(_TEXT),
    ("GET", "/place"): {"type": "object", "additionalProperties": _TEXT, "required": ["words"]},
    ("GET", "/userinfo"): _of("User"),
    ("GET", "/check_system_permission"): _object({"has_permission": _YES_NO}),
    ("GET", "/users"): _list(_of("User")),
    ("GET", "/users/{U}"): _of("User"),
    ("GET", "/users/{U}/account"): _ACCOUNT,
    ("POST", "/users/{U}/account"): _ACCOUNT,
    ("DELETE", "/users/{U}/account"): _ACCOUNT,
    ("POST", "/users/{U}/quota"): _object({"user": _TEXT, "max_cores": _or_null(_NUMBER)}),
    ("POST", "/billing_projects/{P}/quota"): _object({"project": _TEXT, "max_cores": _or_null(_NUMBER)}),
    ("POST", "/batches/create"): _object({"id": _WHOLE, "update_id": _or_null(_WHOLE), **{key: _or_null(_WHOLE) for key in _STARTS}}),
    ("POST", "/batches/create-fast"): _object({"id": _WHOLE, **_STARTS}),
    ("POST", "/batches/{b}/updates/create"): _UPDATE,
    ("POST", "/batches/{b}/update-fast"): _UPDATE,
    ("PATCH", "/batches/{b}/updates/{u}/commit"): _object(_STARTS),
    ("PATCH", "/batches/{b}/close"): _object({}, _STARTS),
    ("GET", "/batches"): _object({"batches": _list(_of("Batch"))}, {"last_batch_id": _WHOLE}),
    ("GET", "/batches/{b}"): _of("Batch"),
    ("GET", "/batches/{b}/wait"): _of("Batch"),
    ("GET", "/batches/{b}/deeds"): _list(_DEED),
    ("GET", "/batches/{b}/job-groups"): _GROUPS,
    ("GET", "/batches/{b}/job-groups/{g}"): _of("JobGroup"),
    ("GET", "/batches/{b}/job-groups/{g}/job-groups"): _GROUPS,
    ("GET", "/batches/{b}/jobs"): _JOBS,
    ("GET", "/batches/{b}/job-groups/{g}/jobs"): _JOBS,
    ("GET", "/batches/{b}/jobs/{j}"): _of("Job"),
    ("GET", "/batches/{b}/jobs/{j}/attempts"): _or_null(_list(_of("Attempt"))),
    ("GET", "/batches/{b}/jobs/{j}/resource_usage"): _object({}, {"main": _TABLE}),
    ("GET", "/batches/{b}/jobs/{j}/log"): _LOGS,
    ("GET", "/batches/{b}/jobs/{j}/log/{c}/signed_url"): _object(_keys("signed_url expires_at", _TEXT)),
    ("GET", "/billing"): _list(_object({**_SPENT, "total_spent": _NUMBER})),
    ("GET", "/billing_breakdown"): _list(_object({**_SPENT, "resource": _TEXT, "cost": _NUMBER})),
    ("GET", "/billing_projects"): _list(_of("BillingProject")),
    ("GET", "/billing_projects/{P}"): _of("BillingProject"),
    **{("POST", f"/billing_projects/{{P}}/{deed}"): _TEXT for deed in ("create", "close", "reopen", "delete")},
    **{("POST", f"/billing_projects/{{P}}/users/{{U}}/{deed}"): _MEMBER for deed in ("add", "remove")},
    ("POST", "/billing_limits/{P}/edit"): _object({"billing_project": _TEXT, "limit": {"type": ["number", "string", "null"]}}),
    ("GET", "/files"): _object({"remote_tmpdir": _TEXT, "used_bytes": _WHOLE, "quota_bytes": _or_null(_WHOLE)}),
    ("GET", "/files/list"): _list({"type": "array", "prefixItems": [_TEXT, _WHOLE, _TEXT], "minItems": 3, "maxItems": 3}),
}
"""By method and path; what is not here answers with nothing, text or bytes."""

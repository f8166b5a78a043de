"""Which call of the rules answers which request of a client.

Source: the Batch Service's protocol, chapter 5.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from typing import Any, NamedTuple

from hail_batch_jupyter.service.api import posts
from hail_batch_jupyter.service.api.answers import time_text
from hail_batch_jupyter.service.api.billing import BillingRules
from hail_batch_jupyter.service.api.filing import Filing
from hail_batch_jupyter.service.api.members import PERMISSIONS, Members
from hail_batch_jupyter.service.api.ranges import file_answer
from hail_batch_jupyter.service.api.reading import Reading
from hail_batch_jupyter.service.api.refusal import Refusal, not_found
from hail_batch_jupyter.service.api.resources import CLOUD, REGION
from hail_batch_jupyter.service.api.roles import Roles
from hail_batch_jupyter.service.api.shapes import parsed, parsed_items
from hail_batch_jupyter.service.api.signing import signed, signer
from hail_batch_jupyter.service.api.submitting import Submitting
from hail_batch_jupyter.service.running.where import Where
from hail_batch_jupyter.service.web import Answer, Asked, Route, text

_TEXT, _BYTES = "text/plain", "application/octet-stream"
_Q = {"q": "what has to hold, in the query language of the version"}
_JOBS_QUERY = {
    **_Q,
    "recursive": "whether jobs of the groups below are among them",
    "last_job_id": "give jobs with higher numbers",
    "limit": "how many at most, 50 unless told",
}
_WHY = {"why": "the reason, which is kept with who did it"}
_ATTEMPT = {"attempt_id": "the attempt that is meant, the last one if none is named"}


class Service(NamedTuple):
    """The rules that requests are answered by."""

    submitting: Submitting
    reading: Reading
    billing: BillingRules
    files: Filing
    members: Members
    roles: Roles
    where: Where


_Asked = Asked[Service]


def _log_path(asked: _Asked) -> str:
    names = asked.names
    return f"/api/v1alpha/batches/{names['b']}/jobs/{names['j']}/log/{names['c']}"


def _signed_log(asked: _Asked) -> dict[str, str]:
    names, request = asked.names, asked.request
    attempt_id = asked.service.reading.attempt_id(asked.user, names["b"], names["j"], names["c"], asked.query.get("attempt_id"))
    base = f"{'https' if request.secure else 'http'}://{request.headers.get('host', '')}"
    address, until_ms = signed(base, _log_path(asked), asked.user, attempt_id)
    return {"signed_url": address, "expires_at": time_text(until_ms)}


def _log(asked: _Asked) -> Answer:
    user = asked.user or signer(_log_path(asked), asked.query)
    log = asked.service.reading.log(user, asked.names["b"], asked.names["j"], asked.names["c"], asked.query.get("attempt_id"))
    return file_answer(log, asked.request.headers.get("range"))


def _old_logs(asked: _Asked) -> Answer:
    found = asked.service.reading.logs(asked.user, asked.names["b"], asked.names["j"])
    return Answer(json.dumps(found).encode(), headers=[("X-Hail-Deprecated", "ask for the log of one container, /log/main")])


def _body(asked: _Asked) -> Any:
    return parsed(asked.request.body)


def _jobs(asked: _Asked) -> Any:
    return asked.service.reading.jobs(asked.user, asked.names["b"], asked.names.get("g", 0), asked.names["version"], asked.query)


def _groups(asked: _Asked) -> Any:
    return asked.service.reading.groups(asked.user, asked.names["b"], asked.names.get("g", 0), asked.query)


def _cancel(asked: _Asked) -> Any:
    return asked.service.reading.cancel(asked.user, asked.names["b"], asked.names.get("g", 0), asked.query.get("why", ""))


def _create_jobs(asked: _Asked) -> Any:
    return asked.service.submitting.create_jobs(asked.user, asked.names["b"], asked.names.get("u", 1), *parsed_items(asked.request.body))


def _user(service: Service, name: str) -> dict[str, Any]:
    return {**service.reading.userinfo(name), **service.members.told(name), "login": service.roles.told(name).login or None}


def _has_permission(asked: _Asked) -> dict[str, bool]:
    if "permission" not in asked.query:
        raise Refusal(400, f"permission is required; name one of {', '.join(PERMISSIONS)}")
    return {"has_permission": asked.service.members.has_permission(asked.user, asked.query["permission"])}


def _no_provider(_: _Asked) -> None:
    raise not_found("this service has no identity provider; log in with its token, `hail-batch-jupyter auth login --token`, or by HAIL_TOKENS_FILE")


def _set_limit(asked: _Asked) -> Any:
    return asked.service.billing.set_limit(asked.user, asked.names["P"], _body(asked))


_ABOUT_SERVICE: list[Route[Service]] = [
    Route("GET", "/version", lambda _: text(version("hail-batch-jupyter")), "Its version.", gives=_TEXT, open_to_all=True),
    Route("GET", "/cloud", lambda _: text(CLOUD), "The cloud that clients take it for.", gives=_TEXT, open_to_all=True),
    Route("GET", "/supported_regions", lambda _: [REGION], "Where jobs can run."),
    Route("GET", "/default_region", lambda _: text(REGION), "Where jobs run that name no region.", gives=_TEXT),
    Route("GET", "/place", lambda a: {**a.service.where.labels, "words": a.service.where.words}, "On what jobs run, and in words."),
    Route("GET", "/userinfo", lambda a: _user(a.service, a.user), "Who asks."),
    Route("GET", "/check_system_permission", _has_permission, "Whether who asks has a permission.", query={"permission": "which one"}),
    Route("GET", "/oauth2-client", _no_provider, "Refused: tokens of users are made here, and no identity provider is asked.", open_to_all=True),
    Route("POST", "/copy-paste-login", _no_provider, "Refused as well.", query={"copy_paste_token": "what was copied"}, open_to_all=True),
    Route("POST", "/logout", lambda _: None, "Nothing, for clients that forget their token: it is the user's, and stays good until there is a new one."),
]

_MEMBERS: list[Route[Service]] = [
    Route("GET", "/users", lambda a: [_user(a.service, name) for name in a.service.members.names(a.user)], "All users, for administrators."),
    Route("GET", "/users/{U}", lambda a: _user(a.service, a.service.members.seen(a.user, a.names["U"])), "A user."),
    Route("GET", "/users/{U}/account", lambda a: a.service.members.account(a.user, a.names["U"]), "The name of a user's service account."),
    Route(
        "POST",
        "/users/{U}/account",
        lambda a: a.service.members.put_account(a.user, a.names["U"], _body(a)),
        "Keep the key of a service account, by which files of object stores are copied for the user.",
        posts.account_key,
    ),
    Route("DELETE", "/users/{U}/account", lambda a: a.service.members.remove_account(a.user, a.names["U"]), "Forget the key of a user."),
    Route("POST", "/users/{U}/quota", lambda a: a.service.members.set_user_quota(a.user, a.names["U"], _body(a)), "Limit the cores of a user.", posts.quota),
    Route(
        "POST",
        "/billing_projects/{P}/quota",
        lambda a: a.service.members.set_project_quota(a.user, a.names["P"], _body(a)),
        "Limit the cores of a billing project.",
        posts.quota,
    ),
]

_POSTING: list[Route[Service]] = [
    Route("POST", "/batches/create", lambda a: a.service.submitting.create(a.user, _body(a)), "Make a batch, with room for jobs.", posts.batch_head),
    Route("POST", "/batches/create-fast", lambda a: a.service.submitting.create_fast(a.user, _body(a)), "Make a batch with its jobs.", posts.create_fast),
    Route(
        "POST",
        "/batches/{b}/updates/create",
        lambda a: a.service.submitting.create_update(a.user, a.names["b"], _body(a)),
        "Make room for more jobs.",
        posts.update_head,
    ),
    Route("POST", "/batches/{b}/update-fast", lambda a: a.service.submitting.update_fast(a.user, a.names["b"], _body(a)), "Add jobs.", posts.update_fast),
    Route(
        "POST",
        "/batches/{b}/updates/{u}/job-groups/create",
        lambda a: a.service.submitting.create_groups(a.user, a.names["b"], a.names["u"], _body(a)),
        "Post job groups of an update.",
        posts.groups,
    ),
    Route("POST", "/batches/{b}/updates/{u}/jobs/create", _create_jobs, "Post jobs of an update.", posts.jobs),
    Route("POST", "/batches/{b}/jobs/create", _create_jobs, "Post jobs of the first update, as old clients do.", posts.jobs),
    Route(
        "PATCH", "/batches/{b}/updates/{u}/commit", lambda a: a.service.submitting.commit(a.user, a.names["b"], a.names["u"]), "Let the jobs of an update run."
    ),
    Route("PATCH", "/batches/{b}/close", lambda a: a.service.submitting.close(a.user, a.names["b"]), "Let the first update run, as old clients do."),
]

_BATCHES: list[Route[Service]] = [
    Route(
        "GET",
        "/batches",
        lambda a: a.service.reading.batches(a.user, a.names["version"], a.query),
        "A page of batches, newest first.",
        query={**_Q, "last_batch_id": "give batches with lower numbers"},
    ),
    Route("GET", "/batches/{b}", lambda a: a.service.reading.batch(a.user, a.names["b"]), "A batch."),
    Route(
        "GET",
        "/batches/{b}/wait",
        lambda a: a.service.reading.wait(a.user, a.names["b"], a.query),
        "A batch as soon as it is another than it was.",
        query={
            "seen": "the mark of the last answer",
            "timeout_s": "answer after so many seconds even if nothing happened",
            "jobs": "true: tell the jobs that changed since, if they are few",
        },
    ),
    Route("GET", "/batches/{b}/deeds", lambda a: a.service.reading.deeds(a.user, a.names["b"]), "Who cancelled what of a batch, and why."),
    Route(
        "DELETE", "/batches/{b}", lambda a: a.service.reading.delete(a.user, a.names["b"], a.query.get("why", "")), "Cancel a batch and forget it.", query=_WHY
    ),
    Route("PATCH", "/batches/{b}/cancel", _cancel, "Cancel a batch.", query=_WHY),
    Route("GET", "/batches/{b}/job-groups", _groups, "A page of the groups of a batch.", query={"last_job_group_id": "give groups with higher numbers"}),
    Route("GET", "/batches/{b}/job-groups/{g}", lambda a: a.service.reading.group(a.user, a.names["b"], a.names["g"]), "A job group; 0 is all of the batch."),
    Route("PATCH", "/batches/{b}/job-groups/{g}/cancel", _cancel, "Cancel a group and what is below it.", query=_WHY),
    Route("GET", "/batches/{b}/job-groups/{g}/job-groups", _groups, "A page of the groups in a group.", query={"last_job_group_id": "as above"}),
]

_JOBS: list[Route[Service]] = [
    Route("GET", "/batches/{b}/jobs", _jobs, "A page of jobs.", query=_JOBS_QUERY),
    Route("GET", "/batches/{b}/job-groups/{g}/jobs", _jobs, "A page of the jobs of a group.", query=_JOBS_QUERY),
    Route("GET", "/batches/{b}/jobs/{j}", lambda a: a.service.reading.job(a.user, a.names["b"], a.names["j"]), "All that is known of a job."),
    Route("GET", "/batches/{b}/jobs/{j}/attempts", lambda a: a.service.reading.attempts(a.user, a.names["b"], a.names["j"]), "The attempts of a job."),
    Route(
        "GET",
        "/batches/{b}/jobs/{j}/resource_usage",
        lambda a: a.service.reading.resource_usage(a.user, a.names["b"], a.names["j"], a.query.get("attempt_id")),
        "Tables of what a job used.",
        query=_ATTEMPT,
    ),
    Route("GET", "/batches/{b}/jobs/{j}/log", _old_logs, "All logs of a job, as old clients ask for them."),
    Route(
        "GET",
        "/batches/{b}/jobs/{j}/log/{c}",
        _log,
        "The log of one part of a job, or a range of it; to nobody known by a signed address only.",
        query={**_ATTEMPT, "user": "of a signed address", "until": "of a signed address", "signature": "of a signed address"},
        gives=_BYTES,
        open_to_all=True,
    ),
    Route("GET", "/batches/{b}/jobs/{j}/log/{c}/signed_url", _signed_log, "An address that gives the log without a token for 15 minutes.", query=_ATTEMPT),
]

_DATES = {"start": "the first day, MM/DD/YYYY", "end": "the last day"}
_BILLING: list[Route[Service]] = [
    Route("GET", "/billing", lambda a: a.service.billing.report(a.user, a.query), "What was spent, by project and user.", query=_DATES),
    Route("GET", "/billing_breakdown", lambda a: a.service.billing.breakdown(a.user, a.query), "What was spent, by resource too.", query=_DATES),
    Route("GET", "/billing_projects", lambda a: a.service.billing.projects(a.user, a.query), "Billing projects.", query={"status": "open or closed"}),
    Route("GET", "/billing_projects/{P}", lambda a: a.service.billing.project(a.user, a.names["P"]), "A billing project."),
    Route("POST", "/billing_projects/{P}/create", lambda a: a.service.billing.create(a.user, a.names["P"]), "Make a billing project."),
    Route("POST", "/billing_projects/{P}/close", lambda a: a.service.billing.close(a.user, a.names["P"]), "Let no new batches in."),
    Route("POST", "/billing_projects/{P}/reopen", lambda a: a.service.billing.reopen(a.user, a.names["P"]), "Let batches in again."),
    Route("POST", "/billing_projects/{P}/delete", lambda a: a.service.billing.delete(a.user, a.names["P"]), "Close a billing project for good."),
    Route("POST", "/billing_projects/{P}/users/{U}/add", lambda a: a.service.billing.add(a.user, a.names["P"], a.names["U"]), "Make a user a member."),
    Route("POST", "/billing_projects/{P}/users/{U}/remove", lambda a: a.service.billing.remove(a.user, a.names["P"], a.names["U"]), "Make a user no member."),
    Route(
        "POST",
        "/billing_limits/{P}/edit",
        _set_limit,
        "Limit what may be spent.",
        posts.billing_limit,
    ),
]

_PATH = {"path": "USER/FOLDER/FILE, as behind hbj://"}
_PART = {
    "upload": "a name for all parts of a file",
    "offset": "where this part begins",
    "size": "bytes of the whole",
    "sha256": "of the whole, with the last part",
}
_FILES: list[Route[Service]] = [
    Route("GET", "/files", lambda a: a.service.files.place(a.user), "Where files may be kept, and how much is."),
    Route(
        "GET",
        "/files/list",
        lambda a: a.service.files.found(a.user, a.query),
        "Name, bytes and version of a file, or of all in a folder.",
        query=_PATH,
        of_runs=True,
    ),
    Route(
        "GET",
        "/files/content",
        lambda a: a.service.files.read(a.user, a.query, a.request.headers.get("range")),
        "A file.",
        query=_PATH,
        gives=_BYTES,
        of_runs=True,
    ),
    Route(
        "PUT",
        "/files/content",
        lambda a: a.service.files.write(a.user, a.query, a.request.body),
        "Make or replace a file, whole or by parts.",
        query={**_PATH, **_PART},
        octets=True,
        of_runs=True,
    ),
    Route("DELETE", "/files/content", lambda a: a.service.files.remove(a.user, a.query), "Remove a file or a folder.", query=_PATH),
    Route("POST", "/files/copy", lambda a: a.service.files.copy(a.user, a.query), "Copy a file.", query={"source": "from where", "dest": "to where"}),
]

ROUTES: list[Route[Service]] = [*_ABOUT_SERVICE, *_MEMBERS, *_POSTING, *_BATCHES, *_JOBS, *_BILLING, *_FILES]
"""Paths behind /api/v1alpha; /api/v2alpha has the same with the other query language."""
_PREFIX = re.compile(r"/api/v([12])alpha(/.*)", re.DOTALL)


def versioned(path: str) -> tuple[int, str] | None:
    """The version of the query language, and the rest of a path for clients; None for a path of pages."""
    found = _PREFIX.fullmatch(path)
    return None if found is None else (int(found[1]), found[2])

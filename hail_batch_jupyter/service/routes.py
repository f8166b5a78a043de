"""Which call of the rules answers which request; without a web framework.

Source: the Batch Service's protocol, chapter 5.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

from hail_batch_jupyter.service.api.reading import Reading
from hail_batch_jupyter.service.api.refusal import Refusal, not_found
from hail_batch_jupyter.service.api.resources import CLOUD, REGION
from hail_batch_jupyter.service.api.shapes import parsed
from hail_batch_jupyter.service.api.submitting import Submitting

_LONGEST_NUMBER = 18


class Request(NamedTuple):
    """What was asked; `user` is '' for somebody who is not known."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    user: str


class Answer(NamedTuple):
    """What is answered."""

    body: bytes
    content_type: str = "application/json"
    deprecated: str = ""


class Service(NamedTuple):
    """The rules that requests are answered by."""

    submitting: Submitting
    reading: Reading


class Asked(NamedTuple):
    """A request with who can answer it; `names` are the parts of its path, and the version of the query language."""

    service: Service
    request: Request
    names: Mapping[str, Any]


Call = Callable[[Asked], Any]


class Route(NamedTuple):
    """`pattern` is matched against method and path without '/api/v1alpha'."""

    pattern: re.Pattern[str]
    call: Call
    open_to_all: bool = False


def _route(pattern: str, call: Call, *, open_to_all: bool = False) -> Route:
    marks = {"{b}": r"(?P<b>\d+)", "{u}": r"(?P<u>\d+)", "{g}": r"(?P<g>\d+)", "{j}": r"(?P<j>\d+)", "{c}": r"(?P<c>\w+)", "{P}": r"(?P<P>[^/]+)"}
    for mark, group in marks.items():
        pattern = pattern.replace(mark, group)
    return Route(re.compile(pattern, re.ASCII), call, open_to_all)


def _text(text: str) -> Answer:
    return Answer(text.encode(), "text/plain; charset=utf-8")


def _log(asked: Asked) -> Answer:
    service, request, names = asked
    data = service.reading.log(request.user, names["b"], names["j"], names["c"], request.query.get("attempt_id"))
    return Answer(data, "application/octet-stream")


def _old_logs(asked: Asked) -> Answer:
    service, request, names = asked
    found = service.reading.logs(request.user, names["b"], names["j"])
    return Answer(json.dumps(found).encode(), deprecated="ask for the log of one container, /log/main")


ROUTES = [
    _route("GET /healthcheck", lambda _: _text(""), open_to_all=True),
    _route("GET /version", lambda _: _text(version("hail-batch-jupyter")), open_to_all=True),
    _route("GET /cloud", lambda _: _text(CLOUD), open_to_all=True),
    _route("GET /supported_regions", lambda _: [REGION]),
    _route("GET /default_region", lambda _: _text(REGION)),
    _route("GET /userinfo", lambda a: a.service.reading.userinfo(a.request.user)),
    _route("GET /batches", lambda a: a.service.reading.batches(a.request.user, a.names["version"], a.request.query)),
    _route("POST /batches/create", lambda a: a.service.submitting.create(a.request.user, parsed(a.request.body))),
    _route("POST /batches/create-fast", lambda a: a.service.submitting.create_fast(a.request.user, parsed(a.request.body))),
    _route("POST /batches/{b}/updates/create", lambda a: a.service.submitting.create_update(a.request.user, a.names["b"], parsed(a.request.body))),
    _route("POST /batches/{b}/update-fast", lambda a: a.service.submitting.update_fast(a.request.user, a.names["b"], parsed(a.request.body))),
    _route(
        "POST /batches/{b}/updates/{u}/jobs/create",
        lambda a: a.service.submitting.create_jobs(a.request.user, a.names["b"], a.names["u"], parsed(a.request.body)),
    ),
    _route(
        "POST /batches/{b}/updates/{u}/job-groups/create",
        lambda a: a.service.submitting.create_groups(a.request.user, a.names["b"], a.names["u"], parsed(a.request.body)),
    ),
    _route("POST /batches/{b}/jobs/create", lambda a: a.service.submitting.create_jobs(a.request.user, a.names["b"], 1, parsed(a.request.body))),
    _route("PATCH /batches/{b}/close", lambda a: a.service.submitting.close(a.request.user, a.names["b"])),
    _route("PATCH /batches/{b}/updates/{u}/commit", lambda a: a.service.submitting.commit(a.request.user, a.names["b"], a.names["u"])),
    _route("GET /batches/{b}", lambda a: a.service.reading.batch(a.request.user, a.names["b"])),
    _route("DELETE /batches/{b}", lambda a: a.service.reading.delete(a.request.user, a.names["b"])),
    _route("PATCH /batches/{b}/cancel", lambda a: a.service.reading.cancel(a.request.user, a.names["b"], 0)),
    _route("PATCH /batches/{b}/job-groups/{g}/cancel", lambda a: a.service.reading.cancel(a.request.user, a.names["b"], a.names["g"])),
    _route("GET /batches/{b}/job-groups", lambda a: a.service.reading.groups(a.request.user, a.names["b"], 0, a.request.query)),
    _route("GET /batches/{b}/job-groups/{g}", lambda a: a.service.reading.group(a.request.user, a.names["b"], a.names["g"])),
    _route(
        "GET /batches/{b}/job-groups/{g}/job-groups",
        lambda a: a.service.reading.groups(a.request.user, a.names["b"], a.names["g"], a.request.query),
    ),
    _route("GET /batches/{b}/jobs", lambda a: a.service.reading.jobs(a.request.user, a.names["b"], 0, a.names["version"], a.request.query)),
    _route(
        "GET /batches/{b}/job-groups/{g}/jobs",
        lambda a: a.service.reading.jobs(a.request.user, a.names["b"], a.names["g"], a.names["version"], a.request.query),
    ),
    _route("GET /batches/{b}/jobs/{j}", lambda a: a.service.reading.job(a.request.user, a.names["b"], a.names["j"])),
    _route("GET /batches/{b}/jobs/{j}/attempts", lambda a: a.service.reading.attempts(a.request.user, a.names["b"], a.names["j"])),
    _route("GET /batches/{b}/jobs/{j}/resource_usage", lambda a: a.service.reading.resource_usage(a.request.user, a.names["b"], a.names["j"])),
    _route("GET /batches/{b}/jobs/{j}/log", _old_logs),
    _route("GET /batches/{b}/jobs/{j}/log/{c}", _log),
    _route("GET /billing_projects", lambda a: a.service.reading.projects(a.request.user, a.request.query)),
    _route("GET /billing_projects/{P}", lambda a: a.service.reading.project(a.request.user, a.names["P"])),
]


def answer(service: Service, request: Request) -> Answer:
    """The answer to a request; raises Refusal."""
    language, path = _version(request.path)
    found = [(route, match) for route in ROUTES if (match := route.pattern.fullmatch(f"{request.method} {path}"))]
    if not found:
        if any(route.pattern.fullmatch(f"{method} {path}") for route in ROUTES for method in ("GET", "POST", "PATCH", "DELETE")):
            raise Refusal(405, f"{request.method} {request.path} is not done here; use another method")
        raise not_found(f"there is nothing at {request.path}")
    route, match = found[0]
    if not route.open_to_all and not request.user:
        raise Refusal(401, "Unauthorized")
    names = {key: _whole_number(text) if key in "bugj" else text for key, text in match.groupdict().items()}
    made = route.call(Asked(service, request, {**names, "version": language}))
    if isinstance(made, Answer):
        return made
    return Answer(b"" if made is None and request.method != "GET" else json.dumps(made).encode())


def _version(path: str) -> tuple[int, str]:
    """The version of the query language, and the rest of the path; '/healthcheck' has no version."""
    found = re.fullmatch(r"/api/v([12])alpha(/.*)", path)
    if found is not None:
        return int(found[1]), found[2]
    return 1, path if path == "/healthcheck" else ""


def _whole_number(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise not_found(f"there is no number {text}")
    return int(text)

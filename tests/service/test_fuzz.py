"""Requests made up from the service's own description: whatever comes, the answer is a sentence and never a failure of the service."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.service.servers import Server, job

pytestmark = pytest.mark.slow

EXAMPLES = 4
SKIPPED = {"/api/v1alpha/batches/{b}/wait"}
"""It answers when something happens, which is nothing for this test."""


def document(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = server.ask("GET", "/openapi.json", token="").json
    return {**found, "paths": {path: calls for path, calls in found["paths"].items() if path not in SKIPPED}}


def test_the_description_has_every_route_that_is_answered(server: Server) -> None:
    from hail_batch_jupyter.service.routes import ROUTES

    found = server.ask("GET", "/openapi.json", token="").json

    described = {(method.upper(), path) for path, calls in found["paths"].items() for method in calls}
    own = {("GET", path) for path in ("/healthcheck", "/metrics", "/openapi.json", "/openapi.yaml")}
    assert described == own | {(route.method, f"/api/v{n}alpha{route.path}") for route in ROUTES for n in ((1, 2) if "q" in route.query else (1,))}
    for path, calls in found["paths"].items():
        for method in calls:
            reply = server.ask(
                method.upper(), path.replace("{c}", "main").replace("{b}", "1").replace("{P}", "none").format(u=1, g=1, j=1, U="nobody"), token="x"
            )
            refused = path.endswith(("/oauth2-client", "/copy-paste-login"))  # to everybody
            assert reply.status in ((404,) if refused else (200, 401)), (method, path, reply)


def test_answers_are_as_they_are_described(own_server: Server) -> None:
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    from hail_batch_jupyter.service.described import ANSWERS
    from hail_batch_jupyter.service.routes import ROUTES

    described = own_server.ask("GET", "/openapi.json", token="").json
    user, failed = own_server.get("/userinfo")["username"], {"job_id": 2, "in_update_job_group_id": 1}
    batch = {"billing_project": "local", "token": "t", "n_jobs": 3, "n_job_groups": 1, "attributes": {"name": "b"}}
    jobs = [job(1, "echo x", attributes={"name": "j"}), {**job(2, "exit 3"), **failed}, job(3, "true", [2])]
    names, answered = {"b": "1", "g": "0", "j": "1", "u": "2", "c": "main", "P": "lab", "U": user}, set()
    update = {"token": "u", "n_jobs": 1}
    bodies = {
        "/batches/create-fast": {"bunch": jobs, "job_groups": [{"job_group_id": 1, "in_update_parent_id": 0}], "batch": batch},
        "/batches/create": {**batch, "token": "other"},
        "/batches/{b}/updates/create": update,
        "/batches/{b}/updates/{u}/jobs/create": [job(1, "true")],
        "/batches/{b}/update-fast": {"bunch": [job(1, "true")], "update": {**update, "token": "v"}},
        "/billing_limits/{P}/edit": {"limit": "5"},
        "/users/{U}/quota": {"max_cores": 1.5},
        "/billing_projects/{P}/quota": {"max_cores": None},
    }

    def check(method: str, path: str, query: str = "") -> None:
        reply = own_server.ask(method, re.sub(r"{(\w)}", lambda part: names[part[1]], path) + query, bodies.get(path))
        assert reply.status == 200, (method, path, reply)
        answered.add((method, path))
        if (method, path) in ANSWERS:
            schema = {**described, **described["paths"][f"/api/v1alpha{path}"][method.lower()]["responses"]["200"]["content"]["application/json"]["schema"]}
            Draft202012Validator(schema).validate(reply.json)
        elif "{c}" not in path and next(route.gives for route in ROUTES if (route.method, route.path) == (method, path)) == "application/json":
            assert reply.text == "", path  # nothing is described for it

    check("POST", "/batches/create-fast")
    check("GET", "/batches/{b}/jobs/{j}")
    own_server.ended(1)
    for method, path in (("POST", path) for path in bodies if path != "/batches/create-fast" and "{P}" not in path):
        check(method, path)
    check("PATCH", "/batches/{b}/updates/{u}/commit")
    own_server.ended(1)
    check("PATCH", "/batches/{b}/cancel")
    for path in ("/billing_projects/{P}/create", "/billing_projects/{P}/users/{U}/add", "/billing_limits/{P}/edit", "/billing_projects/{P}/quota"):
        check("POST", path)
    for number in ("1", "2", "3"):
        names["j"] = number
        for route in ROUTES:
            if "{j}" in route.path and not (number == "3" and route.path.endswith("signed_url")):  # of which nothing was tried
                check(route.method, route.path)
    own_server.ask("PUT", f"/files/content?path={user}/x", data=b"x")
    queries = {"/files/list": f"?path={user}/x", "/files/content": f"?path={user}/x", "/batches": "?q=", "/batches/{b}/wait": "?timeout_s=0&jobs=true&seen="}
    queries |= {"/check_system_permission": "?permission=x", "/billing_breakdown": "?start=01/01/2020&end=01/01/2099"}
    queries |= dict.fromkeys(("/batches/{b}/jobs", "/batches/{b}/job-groups/{g}/jobs"), "?recursive=true")
    for route in ROUTES:
        if route.method == "GET" and "{j}" not in route.path and route.path != "/oauth2-client":
            check("GET", route.path, queries.get(route.path, ""))
    for path in ("users/{U}/remove", "close", "reopen", "close", "delete"):
        check("POST", f"/billing_projects/{{P}}/{path}")
    check("DELETE", "/users/{U}/account")
    assert ANSWERS.keys() - answered == {("POST", "/users/{U}/account"), ("PATCH", "/batches/{b}/close")}


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_request_of_the_description_makes_the_service_fail(server: Server, mode: str) -> None:
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.generation import GenerationMode

    schema = schemathesis.openapi.from_dict(document(server))
    bounded = settings(max_examples=EXAMPLES, derandomize=True, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        if mode == "negative" and operation.body.items == [] and not operation.query:
            continue
        strategy = operation.as_strategy(generation_mode=GenerationMode(mode))

        @bounded
        @given(case=strategy)
        def ask(case: Any) -> None:
            reply = case.call(base_url=f"http://127.0.0.1:{server.port}", headers={"Authorization": f"Bearer {server.token}"}, timeout=90)
            assert reply.status_code < 500, (case.as_curl_command(), reply.text)
            if reply.status_code >= 400:
                assert reply.text.startswith(f"{reply.status_code}: "), reply.text
                assert "\n" not in reply.text

        ask()
    assert len(operations) > 35
    assert server.ask("GET", "/healthcheck").status == 200

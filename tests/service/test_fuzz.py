"""Requests made up from the service's own description: whatever comes, the answer is a sentence and never a failure of the service."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.servers import Server

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

    assert {(route.method, f"/api/v1alpha{route.path}") for route in ROUTES} == {
        (method.upper(), path) for path, calls in found["paths"].items() for method in calls
    }
    for path, calls in found["paths"].items():
        for method in calls:
            reply = server.ask(
                method.upper(), path.replace("{c}", "main").replace("{b}", "1").replace("{P}", "none").format(u=1, g=1, j=1, U="nobody"), token="x"
            )
            assert reply.status in (200, 401), (method, path, reply)


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
            reply = case.call(base_url=f"http://127.0.0.1:{server.port}", headers={"Authorization": f"Bearer {server.token}"}, timeout=30)
            assert reply.status_code < 500, (case.as_curl_command(), reply.text)
            if reply.status_code >= 400:
                assert reply.text.startswith(f"{reply.status_code}: "), reply.text
                assert "\n" not in reply.text

        ask()
    assert len(operations) > 35
    assert server.ask("GET", "/healthcheck").status == 200

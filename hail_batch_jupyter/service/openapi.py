"""The document that describes all routes for clients, made of the table that answers them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from hail_batch_jupyter.service.described import ANSWERS, SCHEMAS
from hail_batch_jupyter.service.web import NUMBERS, Route

_REFUSALS = {
    "400": "what was sent makes no sense; the text says what and where",
    "401": "who asks is not known, or lacks a permission",
    "403": "a billing project or job group does not allow it",
    "404": "there is no such thing, or not for who asks",
    "405": "that is done by another method",
    "413": "the body is too large, or there is no room for it",
    "416": "there are not so many bytes",
}


def document(routes: Sequence[Route[Any]], own: Sequence[Route[Any]]) -> dict[str, Any]:
    """An OpenAPI 3.1 document of the routes of the protocol, of which those with queries have two versions, and of those beside it."""
    paths: dict[str, dict[str, Any]] = {}
    for route in own:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    for route in routes:
        for number in (1, 2) if "q" in route.query else (1,):
            paths.setdefault(f"/api/v{number}alpha{route.path}", {})[route.method.lower()] = _operation(route)
    components = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}, "schemas": dict(SCHEMAS)}
    info = {"title": "Batch service", "version": version("hail-batch-jupyter")}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": components, "security": [{"token": []}]}


def _operation(route: Route[Any]) -> dict[str, Any]:
    parameters = [_part(name) for name in re.findall(r"\{(\w+)\}", route.path)]
    parameters += [{"name": name, "in": "query", "description": about, "schema": {"type": "string"}} for name, about in route.query.items()]
    schema = ANSWERS.get((route.method, route.path))
    kind = route.gives if schema is not None or route.gives != "application/json" else ""
    answer = {"description": "done", **({"content": {kind: {"schema": schema} if schema is not None else {}}} if kind else {})}
    operation: dict[str, Any] = {"summary": route.about, "parameters": parameters, "responses": {"200": answer, **_refusals()}}
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": route.body.schema}}}
    if route.octets:
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    if route.open_to_all:
        operation["security"] = []
    return operation


def _part(name: str) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": 0} if name in NUMBERS else {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _refusals() -> dict[str, Any]:
    return {status: {"description": about, "content": {"text/plain": {}}} for status, about in _REFUSALS.items()}

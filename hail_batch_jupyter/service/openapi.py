"""The document that describes all routes for clients, made of the table that answers them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from hail_batch_jupyter.service.web import NUMBERS, Route

_REFUSALS = {
    "400": "what was sent makes no sense; the text says what and where",
    "401": "who asks is not known, or lacks a permission",
    "403": "a billing project or job group does not allow it",
    "404": "there is no such thing, or not for who asks",
    "413": "the body is too large, or there is no room for it",
    "416": "there are not so many bytes",
}


def document(routes: Sequence[Route[Any]]) -> dict[str, Any]:
    """An OpenAPI 3.1 document of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(f"/api/v1alpha{route.path}", {})[route.method.lower()] = _operation(route)
    security = {"token": {"type": "http", "scheme": "bearer"}}
    info = {"title": "Batch service", "version": version("hail-batch-jupyter")}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"securitySchemes": security}, "security": [{"token": []}]}


def _operation(route: Route[Any]) -> dict[str, Any]:
    parameters = [_part(name) for name in re.findall(r"\{(\w+)\}", route.path)]
    parameters += [{"name": name, "in": "query", "description": about, "schema": {"type": "string"}} for name, about in route.query.items()]
    answer = {"description": "done", "content": {route.gives: {}}}
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

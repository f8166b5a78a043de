"""Requests, answers and routes as values: which call answers which request, without a web framework."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO, Generic, NamedTuple, TypeVar

from hail_batch_jupyter.service.api.refusal import Refusal, not_found
from hail_batch_jupyter.service.api.shapes import Shape

_LONGEST_NUMBER = 18
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PARTS = {"b": r"\d+", "u": r"\d+", "g": r"\d+", "j": r"\d+", "c": r"\w+"}
NUMBERS = "bugj"
"""The names of the parts of a path that are numbers."""
T = TypeVar("T")


class Request(NamedTuple):
    """What was asked; `user` is '' for somebody who is not known.

    session   the browser's, '' for a client with a token        headers   by their names in lower case
    admin     of pages: whether who asks keeps the service        secure  whether who asks comes by TLS
    """

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    user: str
    session: str = ""
    headers: Mapping[str, str] = {}
    admin: bool = False
    secure: bool = False


class Piece(NamedTuple):
    """Bytes of an open file, which who sends them closes."""

    file: BinaryIO
    start: int
    n_bytes: int


class Answer(NamedTuple):
    """What is answered: the body, or a piece of a file, which is never whole in memory."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    piece: Piece | None = None


class Later(NamedTuple):
    """An answer that is waited for: `look` gives it, or None while there is none; `at_end` gives the one for who waited in vain."""

    look: Callable[[], Any]
    at_end: Callable[[], Any]
    timeout_s: float


class Asked(NamedTuple, Generic[T]):
    """A request with who can answer it; `names` are the parts of its path, and the version of the query language."""

    service: T
    request: Request
    names: Mapping[str, Any]

    @property
    def user(self) -> str:
        """Who asks."""
        return self.request.user

    @property
    def query(self) -> Mapping[str, str]:
        """What stands behind the question mark."""
        return self.request.query


class Route(NamedTuple, Generic[T]):
    """`path` has its parts in braces; `about` is a sentence for the document of all routes.

    body   the shape of what is posted        octets  whether bytes are posted instead
    query  name and meaning of what may stand behind the question mark
    of_runs  whether runs under the account of a user may ask too, for that user
    """

    method: str
    path: str
    call: Callable[[Asked[T]], Any]
    about: str
    body: Shape | None = None
    query: Mapping[str, str] = {}
    gives: str = "application/json"
    open_to_all: bool = False
    octets: bool = False
    of_runs: bool = False

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The parts of a path of this route, None for another."""
        found = _pattern(self.path).fullmatch(path) if method == self.method else None
        return None if found is None else found.groupdict()


def _pattern(path: str) -> re.Pattern[str]:
    found = _PATTERNS.get(path)
    if found is None:
        text = re.sub(r"\{(\w+)\}", lambda part: f"(?P<{part[1]}>{_PARTS.get(part[1], '[^/]+')})", path)
        found = _PATTERNS[path] = re.compile(text, re.ASCII | re.DOTALL)
    return found


_PATTERNS: dict[str, re.Pattern[str]] = {}


def find(routes: Sequence[Route[T]], method: str, path: str) -> tuple[Route[T], dict[str, Any]]:
    """The route of a request and the parts of its path; raises Refusal where there is none."""
    method = "GET" if method == "HEAD" else method
    for route in routes:
        parts = route.match(method, path)
        if parts is not None:
            return route, {key: _whole_number(text) if key in NUMBERS else text for key, text in parts.items()}
    if any(route.match(other, path) is not None for route in routes for other in _METHODS):
        raise Refusal(405, f"{method} {path} is not done here; use another method")
    raise not_found(f"there is nothing at {path}")


def answer_of(made: Any, method: str) -> Answer:
    """What a call gave, as it is sent: values become JSON, nothing is nothing."""
    if isinstance(made, Answer):
        return made
    return Answer(b"" if made is None and method != "GET" else json.dumps(made).encode())


def text(said: str, status: int = 200) -> Answer:
    """Plain text."""
    return Answer(said.encode(), "text/plain; charset=utf-8", status)


def _whole_number(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise not_found(f"there is no number {digits[:_LONGEST_NUMBER]}…")
    return int(digits)

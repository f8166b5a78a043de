"""Requests and answers over HTTP; the only module of the service that knows tornado."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import responses
from urllib.parse import unquote

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.routes import Answer, Request, Service, answer

BODY_BYTES = 8 << 20
_THREADS = 8
_REASON = 300
_log = logging.getLogger(__name__)

Tokens = Callable[[], list[tuple[str, bytes]]]


def user_of(header: str | None, tokens: list[tuple[str, bytes]]) -> str:
    """Who has the token of an Authorization header, '' for nobody; takes as long for any token."""
    scheme, _, token = (header or "").partition(" ")
    digest = hashlib.sha256(token.strip().encode(errors="surrogateescape")).digest()
    known = [user for user, expected in tokens if hmac.compare_digest(expected, digest)]
    return known[0] if known and scheme.lower() == "bearer" else ""


class _Handler(RequestHandler):
    """Every request: looked up by `routes`, answered in a thread."""

    def initialize(self, service: Service, tokens: Tokens, threads: ThreadPoolExecutor) -> None:
        self._service, self._tokens, self._threads = service, tokens, threads

    async def _any(self, *_: str) -> None:
        self.clear_header("Server")
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, self.request)
        except Refusal as refusal:
            self._refuse(refusal.status, refusal.sentence)
            return
        self.set_header("Content-Type", found.content_type)
        self.set_header("X-Content-Type-Options", "nosniff")
        if found.deprecated:
            self.set_header("X-Hail-Deprecated", found.deprecated)
        self.write(found.body)

    get = post = patch = delete = put = head = options = _any

    def _answer(self, request: HTTPServerRequest) -> Answer:
        query = {name: values[-1].decode(errors="replace") for name, values in request.query_arguments.items()}
        user = user_of(request.headers.get("Authorization"), self._tokens())
        return answer(self._service, Request(request.method or "", unquote(request.path), query, request.body, user))

    def _refuse(self, status: int, sentence: str) -> None:
        """The sentence is in the reason, where clients look for it, and whole in the body."""
        reason = sentence.encode("ascii", "replace").decode()[:_REASON]
        self.set_status(status, reason if reason.isprintable() else responses.get(status, "Refused"))
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write(f"{status}: {sentence}")

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """What went wrong here is in the log of the service, not in the answer."""
        self._refuse(status_code, "the service could not answer; its log says why" if status_code >= 500 else responses.get(status_code, "refused"))

    def log_exception(self, typ: object, value: BaseException | None, tb: object) -> None:
        """One entry in the log, with the traceback and without headers."""
        _log.error("%s %s failed", self.request.method, self.request.path, exc_info=value)


def listen(service: Service, tokens: Tokens, host: str, port: int) -> tuple[HTTPServer, int]:
    """A server in the running loop, and its port; port 0 takes a free one. Raises OSError when the port is taken."""
    threads = ThreadPoolExecutor(_THREADS, "http")
    application = Application([(r"/.*", _Handler, {"service": service, "tokens": tokens, "threads": threads})], log_function=lambda _: None)
    server = HTTPServer(application, max_body_size=BODY_BYTES, max_buffer_size=2 * BODY_BYTES)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    server.add_sockets([listener])
    return server, int(listener.getsockname()[1])

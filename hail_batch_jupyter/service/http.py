"""Requests and answers over HTTP; the only module of the service that knows tornado."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import responses
from ssl import SSLContext
from typing import TypeVar
from urllib.parse import parse_qs, unquote

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from hail_batch_jupyter.backends.own_service import BASE_PATH
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.journal import note
from hail_batch_jupyter.service.people import CSRF_FIELD, check_csrf
from hail_batch_jupyter.service.site import Site
from hail_batch_jupyter.service.web import Answer, Later, Piece, Request, answer_of

BODY_BYTES = 8 << 20
_TAKEN_BYTES = 1 << 30
"""So much of a body that is too large is read and thrown away: who is cut off while sending never reads the refusal, and sends it again for ever."""
_IDLE_S, _BODY_S = 120.0, 300.0
"""So long a connection may ask nothing, and a request may take to be sent."""
_THREADS = 8
_REASON = 300
_CHUNK_BYTES = 1 << 20
_LOOK_S = 0.02
"""So often it is looked whether there is what somebody waits for."""
_FORM = "application/x-www-form-urlencoded"
T = TypeVar("T")
_log = logging.getLogger(__name__)


@stream_request_body
class _Handler(RequestHandler):
    """Every request: looked up in the tables of routes, answered in a thread. Bodies are taken as they are, whatever they say of themselves."""

    def initialize(self, site: Site, threads: ThreadPoolExecutor) -> None:
        self._site, self._threads = site, threads
        self._parts: list[bytes] = []
        self._n_received = 0
        self._gone = self._counted = False
        self._user = ""
        self._began_s = time.monotonic()

    def prepare(self) -> None:
        """Count what is to be answered, and have the body come, also one that is too large."""
        self._site.n_open += 1
        self._counted = True
        self.request.connection.set_max_body_size(_TAKEN_BYTES)  # type: ignore[union-attr]  # the server's connections have it

    def data_received(self, chunk: bytes) -> None:
        """Keep what comes while it is not too much."""
        self._n_received += len(chunk)
        if self._n_received <= BODY_BYTES:
            self._parts.append(chunk)
        else:
            self._parts.clear()

    async def _any(self, *_: str) -> None:
        self.clear_header("Server")
        try:
            if self._n_received > BODY_BYTES:
                raise Refusal(413, f"the body has more than {BODY_BYTES >> 20} MiB; send less at a time")
            found = await self._in_thread(self._answer)
            if isinstance(found, Later):
                found = await self._waited(found)
        except Refusal as refusal:
            self._refuse(refusal.status, refusal.sentence)
            return
        await self._send(found)

    get = post = patch = delete = put = head = options = _any

    async def _send(self, found: Answer) -> None:
        self.set_status(found.status)
        self.set_header("Content-Type", found.content_type)
        self.set_header("X-Content-Type-Options", "nosniff")
        for name, value in found.headers:
            self.add_header(name, value)
        if found.piece is None:
            self.write(found.body)
        else:
            await self._send_piece(found.piece)

    async def _send_piece(self, piece: Piece) -> None:
        """Read on only when the client has taken what was read."""
        with piece.file as file:
            self.set_header("Content-Length", piece.n_bytes)
            file.seek(piece.start)
            left = piece.n_bytes if self.request.method != "HEAD" else 0
            while left and not self._gone:
                data = await self._in_thread(partial(file.read, min(left, _CHUNK_BYTES)))
                if not data:
                    break  # the file was cut: what is missing tells the client
                left -= len(data)
                self.write(data)
                await self.flush()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _waited(self, later: Later) -> Answer:
        """Looks again and again; who waits takes up no thread between two looks."""
        until_s = time.monotonic() + later.timeout_s
        while not self._gone and not self._site.closing and time.monotonic() < until_s:
            found = await self._in_thread(later.look)
            if found is not None:
                return answer_of(found, "GET")
            await asyncio.sleep(_LOOK_S)
        return answer_of(await self._in_thread(later.at_end), "GET")

    def on_connection_close(self) -> None:
        """Nobody waits any more."""
        super().on_connection_close()
        self._gone = True
        self._count_off()

    def _answer(self) -> Answer | Later:
        asked = self.request
        cookies = {name: morsel.value for name, morsel in asked.cookies.items()}
        user, session = self._site.people.who(cookies, asked.headers.get("Authorization"))
        self._user = user
        headers = {name.lower(): value for name, value in asked.headers.get_all()}
        query = {name: values[-1].decode(errors="replace") for name, values in asked.query_arguments.items()}
        body = b"".join(self._parts)
        request = Request(asked.method or "", _inside(unquote(asked.path)), query, body, user, session, headers)
        try:
            check_csrf(request.method, session, headers.get("x-csrf-token") or _form_word(asked, body), headers.get("sec-fetch-site", ""))
        except Refusal as refusal:
            return self._site.refused(request, refusal)
        return self._site.answer(request)

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
        """One entry in the log, with the traceback and without headers; none for what is the client's doing."""
        if not isinstance(value, (HTTPError, StreamClosedError)):
            _log.error("%s %s failed", self.request.method, self.request.path, exc_info=value)

    def _count_off(self) -> None:
        """Nobody waits for it any more; a method that nobody knows was never counted."""
        self._site.n_open -= self._counted
        self._counted = False

    def on_finish(self) -> None:
        """Count the request and write it down."""
        self._count_off()
        duration_s = time.monotonic() - self._began_s
        method = self.request.method if self.request.method in self.SUPPORTED_METHODS else "other"
        self._site.metrics.note_request(method or "", self.get_status(), duration_s)
        fields = {"method": self.request.method, "path": self.request.path, "status": self.get_status(), "user": self._user}
        note("answered", **fields, duration_ms=round(duration_s * 1000, 1))


def _inside(path: str) -> str:
    """The path without the beginning that clients of an https address put before it."""
    return path[len(BASE_PATH) :] if path.startswith(f"{BASE_PATH}/") else path


def _form_word(asked: HTTPServerRequest, body: bytes) -> str:
    """The word of its session that a form carries."""
    if not asked.headers.get("Content-Type", "").startswith(_FORM):
        return ""
    found = parse_qs(body.decode(errors="replace")).get(CSRF_FIELD, [""])
    return found[-1]


def listen(site: Site, host: str, port: int, tls: SSLContext | None) -> tuple[HTTPServer, int]:
    """A server in the running loop, and its port; port 0 takes a free one. Raises OSError when the port is taken."""
    threads = ThreadPoolExecutor(_THREADS, "http")
    application = Application([(r"/.*", _Handler, {"site": site, "threads": threads})], log_function=lambda _: None)
    server = HTTPServer(application, max_buffer_size=2 * BODY_BYTES, ssl_options=tls, idle_connection_timeout=_IDLE_S, body_timeout=_BODY_S)
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

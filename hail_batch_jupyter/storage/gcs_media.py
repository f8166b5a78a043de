"""The bytes of an object in one request, without what the library does around each: that is three quarters of the processor time of a small file."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

_TIMEOUT_S = 60.0
_PIECE_BYTES = 1 << 20
"""What is in memory of a file on its way."""


class Named(NamedTuple):
    """An object: bucket, name, and who pays for reading it."""

    bucket: str
    name: str
    payer: str | None


class Header(NamedTuple):
    """What the store says before the bytes of an object come; `plain` is False for one that is to be unpacked first."""

    size_bytes: int
    plain: bool
    crc32c: str


class Media:
    """Reads and writes whole objects, for any number of threads; raises GoogleAPICallError for a refusal, DataCorruption for changed bytes."""

    def __init__(self, session: AuthorizedSession, endpoint: str) -> None:
        from google.auth.credentials import AnonymousCredentials
        from google.auth.transport.requests import Request

        self._pool, self._root = _pool_of(session, endpoint)
        self._endpoint = endpoint
        self._credentials = session.credentials
        self._renews = not isinstance(session.credentials, AnonymousCredentials)
        self._refresher = Request()

    def get(self, what: Named, keep: Callable[[Iterator[bytes]], None], most_bytes: int) -> bool:
        """Give the bytes to `keep`, in pieces; False, and nothing given, for an object that is larger than `most_bytes` or packed."""
        from google.cloud.storage.exceptions import DataCorruption

        path = f"/download/storage/v1/b/{what.bucket}/o/{quote(what.name, safe='~')}?alt=media{_paid(what)}"
        response = self._ask("GET", path, {"Accept-Encoding": "gzip"})
        try:
            header = _header(response)
            if header.size_bytes > most_bytes or not header.plain:
                return False
            sum_of = Sum()
            keep(_pieces(response, sum_of))
        finally:
            _give_back(response)
        if header.crc32c and header.crc32c != sum_of.text():
            raise DataCorruption(None, f"the object has checksum {header.crc32c} and what came {sum_of.text()}")
        return True

    def put(self, what: Named, size_bytes: int, crc32c: str | None, pieces: Callable[[], Iterator[bytes]]) -> str:
        """Make or replace an object of the pieces, if they have the checksum where there is one; gives its generation."""
        from google.cloud.storage.exceptions import DataCorruption

        end = secrets.token_hex(16)
        facts = json.dumps({"name": what.name, "contentType": "application/octet-stream", **({} if crc32c is None else {"crc32c": crc32c})})
        head = f"--{end}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{facts}\r\n--{end}\r\nContent-Type: application/octet-stream\r\n\r\n".encode()
        tail = f"\r\n--{end}--\r\n".encode()
        headers = {"Content-Type": f"multipart/related; boundary={end}", "Content-Length": str(len(head) + size_bytes + len(tail))}
        path = f"/upload/storage/v1/b/{what.bucket}/o?uploadType=multipart{_paid(what)}"
        response = self._ask("POST", path, headers, lambda: _framed(head, pieces(), tail, size_bytes))
        made = json.loads(response.read())
        if crc32c is not None and made.get("crc32c", crc32c) != crc32c:
            raise DataCorruption(None, f"the object has checksum {made['crc32c']} and what was sent {crc32c}")
        return str(made["generation"])

    def _ask(self, method: str, path: str, headers: dict[str, str], body: Callable[[], Any] = lambda: None) -> BaseHTTPResponse:
        """The answer, whose bytes are still to be read."""
        response = self._send(method, path, headers, body())
        if response.status == 401 and self._renews:  # a token may be taken back before its time
            response.drain_conn()
            self._credentials.refresh(self._refresher)
            response = self._send(method, path, headers, body())
        if response.status != 200:
            raise _refusal(response)
        return response

    def _send(self, method: str, path: str, headers: dict[str, str], body: Any) -> BaseHTTPResponse:
        self._credentials.before_request(self._refresher, method, self._endpoint + path, headers)
        return self._pool.urlopen(method, self._root + path, body, headers, retries=False, timeout=_TIMEOUT_S, preload_content=False, decode_content=False)


class Sum:
    """The CRC32C of bytes that come in pieces."""

    def __init__(self) -> None:
        import google_crc32c

        self._sum = google_crc32c.Checksum()
        self.add: Callable[[bytes], object] = self._sum.update

    def text(self) -> str:
        """As the store writes it."""
        return base64.b64encode(self._sum.digest()).decode()


def crc32c_of(pieces: Iterable[bytes]) -> str:
    """The checksum of all pieces together."""
    total = Sum()
    for data in pieces:
        total.add(data)
    return total.text()


def pieces_of(fd: int, start: int, length: int) -> Iterator[bytes]:
    """A part of an open file, as far as it is there."""
    stop = start + length
    while start < stop and (data := os.pread(fd, min(_PIECE_BYTES, stop - start), start)):
        start += len(data)
        yield data


def _framed(head: bytes, pieces: Iterator[bytes], tail: bytes, size_bytes: int) -> Iterator[bytes]:
    """What is sent: of a small object all at once."""
    if size_bytes <= _PIECE_BYTES:
        yield b"".join((head, *pieces, tail))
        return
    yield head
    yield from pieces
    yield tail


def _paid(what: Named) -> str:
    return f"&userProject={quote(what.payer, safe='')}" if what.payer else ""


def _header(response: BaseHTTPResponse) -> Header:
    told = response.headers
    sums = [part.strip().partition("=") for part in told.get("x-goog-hash", "").split(",")]
    packed = (told.get("content-encoding") or "identity", told.get("x-goog-stored-content-encoding") or "identity")
    return Header(int(told.get("content-length") or 0), packed == ("identity", "identity"), next((text for name, _, text in sums if name == "crc32c"), ""))


def _pieces(response: BaseHTTPResponse, sum_of: Sum) -> Iterator[bytes]:
    while data := response.read(_PIECE_BYTES):
        sum_of.add(data)
        yield data


def _give_back(response: BaseHTTPResponse) -> None:
    """The connection is used again where all was read, which gives it back by itself; what is still to come would be taken for the next answer."""
    response.close()
    response.release_conn()


def _refusal(response: BaseHTTPResponse) -> Exception:
    from google.api_core.exceptions import from_http_status

    data = response.read()
    try:
        words = json.loads(data)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        words = data[:300].decode(errors="replace").strip() or response.reason or "no reason given"
    error: Exception = from_http_status(response.status, str(words))
    return error


def _pool_of(session: AuthorizedSession, endpoint: str) -> tuple[HTTPConnectionPool, str]:
    """The session's connections to a server, through the proxy where there is one, and what comes before a path there."""
    from requests import Request
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPConnectionPool

    adapter = session.get_adapter(endpoint)
    assert isinstance(adapter, HTTPAdapter)
    prepared = Request("GET", endpoint + "/").prepare()
    pool = adapter.get_connection_with_tls_context(prepared, session.verify, proxies=session.proxies)
    assert isinstance(pool, HTTPConnectionPool)
    return pool, adapter.request_url(prepared, session.proxies).rstrip("/")

"""Requests by the standard library alone, for a machine that has nothing else: with one token, to one service, which may be away for a while."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from hail_batch_jupyter.client.calls import Call
from hail_batch_jupyter.client.transport import Transport
from hail_batch_jupyter.errors import ServiceError

if TYPE_CHECKING:
    import requests

_PATIENCE_S = 900.0
"""A service that is started again is away for less."""


class _Answer(NamedTuple):
    """What of an answer is looked at, under the names that it has elsewhere."""

    status_code: int
    reason: str
    headers: Mapping[str, str]
    content: bytes


class PlainTransport(Transport):
    """As Transport, without packages; a connection for each request.

    certificate   text of the certificate that the service shows, '' where the system knows who signed it
    """

    def __init__(self, base_url: str, token: str, certificate: str = "") -> None:
        super().__init__(base_url, lambda: {"Authorization": f"Bearer {token}"}, patience_s=_PATIENCE_S)
        self._answered = True  # it has just begun the run for which this is
        self._certificate = certificate

    def _request(self, call: Call, headers: Mapping[str, str], timeout_s: float) -> tuple[str, requests.Response | None]:
        connection = self._connection(timeout_s)
        try:
            connection.request(call.method, urlsplit(self.base_url).path + call.path, body=call.body or None, headers=dict(headers))
            found = connection.getresponse()
            return "", cast("requests.Response", _Answer(found.status, found.reason, dict(found.getheaders()), found.read()))
        except ssl.SSLCertVerificationError as error:
            raise ServiceError(f"{self.base_url} shows a certificate that is not known here ({error.verify_message})", 0, *call[:2]) from error
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__, None
        finally:
            connection.close()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        where = urlsplit(self.base_url)
        place: dict[str, Any] = {"host": where.hostname or "", "port": where.port, "timeout": timeout_s}
        if where.scheme != "https":
            return http.client.HTTPConnection(**place)
        context = ssl.create_default_context()
        if self._certificate:
            context.load_verify_locations(cadata=self._certificate)
        return http.client.HTTPSConnection(**place, context=context)

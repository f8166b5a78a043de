"""Sending requests over HTTP: with the user's token, and again where the service or the network was at fault."""

from __future__ import annotations

import logging
import math
import os
import random
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from hail_batch_jupyter.client.calls import Call
from hail_batch_jupyter.errors import NotAuthenticatedError, ServiceError

if TYPE_CHECKING:
    import requests

TIMEOUT_S = 30.0
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 60.0
_UNREACHED_TRIES = 5
"""So often a service that never answered is tried; one that did is waited for without end, as its clients do."""
_SHOWN = 2000

_log = logging.getLogger(__name__)


class Transport:
    """Connections to one service; every method may be called from any thread.

    headers         gives what goes with a request, such as the user's token
    first_delay_s   pause before the second try; it doubles, up to a minute
    patience_s      no try begins later than this after the first one, and none takes longer; default: without end
    """

    def __init__(self, base_url: str, headers: Callable[[], Mapping[str, str]], first_delay_s: float = _FIRST_DELAY_S, patience_s: float = math.inf) -> None:
        self.base_url = base_url
        self._headers = headers
        self._first_delay_s = first_delay_s
        self._patience_s = patience_s
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._closed = threading.Event()
        self._answered = False

    def send(self, call: Call, stop: threading.Event | None = None) -> bytes:
        """The body of the answer.

        Statuses of a service in trouble and failures of the network are tried again; `stop` ends that.
        Raises NotAuthenticatedError for 401, ServiceError for every other refusal and for a service that cannot be reached.
        """
        return _content(call, self._answer(call, stop))

    def size(self, call: Call) -> int:
        """Bytes of what the call gets, of which the last one is asked for; a service that knows no parts sends all of them. Raises as `send`."""
        answer = self._answer(call._replace(part=(-1, None)), None)
        if answer.status_code == 200:
            return len(answer.content)
        whole = answer.headers.get("Content-Range", "").rpartition("/")[2]
        return int(whole) if whole.isdecimal() else 0

    def _answer(self, call: Call, stop: threading.Event | None) -> requests.Response:
        tries, began_s = 0, time.monotonic()
        while True:
            trouble, answer = self._try(call)
            if answer is not None:
                return answer
            tries += 1
            lost_patience = time.monotonic() - began_s + self._first_delay_s > self._patience_s
            if lost_patience or (not self._answered and tries >= _UNREACHED_TRIES):
                raise ServiceError(
                    f"the batch service at {self.base_url} cannot be reached ({trouble}); check the network and the setting 'domain'", 0, *call[:2]
                )
            if tries == 2 or tries % 10 == 0:
                _log.warning("%s %s: %s; try %d failed, trying again", call.method, call.path, trouble, tries)
            self._pause(tries, stop, call, trouble)

    def _pause(self, tries: int, stop: threading.Event | None, call: Call, trouble: str) -> None:
        delay_s = min(self._first_delay_s * 2.0 ** min(tries - 1, 10), _LONGEST_DELAY_S) * random.uniform(0.5, 1.0)
        until = time.monotonic() + delay_s
        while time.monotonic() < until:
            if self._closed.is_set() or (stop is not None and stop.is_set()):
                raise ServiceError(f"{call.method} {call.path} was given up ({trouble})", 0, *call[:2])
            self._closed.wait(min(0.1, max(0.0, until - time.monotonic())))

    def _try(self, call: Call) -> tuple[str, requests.Response | None]:
        """('', the answer), or (what went wrong, None) when it is worth another try."""
        headers = {**self._headers(), **({"Content-Type": call.kind} if call.body else {}), **_range(call)}
        trouble, answer = self._request(call, headers, min(TIMEOUT_S, self._patience_s))
        if answer is None:
            return trouble, None
        self._answered = True
        if "X-Hail-Deprecated" in answer.headers:
            warnings.warn(f"DEPRECATED: {answer.headers['X-Hail-Deprecated']}", UserWarning, stacklevel=2)
        if answer.status_code in _again_statuses() or (answer.status_code == 403 and b"rateLimitExceeded" in answer.content):
            return f"status {answer.status_code}", None
        if answer.status_code not in (200, 206) and not (answer.status_code == 416 and call.part is not None):
            raise _refusal(call, answer)
        return "", answer

    def _request(self, call: Call, headers: Mapping[str, str], timeout_s: float) -> tuple[str, requests.Response | None]:
        """('', what came back), or (why nothing did, None); raises ServiceError for what cannot be sent."""
        import requests

        try:
            return "", self._session().request(
                call.method, self.base_url + call.path, data=call.body or None, headers=headers, timeout=timeout_s, allow_redirects=False
            )
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError) as error:
            return type(error).__name__, None
        except requests.RequestException as error:
            raise ServiceError(f"{call.method} {self.base_url}{call.path} cannot be sent ({error}); check the setting 'domain'", 0, *call[:2]) from error

    def _session(self) -> requests.Session:
        """This thread's connections."""
        import requests

        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.auth = _as_it_is
            self._sessions.append(session)
        return session

    def close(self) -> None:
        """Close all connections and end all waiting; again does nothing more."""
        self._closed.set()
        for session in self._sessions:
            session.close()


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Without it, a password of that host in ~/.netrc would take the place of the token."""
    return request


def _content(call: Call, answer: requests.Response) -> bytes:
    """What was asked for: of a service that knows no parts, cut out of the whole."""
    if answer.status_code == 416:
        return b""
    return answer.content if answer.status_code == 206 or call.part is None else _cut(answer.content, *call.part)


def _range(call: Call) -> dict[str, str]:
    """The header that asks for a part; a service that does not know it answers with the whole."""
    start, length = call.part or (0, None)
    if length == 0 or (start < 0 and length is not None and length < -start):
        return {}  # no range says these
    if start < 0:
        return {"Range": f"bytes={start}"}
    return {"Range": f"bytes={start}-{'' if length is None else start + length - 1}"} if start or length is not None else {}


def _cut(data: bytes, start: int, length: int | None) -> bytes:
    begin = max(0, len(data) + start) if start < 0 else start
    return data[begin:] if length is None else data[begin : begin + length]


def _again_statuses() -> frozenset[int]:
    return _AGAIN - {500} if os.environ.get("HAIL_DONT_RETRY_500") == "1" else _AGAIN


def _refusal(call: Call, answer: requests.Response) -> ServiceError:
    """The refusal as an error; what the service says is in the body, or else in the reason."""
    said = answer.content.decode(errors="replace").strip()[:_SHOWN] or (answer.reason or "")
    path = call.path.partition("?")[0]
    facts = (answer.status_code, call.method, path, said)
    if answer.status_code == 401:
        return NotAuthenticatedError(
            "Not authenticated with Hail Batch: the service does not know this token; log in again with `hail-batch-jupyter auth login`", *facts
        )
    if 300 <= answer.status_code < 400:
        return ServiceError(f"{call.method} {path}: the service answered with another address; check the setting 'domain'", *facts)
    told = said if said.startswith(str(answer.status_code)) else f"{answer.status_code}: {said}"
    return ServiceError(f"the batch service refused {call.method} {path}: {told}", *facts)

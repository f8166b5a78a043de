"""What Microsoft's identity platform answers to a client that asks for tokens, on loopback: strict about every word of the request."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

TENANT, APP, SECRET, SCOPE = "a-tenant", "an-app", "pass~word", "api://hail/.default"
LASTING = {"openid", "profile", "offline_access"}


class Entra:
    """One tenant with one app; each refresh token may be used once, and gives the next."""

    def __init__(self) -> None:
        self.refresh_token = "refresh-0"
        self.asked: list[dict[str, str]] = []
        self.broken: list[int] = []
        """Statuses of the next answers, before it works again."""
        self.lives_s: object = 3600
        self.challenge = ""
        self.redirect_uri = ""
        self.url = ""

    def answer(self, path: str, words: Mapping[str, str]) -> tuple[int, dict[str, object]]:
        if path != f"/{TENANT}/oauth2/v2.0/token":
            return 400, _refusal("invalid_request", 90002)
        if words.get("client_id") != APP:
            return 400, _refusal("unauthorized_client", 700016)
        checks = {"refresh_token": self._refreshed, "client_credentials": self._as_principal, "authorization_code": self._logged_in}
        check = checks.get(words.get("grant_type", ""))
        return (400, _refusal("unsupported_grant_type", 70003)) if check is None else check(words)

    def _refreshed(self, words: Mapping[str, str]) -> tuple[int, dict[str, object]]:
        if words.get("refresh_token") != self.refresh_token or "client_secret" in words:
            return 400, _refusal("invalid_grant", 70043)
        return self._for_user(words)

    def _logged_in(self, words: Mapping[str, str]) -> tuple[int, dict[str, object]]:
        verified = base64.urlsafe_b64encode(hashlib.sha256(words.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        if (words.get("code"), verified, words.get("redirect_uri")) != ("good", self.challenge, self.redirect_uri):
            return 400, _refusal("invalid_grant", 70008)
        return self._for_user(words)

    def _for_user(self, words: Mapping[str, str]) -> tuple[int, dict[str, object]]:
        if set(words["scope"].split()) != {SCOPE, *LASTING}:
            return 400, _refusal("invalid_scope", 70011)
        self.refresh_token = f"refresh-{len(self.asked)}"
        return 200, {**self._token(), "refresh_token": self.refresh_token, "id_token": "x.y.z"}

    def _as_principal(self, words: Mapping[str, str]) -> tuple[int, dict[str, object]]:
        if words.get("client_secret") != SECRET:
            return 401, _refusal("invalid_client", 7000215)
        return (200, self._token()) if words["scope"] == SCOPE else (400, _refusal("invalid_scope", 70011))

    def _token(self) -> dict[str, object]:
        return {"access_token": f"token-{len(self.asked)}", "token_type": "Bearer", "expires_in": self.lives_s}


def _refusal(kind: str, number: int) -> dict[str, object]:
    """As it is told: the description repeats much of what was sent."""
    return {"error": kind, "error_description": f"AADSTS{number}: {SECRET} was sent. Trace ID: 1", "error_codes": [number]}


@contextmanager
def entra() -> Iterator[Entra]:
    """The platform, until the end of the block."""
    found = Entra()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            words = {name: values[0] for name, values in parse_qs(body, strict_parsing=True).items()}
            found.asked.append(words)
            status, told = (found.broken.pop(0), {}) if found.broken else found.answer(self.path, words)
            self.reply(status, told)

        def do_GET(self) -> None:
            """The endpoint of a machine's own identity, which needs no secret."""
            query = parse_qs(urlsplit(self.path).query)
            mine = self.headers.get("X-IDENTITY-HEADER") == "of this machine" and query.get("resource") == [SCOPE.removesuffix("/.default")]
            told = {"access_token": "of the machine", "expires_on": "4102444800", "resource": "r", "token_type": "Bearer"}
            self.reply(200 if mine else 400, {**told} if mine else {})

        def reply(self, status: int, told: dict[str, object]) -> None:
            data = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

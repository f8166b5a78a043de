from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import pytest

from hail_batch_jupyter.client.auth import headers_of
from hail_batch_jupyter.config.deploy import Deployment
from hail_batch_jupyter.errors import CapabilityError, ConfigError, NotAuthenticatedError

HERE = Deployment("gce", terra=True)


class TokenGiver:
    """What Google's token address does: a new token for a known refresh token."""

    def __init__(self) -> None:
        self.given = 0
        giver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                known = asked["refresh_token"] == ["known"]
                giver.given += known
                answer = {"access_token": f"token-{giver.given}", "expires_in": 3600, "token_type": "Bearer"} if known else {"error": "invalid_grant"}
                data = json.dumps(answer).encode()
                self.send_response(200 if known else 400)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/token"
        self.thread = Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def giver() -> Iterator[TokenGiver]:
    made = TokenGiver()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a configuration folder with a stored token in them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("HAIL_TOKENS_FILE", "HAIL_IDENTITY_PROVIDER_JSON", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".hail").mkdir()
    (tmp_path / "hail").mkdir()
    (tmp_path / ".hail" / "tokens.json").write_text(json.dumps({"default": "stored", "ada": "of-ada"}))
    return tmp_path


def identity(giver: TokenGiver, refresh_token: str = "known") -> str:
    credentials = {"type": "authorized_user", "refresh_token": refresh_token, "client_id": "i", "client_secret": "s", "token_uri": giver.url}
    return json.dumps({"idp": "Google", "credentials": credentials})


def test_an_argument_comes_before_an_identity_and_that_before_a_stored_token(giver: TokenGiver, home: Path) -> None:
    assert headers_of(None, HERE)() == {"Authorization": "Bearer stored"}
    (home / "hail" / "identity.json").write_text(identity(giver))
    assert headers_of(None, HERE)() == {"Authorization": "Bearer token-1"}
    assert headers_of("mine", HERE)() == {"Authorization": "Bearer mine"}


def test_a_token_is_used_until_it_is_old(giver: TokenGiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_IDENTITY_PROVIDER_JSON", identity(giver))
    headers = headers_of(None, HERE)

    assert headers() == headers() == {"Authorization": "Bearer token-1"}
    assert giver.given == 1


def test_another_namespace_is_reached_through_a_gateway() -> None:
    found = headers_of(None, Deployment(namespace="ada"))()

    assert found == {"Authorization": "Bearer of-ada", "X-Hail-Internal-Authorization": "Bearer stored"}


def test_an_identity_that_google_refuses_says_how_to_log_in(giver: TokenGiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_IDENTITY_PROVIDER_JSON", identity(giver, "revoked"))

    with pytest.raises(NotAuthenticatedError, match=r"Google gives no token \(RefreshError\); log in"):
        headers_of(None, HERE)()


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("{", ConfigError, "cannot be read"),
        ("{}", ConfigError, "cannot be read"),
        ('{"idp": "Google", "credentials": {"type": "authorized_user"}}', ConfigError, r"cannot be used \(KeyError\); log in"),
        ('{"idp": "Google", "credentials": {"type": "service_account"}}', ConfigError, "cannot be used"),
        ('{"idp": "Microsoft", "credentials": {}}', ConfigError, "the Microsoft identity cannot be used: it has no 'appId'; log in"),
        ('{"idp": "Microsoft", "credentials": {"appId": "a", "tenant": "t"}}', ConfigError, "it has no 'password'"),
        ('{"idp": "Microsoft", "credentials": "x"}', ConfigError, "the Microsoft identity cannot be used"),
        ('{"idp": "Other", "credentials": {}}', CapabilityError, "'Other' cannot be used by this version"),
    ],
)
def test_an_identity_that_is_no_use_is_told(text: str, error: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_IDENTITY_PROVIDER_JSON", text)

    with pytest.raises(error, match=words):
        headers_of(None, HERE)

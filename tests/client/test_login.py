"""Logging in and out by the command line, against a deployment and an identity provider on loopback."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests

from hail_batch_jupyter.cli import main
from hail_batch_jupyter.client.auth import headers_of
from hail_batch_jupyter.config.deploy import deployment
from tests.client.entra import APP, LASTING, SCOPE, TENANT, entra
from tests.conftest import RUNS

USERS = {"session": "ann", "access": "ann", "made": "ann", "token-1": "ann", "token-2": "ann"}
"""Token -> whose it is."""


class Deployment:
    """The login calls of a deployment, and of the identity provider that it names."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.asked: dict[str, str] = {}
        self.challenge = ""
        self.idp = "Google"
        here = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = urlsplit(self.path)
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                if found.path == "/api/v1alpha/oauth2-client" and here.idp == "none":
                    self.answer(404, {})
                elif found.path == "/api/v1alpha/oauth2-client":
                    self.answer(200, {"idp": here.idp, "oauth2_client": here.app or {"installed": here.client}})
                elif found.path == "/api/v1alpha/userinfo" and token in USERS:
                    self.answer(200, {"username": USERS[token]})
                else:
                    self.answer(401, {})

            def do_POST(self) -> None:
                found, body = urlsplit(self.path), self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                if found.path == "/api/v1alpha/copy-paste-login":
                    good = parse_qs(found.query) == {"copy_paste_token": ["copied"]}
                    self.answer(200 if good else 401, {"token": "session", "username": "ann"} if good else {})
                elif found.path == "/api/v1alpha/logout":
                    here.ended.append(self.headers["Authorization"])
                    self.answer(200, {})
                else:
                    here.asked = {name: values[0] for name, values in parse_qs(body).items()}
                    verified = base64.urlsafe_b64encode(hashlib.sha256(here.asked.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
                    good = here.asked["grant_type"] == "refresh_token" or (here.asked["code"] == "good" and verified == here.challenge)
                    tokens = {"access_token": "access", "refresh_token": "refresh", "expires_in": 3600, "token_type": "Bearer"}
                    self.answer(200 if good else 400, tokens if good else {"error": "invalid_grant"})

            def answer(self, status: int, content: object) -> None:
                data = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.app: dict[str, str] = {}
        self.client = {"client_id": "id", "client_secret": "known to all", "auth_uri": "https://provider/auth", "token_uri": f"{self.url}/token"}
        threading.Thread(target=self.server.serve_forever).start()

    def back_from(self, address: str, **changed: str) -> str:
        """Where a browser ends that went to the provider's address."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        self.challenge = query["code_challenge"]
        words = {"state": query["state"], "code": "good", **changed}
        return query["redirect_uri"] + "?" + "&".join(f"{name}={quote(value)}" for name, value in words.items() if value)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """A deployment that the settings of this process point at."""
    import os

    found = Deployment()
    for name in [name for name in os.environ if name.startswith("HAIL_") and name != RUNS]:
        monkeypatch.delenv(name)
    places = {"HAIL_TERRA": "1", "HAIL_LOCATION": "gce", "HAIL_DOMAIN": found.url.partition("://")[2]}
    for name, value in {**places, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}.items():
        monkeypatch.setenv(name, value)
    yield found
    found.server.shutdown()
    found.server.server_close()


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_browser_comes_back_with_an_identity(site: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def browse(address: str) -> bool:
        threading.Thread(target=lambda: requests.get(site.back_from(address), timeout=90)).start()
        return True

    monkeypatch.setattr("webbrowser.open", browse)

    assert main(["auth", "login"]) == 0

    kept = tmp_path / "config" / "hail" / "identity.json"
    assert capsys.readouterr().out.endswith("as ann.\n")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert json.loads(kept.read_text())["credentials"] == {
        "client_id": "id", "client_secret": "known to all", "refresh_token": "refresh", "type": "authorized_user", "token_uri": f"{site.url}/token",
    }  # fmt: skip
    assert headers_of(None, deployment())() == {"Authorization": "Bearer access"}
    assert main(["auth", "list"]) == 0
    assert str(kept) in capsys.readouterr().out
    assert main(["auth", "logout"]) == 0
    assert not kept.exists()


def test_a_browser_comes_back_from_microsoft_to_localhost_with_an_identity(
    site: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.idp, site.app = "Microsoft", {"appId": APP, "tenant": TENANT, "userOauthScope": SCOPE, "appIdentifierUri": "api://hail"}
    with entra() as platform:
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", platform.url)

        def browse(address: str) -> bool:
            query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
            assert address.startswith(f"{platform.url}/{TENANT}/oauth2/v2.0/authorize?")
            assert (query["client_id"], query["response_type"], query["code_challenge_method"]) == (APP, "code", "S256")
            assert set(query["scope"].split()) == {SCOPE, *LASTING}
            platform.challenge, platform.redirect_uri = query["code_challenge"], query["redirect_uri"]
            assert urlsplit(platform.redirect_uri)[:3] == ("http", f"localhost:{urlsplit(platform.redirect_uri).port}", "")
            back = platform.redirect_uri.replace("localhost", "127.0.0.1")  # which a browser knows it as
            threading.Thread(target=lambda: requests.get(f"{back}/?state={quote(query['state'])}&code=good", timeout=10)).start()
            return True

        monkeypatch.setattr("webbrowser.open", browse)
        assert main(["auth", "login"]) == 0
        assert capsys.readouterr().out.endswith("as ann.\n")
        kept = json.loads((tmp_path / "config" / "hail" / "identity.json").read_text())
        assert kept == {"idp": "Microsoft", "credentials": {**site.app, "refreshToken": "refresh-1"}}
        assert headers_of(None, deployment())() == {"Authorization": "Bearer token-2"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "as ann."),
        ({"state": "of another"}, "does not belong to this login"),
        ({"code": "", "error": "access_denied"}, "gave no code (access_denied)"),
        ({"code": "stolen"}, "gave no lasting access (invalid_grant)"),
    ],
)
def test_without_a_browser_the_address_is_copied(
    site: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changed: dict[str, str], words: str
) -> None:
    class Hand(io.StringIO):
        def readline(self, *_: object) -> str:
            address = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("https://provider/auth?"))
            return site.back_from(address, **changed) + "\n"

    monkeypatch.setattr("sys.stdin", Hand())

    status = main(["auth", "login", "--no-browser"])

    said = capsys.readouterr()
    assert (status, words in said.out + said.err) == (int(bool(changed)), True), said
    assert (tmp_path / "config" / "hail" / "identity.json").exists() is not bool(changed)


def test_a_copied_word_and_a_token_are_kept_listed_and_forgotten(
    site: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = tmp_path / ".hail" / "tokens.json"

    assert main(["auth", "login", "--copy-paste-token", "copied"]) == 0
    assert (json.loads(tokens.read_text()), stat.S_IMODE(tokens.stat().st_mode)) == ({"default": "session"}, 0o600)

    tokens.write_text(json.dumps({"default": "session", "other": "kept"}))
    typed(monkeypatch, "made\n")
    assert main(["auth", "login", "--token"]) == 0
    assert json.loads(tokens.read_text()) == {"default": "made", "other": "kept"}

    capsys.readouterr()
    assert main(["auth", "list"]) == 0
    assert capsys.readouterr().out == "* default\n  other\n"
    assert main(["auth", "logout"]) == 0
    assert (site.ended, json.loads(tokens.read_text())) == (["Bearer made"], {"other": "kept"})
    assert main(["auth", "logout"]) == 0
    assert capsys.readouterr().out == "Logged out.\nNot logged in to namespace 'default'; nothing was changed.\n"


def test_what_the_deployment_does_not_know_is_not_kept(
    site: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for typed_in, words in (("wrong\n", "does not know this token"), ("\n", "no token was given")):
        typed(monkeypatch, typed_in)
        assert main(["auth", "login", "--token"]) == 1
        assert words in capsys.readouterr().err
    assert main(["auth", "login", "--copy-paste-token", "wrong"]) == 1
    for site.idp, words in (
        ("none", "has no browser login"),
        ("Other", "'Other' cannot be used"),
        ("Microsoft", "does not say how to log in at Microsoft (KeyError('appId'))"),
    ):
        assert main(["auth", "login"]) == 1
        assert words in capsys.readouterr().err
    assert not (tmp_path / ".hail").exists()

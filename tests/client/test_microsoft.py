"""Tokens of Microsoft identities, against an identity platform on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from hail_batch_jupyter.client import microsoft
from hail_batch_jupyter.client.auth import headers_of
from hail_batch_jupyter.client.providers import provider_of
from hail_batch_jupyter.config.deploy import Deployment
from hail_batch_jupyter.errors import ConfigError, NotAuthenticatedError
from tests.client.entra import APP, SCOPE, SECRET, TENANT, Entra, entra

HERE = Deployment("gce", terra=True)
APP_OF_HAIL = {"appId": APP, "tenant": TENANT, "userOauthScope": SCOPE, "appIdentifierUri": "api://hail"}
USER = {**APP_OF_HAIL, "refreshToken": "refresh-0"}
PRINCIPAL = {"appId": APP, "tenant": TENANT, "password": SECRET, "userOauthScope": SCOPE}


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Entra]:
    """The identity platform that this process asks, in a home without any identity."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(microsoft, "_PAUSE_S", 0.0)
    for name in ("HAIL_IDENTITY_PROVIDER_JSON", "AZURE_APPLICATION_CREDENTIALS", "HAIL_AZURE_OAUTH_SCOPE", "AZURE_TENANT_ID", "AZURE_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    with entra() as found:
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", found.url)
        yield found


def identify(monkeypatch: pytest.MonkeyPatch, credentials: Any = None) -> None:
    spec = {"idp": "Microsoft", **({"credentials": credentials} if credentials is not None else {})}
    monkeypatch.setenv("HAIL_IDENTITY_PROVIDER_JSON", json.dumps(spec))


def token() -> str:
    return headers_of(None, HERE)()["Authorization"].removeprefix("Bearer ")


def test_a_user_is_known_by_a_refresh_token_which_may_change_with_each_use(platform: Entra, tmp_path: Path) -> None:
    (tmp_path / "hail").mkdir()
    (tmp_path / "hail" / "identity.json").write_text(json.dumps({"idp": "Microsoft", "credentials": USER}))
    headers = headers_of(None, HERE)

    assert headers() == headers() == {"Authorization": "Bearer token-1"}
    assert (len(platform.asked), platform.asked[0]["grant_type"]) == (1, "refresh_token")
    platform.lives_s = 0
    again = microsoft.MicrosoftTokens({**USER, "refreshToken": platform.refresh_token})
    assert [again.token(), again.token()] == ["token-2", "token-3"]


@pytest.mark.parametrize("where", ["identity", "file", "scope of the environment"])
def test_a_service_principal_is_known_by_its_password(platform: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    identify(monkeypatch, PRINCIPAL if where == "identity" else None)
    if where != "identity":
        (tmp_path / "key.json").write_text(json.dumps({"appId": APP, "tenant": TENANT, "password": SECRET, "objectId": "o"}))
        monkeypatch.setenv("AZURE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        monkeypatch.setenv("HAIL_AZURE_OAUTH_SCOPE", SCOPE)

    assert token() == "token-1"
    assert platform.asked == [{"grant_type": "client_credentials", "client_id": APP, "client_secret": SECRET, "scope": SCOPE}]


def test_a_machine_has_an_identity_of_its_own(platform: Entra, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("azure.identity", reason="azure-identity is not installed")
    identify(monkeypatch)
    monkeypatch.delenv("AZURE_AUTHORITY_HOST")
    for name, value in {"IDENTITY_ENDPOINT": f"{platform.url}/identity", "IDENTITY_HEADER": "of this machine", "HAIL_AZURE_OAUTH_SCOPE": SCOPE}.items():
        monkeypatch.setenv(name, value)

    assert token() == "of the machine"


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        ({**USER, "refreshToken": "revoked"}, r"Microsoft gives no token \(invalid_grant, AADSTS70043\); log in with"),
        ({**PRINCIPAL, "password": "wrong"}, r"\(invalid_client, AADSTS7000215\)"),
        ({**PRINCIPAL, "appId": "other"}, r"\(unauthorized_client, AADSTS700016\)"),
        ({**PRINCIPAL, "tenant": "../a-tenant/x"}, r"\(invalid_request, AADSTS90002\)"),
    ],
)
def test_what_microsoft_refuses_is_told_without_what_was_sent(
    platform: Entra, monkeypatch: pytest.MonkeyPatch, credentials: dict[str, str], words: str
) -> None:
    identify(monkeypatch, credentials)

    with pytest.raises(NotAuthenticatedError, match=words) as found:
        token()
    assert SECRET not in str(found.value)
    assert len(platform.asked) == 1


def test_what_passes_is_tried_again_and_an_old_token_is_used_meanwhile(platform: Entra, monkeypatch: pytest.MonkeyPatch) -> None:
    identify(monkeypatch, PRINCIPAL)
    platform.broken = [503, 429]
    assert (token(), len(platform.asked)) == ("token-3", 3)

    platform.broken = [500] * 3
    with pytest.raises(NotAuthenticatedError, match=r"127\.0\.0\.1 cannot be asked \(ConnectionError\)"):
        token()

    now_s = 100.0
    tokens = microsoft.MicrosoftTokens(PRINCIPAL, lambda: now_s)
    first = tokens.token()
    now_s += 2000
    platform.broken = [500] * 3
    assert (tokens.token(), tokens.token(), platform.broken) == (first, first, [])
    now_s += 1600
    assert tokens.token() != first


def test_secrets_are_not_sent_in_the_clear(platform: Entra, monkeypatch: pytest.MonkeyPatch) -> None:
    identify(monkeypatch, PRINCIPAL)
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "http://login.example")
    with pytest.raises(ConfigError, match="'http://login.example' is not reached by https"):
        token()
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "login.microsoftonline.us/")
    assert microsoft.endpoint("t", "token") == "https://login.microsoftonline.us/t/oauth2/v2.0/token"
    monkeypatch.delenv("AZURE_AUTHORITY_HOST")
    assert microsoft.endpoint("t", "token") == "https://login.microsoftonline.com/t/oauth2/v2.0/token"


def test_a_login_comes_back_to_localhost_where_microsoft_takes_any_port(platform: Entra) -> None:
    provider = provider_of({"idp": "Microsoft", "oauth2_client": APP_OF_HAIL})

    assert provider.back("http://127.0.0.1:4711/") == "http://localhost:4711"
    assert parse_qs(urlsplit(provider.auth_uri).query) == {}
    assert provider.identity("r") == {"idp": "Microsoft", "credentials": {**APP_OF_HAIL, "refreshToken": "r"}}

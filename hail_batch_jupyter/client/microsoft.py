"""Access tokens of Microsoft identities: by a refresh token that logging in left, by the password of a service principal, or by what the environment has.

Source: the Batch Service's protocol, section 3.2; https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow and
…/v2-oauth2-client-creds-grant-flow.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from hail_batch_jupyter.errors import ConfigError, MissingPackageError, NotAuthenticatedError

AUTHORITY_HOST = "AZURE_AUTHORITY_HOST"
_AUTHORITY = "https://login.microsoftonline.com"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MANAGEMENT = "https://management.azure.com/.default"
_PATIENCE_S = 20.0
_TRIES = 3
_PAUSE_S = 1.0
_MARGIN_S = 60.0
"""A token is not used any more so long before its end."""
_AGAIN_S = 30.0
"""So long an old token is used before a new one is asked for again."""
_NUMBER = re.compile(r"AADSTS\d+")
LASTING = "openid profile offline_access"
"""Scopes beside that of the service: who it is, and access that lasts."""


class Given(NamedTuple):
    """A token and the seconds that it lives."""

    token: str
    lives_s: float


class MicrosoftTokens:
    """Access tokens of one Microsoft identity, each until half its life is over; may be used from any thread.

    Where no new one can be had then, the old one is used to its end.

    credentials  `appId`, `tenant` and `userOauthScope`, with `refreshToken` of a user or `password` of a service principal; None for those of the environment
    clock        seconds
    """

    def __init__(self, credentials: Mapping[str, Any] | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = _asker(credentials)
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._renew_s = self._end_s = 0.0

    def token(self) -> str:
        """A token that is valid now; raises NotAuthenticatedError when Microsoft gives none."""
        with self._lock:
            if not self._token or self._clock() > self._renew_s:
                self._renew()
            return self._token

    def _renew(self) -> None:
        try:
            given = self._ask()
        except NotAuthenticatedError:
            if self._clock() > self._end_s - _MARGIN_S:
                raise
            self._renew_s = self._clock() + _AGAIN_S
            return
        self._token, now_s = given.token, self._clock()
        self._renew_s, self._end_s = now_s + given.lives_s / 2, now_s + given.lives_s


def authority() -> str:
    """Where Microsoft's identities are, without a slash at its end; $AZURE_AUTHORITY_HOST names that of another cloud.

    Raises ConfigError for one that secrets would reach in the clear.
    """
    named = os.environ.get(AUTHORITY_HOST, "") or _AUTHORITY
    url = (named if "://" in named else f"https://{named}").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise ConfigError(f"{AUTHORITY_HOST} {named!r} is not reached by https, and secrets are sent there; name it with https://")
    return url


def endpoint(tenant: str, what: str) -> str:
    """The address of a tenant that gives tokens ('token'), or that users log in at ('authorize')."""
    return f"{authority()}/{quote(tenant, safe='')}/oauth2/v2.0/{what}"


def posted(url: str, words: Mapping[str, str]) -> dict[str, Any]:
    """The answer of a token address; raises NotAuthenticatedError with what it says, never with what was sent.

    What passes, such as a network that is away, is tried three times.
    """
    for left in reversed(range(_TRIES)):
        try:
            return _posted_once(url, words)
        except NotAuthenticatedError as error:
            if not left or not isinstance(error.__cause__, OSError):
                raise
            time.sleep(_PAUSE_S)
    raise AssertionError("the last try gives an answer or raises")


def _posted_once(url: str, words: Mapping[str, str]) -> dict[str, Any]:
    import requests

    try:
        answer = requests.post(url, data=dict(words), timeout=_PATIENCE_S, allow_redirects=False)
        if answer.status_code == 429 or answer.status_code >= 500:
            raise requests.ConnectionError(f"answered {answer.status_code}")
        given = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise _refused(f"{urlsplit(url).hostname} cannot be asked ({type(error).__name__})") from error
    if answer.status_code != 200 or not isinstance(given, dict) or not isinstance(given.get("access_token"), str):
        raise _refused(f"Microsoft gives no token ({_told(given)})")
    return given


def _refused(what: str) -> NotAuthenticatedError:
    return NotAuthenticatedError(f"Not authenticated with Hail Batch: {what}; log in with `hail-batch-jupyter auth login`, or pass ServiceBackend(token=…)")


def _told(given: Any) -> str:
    """What a refusal says: the kind, and the number by which Microsoft's pages explain it."""
    if not isinstance(given, dict):
        return "no JSON object"
    number = _NUMBER.search(str(given.get("error_description", "")))
    return ", ".join([str(given.get("error", "no reason told"))[:60], *([number[0]] if number else [])])


def _asker(found: Mapping[str, Any] | None) -> Callable[[], Given]:
    """What gets a new token."""
    scope = os.environ.get("HAIL_AZURE_OAUTH_SCOPE") or _MANAGEMENT
    if found is None:
        file = _credentials_file()
        if file is None:
            return _of_environment(scope)
        found = {"userOauthScope": scope, **_read(file)}
    try:
        client_id, tenant, scope = (str(part) for part in (found["appId"], found["tenant"], found.get("userOauthScope", scope)))
        if "refreshToken" in found:
            return _Refreshing(endpoint(tenant, "token"), client_id, str(found["refreshToken"]), scope)
        words = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": str(found["password"]), "scope": scope}
    except (KeyError, TypeError) as error:
        raise ConfigError(f"the Microsoft identity cannot be used: it has no {error}; log in with `hail-batch-jupyter auth login`") from error
    url = endpoint(tenant, "token")
    return lambda: _given(posted(url, words))


class _Refreshing:
    """Tokens by a refresh token; Microsoft may give another one with each, which is used from then on."""

    def __init__(self, url: str, client_id: str, refresh_token: str, scope: str) -> None:
        self._url = url
        self._words = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token, "scope": f"{scope} {LASTING}"}

    def __call__(self) -> Given:
        given = posted(self._url, self._words)
        self._words["refresh_token"] = str(given.get("refresh_token") or self._words["refresh_token"])
        return _given(given)


def _given(answer: Mapping[str, Any]) -> Given:
    try:
        return Given(answer["access_token"], float(answer.get("expires_in", 0)))
    except (TypeError, ValueError):
        return Given(answer["access_token"], 0.0)


def _credentials_file() -> Path | None:
    """The key of a service principal, where a job or its user has one."""
    named = os.environ.get("AZURE_APPLICATION_CREDENTIALS")
    candidates = [*([named] if named else []), "/azure-credentials/credentials.json", "/gsa-key/key.json"]
    return next((path for path in map(Path, candidates) if path.is_file()), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the Microsoft credentials in {str(path)!r} cannot be read ({type(error).__name__}); mend the file, or name another") from error
    if not isinstance(found, dict):
        raise ConfigError(f"the Microsoft credentials in {str(path)!r} are no JSON object; mend the file, or name another")
    return found


def _of_environment(scope: str) -> Callable[[], Given]:
    """By azure-identity: variables, the identity of the machine, what `az login` left."""
    try:
        from azure.core.exceptions import AzureError
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise MissingPackageError(
            "a Microsoft identity of the environment needs a package that is not installed; pip install 'hail-batch-jupyter[azure]'"
        ) from error
    credential = DefaultAzureCredential()

    def ask() -> Given:
        try:
            found = credential.get_token(scope)
        except AzureError as error:
            raise _refused(f"Microsoft gives no token ({type(error).__name__})") from error
        return Given(found.token, found.expires_on - time.time())

    return ask

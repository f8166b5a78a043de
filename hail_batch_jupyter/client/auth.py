"""Who asks: the token that goes with each request, from an argument, an identity of Google or Microsoft, or what logging in has left.

Source: the Batch Service's protocol, section 3.2.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from hail_batch_jupyter.client.microsoft import MicrosoftTokens
from hail_batch_jupyter.config.deploy import Deployment, stored_token
from hail_batch_jupyter.config.files import identity_file
from hail_batch_jupyter.errors import CapabilityError, ConfigError, NotAuthenticatedError

SCOPES = [f"https://www.googleapis.com/auth/userinfo.{what}" for what in ("profile", "email")] + ["openid"]
GOOGLE_TOKENS = "https://oauth2.googleapis.com/token"
_LOG_IN = "log in with `hail-batch-jupyter auth login`, or pass ServiceBackend(token=…)"

Headers = Callable[[], Mapping[str, str]]


def headers_of(token: str | None, place: Deployment) -> Headers:
    """What tells the service who asks; asked for before each request, because tokens of identities last an hour.

    Raises NotAuthenticatedError when nothing does.
    """
    source = _source(token, place.namespace)
    if place.location != "external" or place.namespace == "default":
        return lambda: {"Authorization": f"Bearer {source()}"}
    gateway = _source(None, "default")
    return lambda: {"Authorization": f"Bearer {source()}", "X-Hail-Internal-Authorization": f"Bearer {gateway()}"}


def _source(token: str | None, namespace: str) -> Callable[[], str]:
    """What gives the token: an argument, else an identity, else the stored one."""
    identity = _identity() if token is None else None
    if identity is not None:
        return identity
    fixed = stored_token(namespace) if token is None else token
    return lambda: fixed


def _identity() -> Callable[[], str] | None:
    """Tokens of the identity in $HAIL_IDENTITY_PROVIDER_JSON or identity.json, None without one."""
    text, where = os.environ.get("HAIL_IDENTITY_PROVIDER_JSON"), "HAIL_IDENTITY_PROVIDER_JSON"
    path = identity_file()
    if not text and path.is_file():
        text, where = path.read_text(encoding="utf-8"), repr(str(path))
    if not text:
        return None
    try:
        found = json.loads(text)
        provider, credentials = found["idp"], found.get("credentials")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"the identity in {where} cannot be read ({type(error).__name__}); {_LOG_IN}") from error
    if provider not in ("Google", "Microsoft"):
        raise CapabilityError(f"identities of {provider!r} cannot be used by this version; pass ServiceBackend(token=…)")
    return GoogleTokens(credentials).token if provider == "Google" else MicrosoftTokens(credentials).token


class GoogleTokens:
    """Access tokens of one Google identity, each until it is old; may be used from any thread.

    credentials  a service account's key, or a user's refresh token; None for those of the environment
    """

    def __init__(self, credentials: Mapping[str, Any] | None) -> None:
        self._credentials = _google_credentials(credentials)
        self._lock = threading.Lock()

    def token(self) -> str:
        """A token that is valid now; raises NotAuthenticatedError when Google gives none."""
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request

        with self._lock:
            if not self._credentials.valid:
                try:
                    self._credentials.refresh(Request())
                except GoogleAuthError as error:
                    raise NotAuthenticatedError(f"Not authenticated with Hail Batch: Google gives no token ({type(error).__name__}); {_LOG_IN}") from error
            return str(self._credentials.token)


def _google_credentials(found: Mapping[str, Any] | None) -> Any:
    from google.auth import default
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2 import credentials, service_account

    try:
        if found is None:
            return default(scopes=SCOPES)[0]
        if found.get("type") == "service_account":
            return service_account.Credentials.from_service_account_info(dict(found), scopes=SCOPES)
        names = ("refresh_token", "client_id", "client_secret")
        parts = {name: found[name] for name in names}
        return credentials.Credentials(None, token_uri=found.get("token_uri", GOOGLE_TOKENS), **parts)
    except (GoogleAuthError, ValueError, KeyError) as error:
        raise ConfigError(f"the Google identity cannot be used ({type(error).__name__}); {_LOG_IN}") from error

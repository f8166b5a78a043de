"""Where users log in, and what is kept of it: the identity providers that deployments name.

Source: the Batch Service's protocol, chapter 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hail_batch_jupyter.client import microsoft
from hail_batch_jupyter.client.auth import GOOGLE_TOKENS, SCOPES
from hail_batch_jupyter.errors import CapabilityError, ServiceError


class Provider(NamedTuple):
    """One client of an identity provider.

    asked      what its page is asked with, beside what every one is      exchanged  the same of the address that gives tokens
    back       the address to come back to, as the provider wants it      identity   what is kept, given the refresh token
    """

    auth_uri: str
    token_uri: str
    asked: Mapping[str, str]
    exchanged: Mapping[str, str]
    back: Callable[[str], str]
    identity: Callable[[str], dict[str, Any]]


def provider_of(found: Mapping[str, Any]) -> Provider:
    """The provider that a deployment names.

    Raises CapabilityError for one that is not known, and ServiceError when the deployment does not say how it is asked.
    """
    makers = {"Google": _google, "Microsoft": _microsoft}
    if found.get("idp") not in makers:
        raise CapabilityError(f"identities of {found.get('idp')!r} cannot be used by this version; log in with --copy-paste-token, or --token")
    try:
        return makers[found["idp"]](found["oauth2_client"])
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise ServiceError(f"the deployment does not say how to log in at {found['idp']} ({error!r}); log in with --token") from error


def _google(found: Mapping[str, Any]) -> Provider:
    client = next(iter(found.values()))
    name, secret, token_uri = client["client_id"], client["client_secret"], client["token_uri"]
    elsewhere = {} if token_uri == GOOGLE_TOKENS else {"token_uri": token_uri}

    def identity(refresh_token: str) -> dict[str, Any]:
        own = {"client_id": name, "client_secret": secret, "refresh_token": refresh_token, "type": "authorized_user"}
        return {"idp": "Google", "credentials": {**own, **elsewhere}}

    asked = {"client_id": name, "scope": " ".join(SCOPES), "access_type": "offline", "prompt": "consent"}
    return Provider(client["auth_uri"], token_uri, asked, {"client_id": name, "client_secret": secret}, lambda back: back, identity)


def _microsoft(client: Mapping[str, Any]) -> Provider:
    """A program without a secret, to which Microsoft lets browsers come back at http://localhost with any port."""
    name, tenant, scope = client["appId"], client["tenant"], f"{client['userOauthScope']} {microsoft.LASTING}"
    return Provider(
        microsoft.endpoint(tenant, "authorize"),
        microsoft.endpoint(tenant, "token"),
        {"client_id": name, "scope": scope, "prompt": "select_account"},
        {"client_id": name, "scope": scope},
        lambda back: back.replace("//127.0.0.1:", "//localhost:", 1).rstrip("/"),
        lambda refresh_token: {"idp": "Microsoft", "credentials": {**client, "refreshToken": refresh_token}},
    )

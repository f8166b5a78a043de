"""Logging in to a deployment and out again: tokens and identities are kept in the files of `hailctl auth`.

Source: the Batch Service's protocol, chapter 3.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from hail_batch_jupyter.client.calls import Call
from hail_batch_jupyter.client.providers import Provider, provider_of
from hail_batch_jupyter.client.transport import Transport
from hail_batch_jupyter.config.deploy import Deployment, put_token, stored_tokens, without_token
from hail_batch_jupyter.config.files import identity_file, write_identity
from hail_batch_jupyter.errors import CapabilityError, NotAuthenticatedError, ServiceError

_PATIENCE_S = 20.0
_API = "/api/v1alpha"

Visit = Callable[[Callable[[str], str]], str]
"""Gets what makes the provider's address from that to come back to, has the user go there, and gives the address that the user came back to."""


def login_by_provider(place: Deployment, visit: Visit) -> str:
    """Log in at the identity provider of the deployment, keep the identity, and give the user's name.

    Raises NotAuthenticatedError when the provider or the deployment refuses.
    """
    provider = provider_of(json.loads(_asked_how(place)))
    state, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
    back_to: list[str] = []

    def address(back: str) -> str:
        back_to.append(provider.back(back))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        asked = {"response_type": "code", "redirect_uri": back_to[-1], "state": state, "code_challenge": challenge, "code_challenge_method": "S256"}
        return f"{provider.auth_uri}?{urlencode({**asked, **provider.asked})}"

    code = _code(visit(address), state)
    given = _exchanged(provider, {"grant_type": "authorization_code", "code": code, "redirect_uri": back_to[-1], "code_verifier": verifier})
    name = user_name(place, given["access_token"])
    write_identity(provider.identity(given["refresh_token"]))
    return name


def login_by_copy_paste(place: Deployment, copied: str) -> str:
    """Turn what the user copied from the page of the deployment into a token, keep that, and give the user's name."""
    query = urlencode({"copy_paste_token": copied})
    found = json.loads(_send(place, {}, Call("POST", f"{_API}/copy-paste-login?{query}")))
    put_token(place.namespace, found["token"])
    return str(found["username"])


def login_by_token(place: Deployment, token: str) -> str:
    """Keep a token that the deployment knows, and give the user's name. Raises NotAuthenticatedError for one that it does not know."""
    try:
        name = user_name(place, token)
    except NotAuthenticatedError as error:
        words = f"{place.base_url()} does not know this token; take the one that `serve` wrote down, or ask an administrator of the service for one"
        raise NotAuthenticatedError(words, error.status, error.method, error.path, error.body) from error
    put_token(place.namespace, token)
    return name


def logout(place: Deployment) -> bool:
    """End the session of the namespace and forget its token and the identity; whether there was one."""
    token, identity = stored_tokens().get(place.namespace), identity_file()
    if token is not None:
        try:
            _send(place, {"Authorization": f"Bearer {token}"}, Call("POST", f"{_API}/logout"))
        except ServiceError as error:
            if error.status not in (0, 401, 404):  # unreachable, over already, or a service without sessions
                raise
        without_token(place.namespace)
    there = identity.is_file()
    identity.unlink(missing_ok=True)
    return there or token is not None


def user_name(place: Deployment, token: str) -> str:
    """Whom the deployment takes the token for. Raises NotAuthenticatedError for nobody."""
    return str(json.loads(_send(place, {"Authorization": f"Bearer {token}"}, Call("GET", f"{_API}/userinfo")))["username"])


def _asked_how(place: Deployment) -> bytes:
    """What a deployment says of its identity provider; raises CapabilityError for one that has none."""
    try:
        return _send(place, {}, Call("GET", f"{_API}/oauth2-client"))
    except ServiceError as error:
        if error.status != 404:
            raise
        remedy = "log in by its token: `hail-batch-jupyter auth login --token`, which asks for it, or reads it from a file behind <"
        raise CapabilityError(f"{place.base_url()} has no browser login, as no service that `hail-batch-jupyter serve` started; {remedy}") from error


def _send(place: Deployment, headers: Mapping[str, str], call: Call) -> bytes:
    transport = Transport(place.base_url("auth"), lambda: headers, patience_s=_PATIENCE_S)
    try:
        return transport.send(call)
    finally:
        transport.close()


def _code(came_back: str, state: str) -> str:
    """The code in the address that the provider sent the user back to; raises NotAuthenticatedError without one."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(came_back.strip()).query).items()}
    if not secrets.compare_digest(query.get("state", "").encode(), state.encode()):
        raise NotAuthenticatedError("the address does not belong to this login; begin again, and take the address as the browser shows it at the end")
    if "code" not in query:
        raise NotAuthenticatedError(f"the identity provider gave no code ({query.get('error', 'no reason told')}); log in again and allow the access")
    return query["code"]


def _exchanged(provider: Provider, words: Mapping[str, str]) -> dict[str, Any]:
    import requests

    try:
        answer = requests.post(provider.token_uri, data={**words, **provider.exchanged}, timeout=_PATIENCE_S)
        given: dict[str, Any] = answer.json()
    except requests.RequestException as error:
        raise NotAuthenticatedError(f"the identity provider cannot be asked ({type(error).__name__}); check the network, and log in again") from error
    if answer.status_code != 200 or "refresh_token" not in given:
        raise NotAuthenticatedError(f"the identity provider gave no lasting access ({given.get('error', answer.status_code)}); log in again")
    return given

"""Where the Batch Service is, and the token that it knows the user by."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hail_batch_jupyter.config import value_in_files
from hail_batch_jupyter.config.files import write_whole
from hail_batch_jupyter.errors import ConfigError, NotAuthenticatedError

LOCATIONS = ("external", "k8s", "gce")
HAILS_DOMAIN = "hail.is"


class Deployment(NamedTuple):
    """A deployment of the services.

    terra   the service's address is `domain` itself, without a name of its own for each service
    """

    location: str = "external"
    namespace: str = "default"
    domain: str = HAILS_DOMAIN
    base_path: str = ""
    terra: bool = False

    def base_url(self, service: str = "batch") -> str:
        """The address of a service, without a slash at its end."""
        if self.terra and self.location == "gce":
            return f"http://{self.domain}{self.base_path}/{service}" if self.base_path else f"http://{self.domain}"
        if self.location == "gce":
            return f"http://{service}.hail" if self.namespace == "default" else f"http://internal.hail/{self.namespace}/{service}"
        if self.location == "k8s":
            return f"https://{service}.{self.namespace}"
        return self._external(service, f"/ns/{service}")

    def page_url(self, service: str = "batch") -> str:
        """The address for people, as if they came from outside."""
        if self.terra:
            return self.base_url(service)
        return self._external(service, f"/{self.namespace}/{service}")

    def _external(self, service: str, other: str) -> str:
        if self.base_path:
            return f"https://{self.domain}{self.base_path}/{service}"
        return f"https://{service}.{self.domain}" if self.namespace == "default" else f"https://internal.{self.domain}{other}"


def deployment() -> Deployment:
    """What the deploy configuration says, then the user's files, then the environment over both.

    Raises ConfigError for a location that does not exist and for a file that cannot be read.
    """
    path = _first_there(os.environ.get("HAIL_DEPLOY_CONFIG_FILE"), ".hail/deploy-config.json", "/deploy-config/deploy-config.json")
    found = _json_of(path) if path is not None else {}
    domain = str(found.get("domain", HAILS_DOMAIN)) if path is not None else value_in_files("global", "domain") or HAILS_DOMAIN
    location = os.environ.get("HAIL_LOCATION") or str(found.get("location", "external"))
    if location not in LOCATIONS:
        raise ConfigError(f"HAIL_LOCATION {location!r} is no place where a service can be seen from; use one of {', '.join(LOCATIONS)}")
    namespace = os.environ.get("HAIL_DEFAULT_NAMESPACE") or str(found.get("default_namespace", "default"))
    base_path = os.environ.get("HAIL_BASE_PATH", str(found.get("base_path") or "")).rstrip("/")
    if os.environ.get("HAIL_DOMAIN") and (namespace == "default" or base_path):
        domain = os.environ["HAIL_DOMAIN"]
    return Deployment(location, namespace, domain, base_path, bool(os.environ.get("HAIL_TERRA")))


def stored_token(namespace: str) -> str:
    """The token of a namespace that logging in has left.

    Raises NotAuthenticatedError when there is none.
    """
    path = _first_there(os.environ.get("HAIL_TOKENS_FILE"), ".hail/tokens.json", "/user-tokens/tokens.json")
    token = _json_of(path).get(namespace) if path is not None else None
    if not isinstance(token, str) or not token.strip():
        where = f"{str(path)!r} has no token of namespace {namespace!r}" if path is not None else "there is no file .hail/tokens.json in the home folder"
        raise NotAuthenticatedError(f"Not authenticated with Hail Batch: {where}; log in with `hail-batch-jupyter auth login`, or pass ServiceBackend(token=…)")
    return token.strip()


def stored_tokens() -> dict[str, str]:
    """Namespace -> token, of those that logging in has left."""
    path = _tokens_file()
    return {str(name): str(token) for name, token in _json_of(path).items()} if path.is_file() else {}


def put_token(namespace: str, token: str) -> None:
    """Keep the token of a namespace in a file that only the user can read."""
    _write_tokens({**stored_tokens(), namespace: token})


def without_token(namespace: str) -> None:
    """Forget the token of a namespace."""
    _write_tokens({name: token for name, token in stored_tokens().items() if name != namespace})


def _tokens_file() -> Path:
    named = os.environ.get("HAIL_TOKENS_FILE")
    return Path(named).expanduser() if named else Path.home() / ".hail" / "tokens.json"


def _write_tokens(tokens: Mapping[str, str]) -> None:
    write_whole(_tokens_file(), json.dumps(dict(tokens)) + "\n", secret=True)


def _first_there(named: str | None, in_home: str, of_system: str) -> Path | None:
    candidates = [*([Path(named).expanduser()] if named else []), Path.home() / in_home, Path(of_system)]
    return next((path for path in candidates if path.is_file()), None)


def _json_of(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"file {str(path)!r} cannot be read as JSON ({type(error).__name__}); mend it, or move it away") from error
    if not isinstance(found, dict):
        raise ConfigError(f"file {str(path)!r} holds no JSON object; mend it, or move it away")
    return found

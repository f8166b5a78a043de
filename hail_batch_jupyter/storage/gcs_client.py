"""A connection to Google Cloud Storage: whose it is, and which of its errors pass by themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.errors import ConfigError

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud import storage

_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write", "https://www.googleapis.com/auth/cloud-platform")
_SIGNS = ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST", "K_SERVICE", "KUBERNETES_SERVICE_HOST")
"""Variables of which one is set where credentials are, or where none are needed."""
_CONNECTIONS = 128
"""More than there are threads that ask at once."""


class Client:
    """The client of the library, and what reads and writes whole objects, for any number of threads; `who` says in words whose rights they have."""

    def __init__(self, key_file: str | None) -> None:
        from google.auth.transport.requests import AuthorizedSession
        from google.cloud import storage
        from requests.adapters import HTTPAdapter

        from hail_batch_jupyter.storage.gcs_media import Media

        credentials, self.who = _credentials(key_file)
        session = AuthorizedSession(credentials)
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=_CONNECTIONS))
        self.google: storage.Client = storage.Client("unknown", credentials, _http=session)
        _settle(session, self.google.api_endpoint)
        self.media = Media(session, self.google.api_endpoint)


def _settle(session: AuthorizedSession, endpoint: str) -> None:
    """Look at the variables for proxies and certificates once, and not at each request, where that is a fifth of the work."""
    settings = session.merge_environment_settings(endpoint, {}, False, None, None)
    session.proxies, session.verify, session.trust_env = dict(settings["proxies"]), settings["verify"], False


def may_have_credentials(key_file: str | None) -> bool:
    """Whether credentials are worth looking for, known without loading a library or waiting for a network.

    They are in a file that is named or that logging in leaves, or come from the machine, which must then be one of Google's.
    """
    if key_file is not None or any(os.environ.get(name) for name in _SIGNS):
        return True
    settings = os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud"
    if (Path(settings) / "application_default_credentials.json").exists():
        return True
    try:
        return Path("/sys/class/dmi/id/product_name").read_text().startswith("Google")
    except OSError:
        return False


def _credentials(key_file: str | None) -> tuple[Any, str]:
    """Credentials and their owner in words: of the key file, else the application-default ones, else nobody's, which is enough for public files."""
    import google.auth
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import DefaultCredentialsError
    from google.oauth2.service_account import Credentials

    if key_file is not None:
        try:
            found = Credentials.from_service_account_file(key_file, scopes=_SCOPES)
        except (OSError, ValueError) as error:
            raise ConfigError(f"key file {key_file!r} cannot be used ({error}); name the JSON key of a Google service account") from error
        return found, found.service_account_email
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        return AnonymousCredentials(), "nobody, of an emulator"
    if not may_have_credentials(None):
        return AnonymousCredentials(), "nobody, because no credentials were found"
    try:
        default, _ = google.auth.default(scopes=_SCOPES)
    except DefaultCredentialsError:
        return AnonymousCredentials(), "nobody, because no credentials were found"
    return default, getattr(default, "service_account_email", None) or "the user of the application-default credentials"


def is_transient(error: Exception) -> bool:
    """Whether the same request may well succeed a little later."""
    from google.api_core.exceptions import InternalServerError, ServerError, TooManyRequests
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
    from requests.exceptions import ChunkedEncodingError, ConnectionError, Timeout  # noqa: A004 - that of requests
    from urllib3.exceptions import HTTPError

    if isinstance(error, InvalidResponse):
        return getattr(error.response, "status_code", 0) in (408, 429, 500, 502, 503, 504)
    return isinstance(error, (InternalServerError, ServerError, TooManyRequests, DataCorruption, ChunkedEncodingError, ConnectionError, Timeout, HTTPError))

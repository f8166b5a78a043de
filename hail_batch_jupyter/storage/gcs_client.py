"""A connection to Google Cloud Storage: whose it is, and which of its errors pass by themselves."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.errors import ConfigError

if TYPE_CHECKING:
    from google.cloud import storage

_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write", "https://www.googleapis.com/auth/cloud-platform")
_NOBODY = "nobody, because no credentials were found"
_CONNECTIONS = 64
"""More than there are threads that ask at once."""


class Client:
    """The client of the library, for any number of threads; `who` says in words whose rights it has."""

    def __init__(self, key_file: str | None) -> None:
        from google.auth.transport.requests import AuthorizedSession
        from google.cloud import storage
        from requests.adapters import HTTPAdapter

        credentials, self.who = _credentials(key_file)
        self.known = self.who != _NOBODY
        session = AuthorizedSession(credentials)
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=_CONNECTIONS))
        self.google: storage.Client = storage.Client("unknown", credentials, _http=session)


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
    try:
        default, _ = google.auth.default(scopes=_SCOPES)
    except DefaultCredentialsError:
        return AnonymousCredentials(), _NOBODY
    return default, getattr(default, "service_account_email", None) or "the user of the application-default credentials"


def is_transient(error: Exception) -> bool:
    """Whether the same request may well succeed a little later."""
    from google.api_core.exceptions import InternalServerError, ServerError, TooManyRequests
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
    from requests.exceptions import ChunkedEncodingError, ConnectionError, Timeout  # noqa: A004 - that of requests

    if isinstance(error, InvalidResponse):
        return getattr(error.response, "status_code", 0) in (408, 429, 500, 502, 503, 504)
    return isinstance(error, (InternalServerError, ServerError, TooManyRequests, DataCorruption, ChunkedEncodingError, ConnectionError, Timeout))

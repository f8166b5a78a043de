"""The service accounts of users: keys by which the service reads and writes object stores on their behalf, a file each that only the service may read."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hail_batch_jupyter.errors import ConfigError
from hail_batch_jupyter.observe import rundir

FOLDER = "accounts"
_KEY = "google.json"
_FIELDS = ("type", "project_id", "private_key_id", "private_key", "client_email", "client_id", "token_uri", "universe_domain")
_GOOGLE = ("https://oauth2.googleapis.com/token", "https://accounts.google.com/o/oauth2/token", "https://www.googleapis.com/oauth2/v4/token")
_MOST_BYTES = 64 << 10


class Accounts:
    """Every method may be called from any thread, and from another process while the service works."""

    def __init__(self, data: Path) -> None:
        self._folder = data / FOLDER

    def name(self, user: str) -> str | None:
        """The address of a user's account, None without one."""
        try:
            return str(json.loads(self.key_file(user).read_text())["client_email"])
        except FileNotFoundError:
            return None

    def key_file(self, user: str) -> Path:
        """Where the key of a user is, whether there is one or not."""
        return self._folder / user / _KEY

    def put(self, user: str, key: Mapping[str, Any], *, anywhere: bool) -> str:
        """Keep the key of a user, in place of another; gives the name of the account.

        Raises ConfigError, which says nothing of what is in it, for what is no such key, and for one that is to be shown to others than Google, unless
        it may be `anywhere`.
        """
        kept = {name: key[name] for name in _FIELDS if name in key}
        _check(kept, anywhere=anywhere)
        path = self.key_file(user)
        for folder in (self._folder, path.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        temporary = path.with_name(secrets.token_hex(4))
        rundir.write_private(temporary, json.dumps(kept))
        os.replace(temporary, path)
        return str(kept["client_email"])

    def remove(self, user: str) -> bool:
        """Forget the key of a user; False when there was none."""
        there = self.key_file(user).exists()
        shutil.rmtree(self._folder / user, ignore_errors=True)
        return there


def _check(key: Mapping[str, Any], *, anywhere: bool) -> None:
    from google.oauth2.service_account import Credentials

    if any(not isinstance(value, str) for value in key.values()) or sum(map(len, key.values())) > _MOST_BYTES or key.get("type") != "service_account":
        raise ConfigError("this is no JSON key of a Google service account; make one with `gcloud iam service-accounts keys create`")
    try:
        Credentials.from_service_account_info(key)
    except (ValueError, TypeError):
        raise ConfigError("the JSON key of the Google service account is not whole; make another with `gcloud iam service-accounts keys create`") from None
    if not anywhere and (key["token_uri"] not in _GOOGLE or key.get("universe_domain", "googleapis.com") != "googleapis.com"):
        raise ConfigError("the key names another place than Google that it is to be shown to; only an administrator may give you such an account")

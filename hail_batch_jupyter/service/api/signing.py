"""Addresses that give a log to whoever has them, for a quarter of an hour.

Source: the Batch Service's protocol, section 9.6.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from urllib.parse import urlencode

from hail_batch_jupyter.service.api.refusal import Refusal

_KEY = secrets.token_bytes(32)
"""Of this process: addresses end with the service that gave them."""
_GOOD_MS = 900_000


def signed(base: str, path: str, user: str, attempt_id: str) -> tuple[str, int]:
    """The address of a path in the name of a user, and until when (ms since 1970) it is good."""
    until_ms = int(time.time() * 1000) + _GOOD_MS
    words = {"attempt_id": attempt_id, "user": user, "until": str(until_ms)}
    return f"{base}{path}?{urlencode({**words, 'signature': _signature(path, words)})}", until_ms


def signer(path: str, query: Mapping[str, str]) -> str:
    """In whose name an address was signed. Raises Refusal for one that was not, and for one that is over."""
    words = {key: query.get(key, "") for key in ("attempt_id", "user", "until")}
    given = query.get("signature", "")
    if not given or not hmac.compare_digest(_signature(path, words).encode(), given.encode(errors="surrogateescape")):
        raise Refusal(401, "Unauthorized")
    if int(words["until"]) < time.time() * 1000:
        raise Refusal(401, "the address is over, as it was good for 15 minutes; ask for another")
    return words["user"]


def _signature(path: str, words: Mapping[str, str]) -> str:
    said = urlencode([("path", path), *sorted(words.items())])
    return hmac.new(_KEY, said.encode(), hashlib.sha256).hexdigest()

"""Who asks: a client by its token, a browser by its session."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping

from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.store.tables import Store

SESSION_COOKIE = "session"
CSRF_FIELD = "_csrf"
SESSION_S = 30 * 86_400
_SAFE = ("GET", "HEAD", "OPTIONS")
_ELSEWHERE = ("cross-site", "same-site")
"""What browsers say of requests that pages of other hosts, or of other ports of this one, have sent."""


class People:
    """Every method may be called from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of_token(self, header: str | None) -> str:
        """Who has the token of an Authorization header, '' for nobody; takes as long for any token."""
        scheme, _, token = (header or "").partition(" ")
        digest = _digest(token.strip())
        known = [user for user, expected in self._store.tokens() if hmac.compare_digest(expected, digest)]
        return known[0] if known and scheme.lower() == "bearer" else ""

    def of_run(self, header: str | None) -> str:
        """For whom the run asks that has the token of an Authorization header, '' for none."""
        scheme, _, token = (header or "").partition(" ")
        return self._store.run_tokens.user_of(token.strip()) if scheme.lower() == "bearer" else ""

    def of_session(self, session: str) -> str:
        """Whose session it is, '' for one that is not known or is over."""
        return self._store.user_of_session(_digest(session), int(time.time() * 1000)) if session else ""

    def who(self, cookies: Mapping[str, str], header: str | None) -> tuple[str, str]:
        """(user, session): a browser's session comes before a token, and '' is nobody."""
        session = cookies.get(SESSION_COOKIE, "")
        user = self.of_session(session)
        return (user, session) if user else (self.of_token(header), "")

    def log_in(self, token: str) -> str:
        """A new session for who has the token; raises Refusal for a token of nobody."""
        user = self.of_token(f"Bearer {token}")
        if not user:
            raise Refusal(401, "this is nobody's token; the service wrote yours into the file `token` of its folder")
        session = secrets.token_urlsafe(32)
        self._store.put_session(_digest(session), user, int((time.time() + SESSION_S) * 1000))
        return session

    def log_out(self, session: str) -> None:
        """End a session; again does nothing."""
        self._store.end_session(_digest(session))


def csrf_of(session: str) -> str:
    """What a form of this session has to carry, which no other site can know."""
    return hashlib.sha256(f"form of {session}".encode(errors="surrogateescape")).hexdigest()


def check_csrf(method: str, session: str, given: str, site: str) -> None:
    """Refuse what changes something and was sent by a page of somebody else: without the word of its session, or as the browser says where it knows.

    session  '' for a client with a token, and for nobody: cookies that others have left at this host say nothing
    site     where the browser says that the request comes from, '' where it does not
    """
    if method in _SAFE:
        return
    if site in _ELSEWHERE:
        raise Refusal(401, "the form was sent by a page of another site; load the page here, and then send it")
    if session and not hmac.compare_digest(csrf_of(session).encode(), given.encode(errors="surrogateescape")):
        raise Refusal(401, "the form is not of this session; load the page again, and then send it")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()

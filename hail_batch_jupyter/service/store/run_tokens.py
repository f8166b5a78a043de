"""Tokens by which a run that lives under the account of its user asks for the files of that user, as long as it goes on."""

from __future__ import annotations

import hashlib
import secrets

from hail_batch_jupyter.service.store.database import Database


class RunTokens:
    """Of each a digest is kept; every method may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, run_id: str, user: str) -> str:
        """A token for a run, which is nowhere else."""
        token = secrets.token_urlsafe(32)
        self._database.run("INSERT INTO run_tokens (run_id, user, token_sha256) VALUES (?, ?, ?)", run_id, user, _digest(token))
        return token

    def user_of(self, token: str) -> str:
        """For whom a run asks, '' for a token of none."""
        row = self._database.one("SELECT user FROM run_tokens WHERE token_sha256 = ?", _digest(token))
        return str(row[0]) if row else ""

    def end(self, run_id: str) -> None:
        """Take the token of a run back; again does nothing."""
        self._database.run("DELETE FROM run_tokens WHERE run_id = ?", run_id)

    def end_of(self, user: str) -> None:
        """Take the tokens of all runs of a user back."""
        self._database.run("DELETE FROM run_tokens WHERE user = ?", user)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()

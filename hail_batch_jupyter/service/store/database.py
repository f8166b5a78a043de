"""The database file: its tables, and transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hail_batch_jupyter.errors import ConfigError

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE users (name TEXT PRIMARY KEY, token_sha256 BLOB NOT NULL);
CREATE TABLE billing_projects (name TEXT PRIMARY KEY, status TEXT NOT NULL DEFAULT 'open');
CREATE TABLE members (project TEXT NOT NULL, user TEXT NOT NULL, PRIMARY KEY (project, user)) WITHOUT ROWID;
CREATE TABLE batches (
  id INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, project TEXT NOT NULL, token TEXT NOT NULL, attributes TEXT NOT NULL,
  failure_limit INTEGER, created_ms INTEGER NOT NULL, cancelled INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0, UNIQUE (user, token));
CREATE TABLE updates (
  batch_id INTEGER NOT NULL, update_id INTEGER NOT NULL, token TEXT NOT NULL, start_job_id INTEGER NOT NULL, n_jobs INTEGER NOT NULL,
  committed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (batch_id, update_id), UNIQUE (batch_id, token)) WITHOUT ROWID;
CREATE TABLE jobs (
  batch_id INTEGER NOT NULL, job_id INTEGER NOT NULL, update_id INTEGER NOT NULL, facts TEXT NOT NULL, spec TEXT NOT NULL,
  run_id TEXT, number INTEGER, state TEXT, earlier TEXT NOT NULL DEFAULT '[]', PRIMARY KEY (batch_id, job_id));
CREATE TABLE runs (run_id TEXT PRIMARY KEY, batch_id INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0);
CREATE INDEX runs_of_batch ON runs (batch_id);
"""


class Database:
    """One SQLite file with a write-ahead log; every method may be called from any thread."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._lock = threading.RLock()
        self._depth = 0
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            raise ConfigError(f"the data in {str(path)!r} has version {version}, this version reads {SCHEMA_VERSION}; use the version that wrote it")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done inside is written, or nothing of it; transactions may be nested."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._connection.execute("COMMIT")

    def all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row of a query, None without one."""
        with self._lock:
            row: tuple[Any, ...] | None = self._connection.execute(sql, values).fetchone()
            return row

    def run(self, sql: str, *values: Any) -> int:
        """Change rows; gives the number of a row that was put in."""
        with self._lock:
            return self._connection.execute(sql, values).lastrowid or 0

    def run_many(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        """Change rows for each of these values."""
        with self._lock:
            self._connection.executemany(sql, rows)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

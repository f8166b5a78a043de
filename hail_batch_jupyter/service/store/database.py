"""The database file: its version, its transactions, and copies of it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hail_batch_jupyter.errors import ConfigError
from hail_batch_jupyter.service.store.migrations import MIGRATIONS

FILE = "batches.sqlite"


class Database:
    """One SQLite file with a write-ahead log; every method may be called from any thread.

    Raises ConfigError for a file that is no database, is of a later version, or cannot be brought up to date.
    """

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._lock = threading.RLock()
        self._depth = 0
        self._writer = 0
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._migrate(path)
        except sqlite3.Error as error:
            self._connection.close()  # which undoes a step that was cut off
            raise ConfigError(f"the data in {str(path)!r} cannot be used ({error}); free space on its disk, or start from a backup") from error

    def _migrate(self, path: Path) -> None:
        """Bring the tables of earlier versions to the present one, each step whole or not at all."""
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            self._connection.close()
            raise ConfigError(f"the data in {str(path)!r} has version {version}, this version reads {len(MIGRATIONS)}; use the version that wrote it")
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            self._connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; COMMIT;")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done inside is written, or nothing of it; transactions may be nested."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
                self._writer = threading.get_ident()
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._writer = 0
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._writer = 0
                self._connection.execute("COMMIT")

    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction."""
        return self._writer == threading.get_ident()

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


class OuterLock:
    """A lock that is taken before the database's own.

    Taken inside a transaction it would wait for ever for a thread that has it and wants the database, now and then: so it refuses, always.
    """

    def __init__(self, in_transaction: Callable[[], bool]) -> None:
        self._in_transaction = in_transaction
        self._lock = threading.RLock()
        self._holder = 0
        self._depth = 0

    def __enter__(self) -> None:
        if self._holder != threading.get_ident() and self._in_transaction():
            raise RuntimeError("what runs is asked for inside a transaction, which may wait for ever; ask before it")
        self._lock.acquire()
        self._holder = threading.get_ident()
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._holder = 0
        self._lock.release()

"""The order of the service's two locks: what is known of the runs first, the database second."""

from __future__ import annotations

from pathlib import Path

import pytest

from hail_batch_jupyter.service.store.database import Database, OuterLock


def test_what_runs_is_not_asked_for_inside_a_transaction_unless_it_was_before(tmp_path: Path) -> None:
    database = Database(tmp_path / "file")
    lock = OuterLock(database.in_transaction)

    with lock, database.transaction(), lock:
        pass
    with database.transaction(), pytest.raises(RuntimeError, match="ask before it"), lock:
        pass
    with lock:
        pass
    database.close()

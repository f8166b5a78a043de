"""Data folders of every earlier version, with what each of them knew."""

from __future__ import annotations

import json
import sqlite3
from fractions import Fraction
from pathlib import Path

import pytest

from hail_batch_jupyter.errors import ConfigError
from hail_batch_jupyter.service.store.billing import Charge
from hail_batch_jupyter.service.store.database import FILE, Database
from hail_batch_jupyter.service.store.migrations import MIGRATIONS
from hail_batch_jupyter.service.store.tables import Store

_GROUPS, _SESSIONS, _BILLS, _USERS, _POSTED, _QUOTAS, _LOGINS = range(2, 9)
"""The version that brought each."""
_RESOURCES = {"preemptible": True, "req_cpu": "2", "req_memory": "standard", "req_storage": "0Gi", "cores_mcpu": 2000, "memory_bytes": 1, "storage_gib": 0}
_SPEC = {"process": {"command": ["true"], "image": "", "type": "docker"}, "env": [{"name": "A", "value": "ä\0"}], "always_run": True}
_POSTED_SPEC = {**_SPEC, "resources": {"cpu": "2", "memory": "standard", "storage": "0Gi", "preemptible": True}}
_BATCH = "INSERT INTO batches (id, user, project, token, attributes, created_ms, cancelled) VALUES (?, 'ann', 'lab', ?, '{\"name\": \"old\"}', 5, ?)"


def written(path: Path, version: int) -> None:
    """A database as that version would have written it."""
    old = sqlite3.connect(path)
    old.executescript("".join(MIGRATIONS[:version]) + f"PRAGMA user_version={version};")
    old.execute("INSERT INTO users (name, token_sha256) VALUES ('ann', x'00')")
    old.execute("INSERT INTO billing_projects (name) VALUES ('lab')")
    old.execute("INSERT INTO members VALUES ('lab', 'ann')")
    old.execute(_BATCH, (1, "t", 1))
    old.execute("INSERT INTO updates (batch_id, update_id, token, start_job_id, n_jobs, committed) VALUES (1, 1, 't', 1, 1, 1)")
    old.execute("INSERT INTO runs VALUES ('run', 1, 1)")
    if version < _POSTED:
        facts = json.dumps(["first", True, 7, [], {"name": "first", "x": "y"}, *(["grant"] if version >= _BILLS else [])])
        sql = "INSERT INTO jobs (batch_id, job_id, update_id, facts, spec, run_id, number, earlier) VALUES (1, 1, 1, ?, ?, 'run', 1, '[[\"earlier\", 3]]')"
        old.execute(sql, (facts, json.dumps({**_SPEC, "resources": _RESOURCES})))
    else:
        sql = """INSERT INTO jobs VALUES (1, 1, 1, 0, 'run', 1, NULL, '[["earlier", 3]]', 'first', 1, 7, '', '{"name": "first", "x": "y"}', 'grant', 0, 0, ?)"""
        old.execute(sql, (json.dumps(_POSTED_SPEC),))
    if version >= _GROUPS:
        old.execute("UPDATE batches SET callback = 'http://x/'")
        old.execute("UPDATE updates SET n_groups = 1")
        old.execute("INSERT INTO job_groups (batch_id, group_id, update_id, parent_id, attributes, failure_limit, created_ms) VALUES (1, 1, 1, 0, '{}', 3, 6)")
        old.execute("UPDATE jobs SET group_id = 1")
    if version >= _SESSIONS:
        old.execute("INSERT INTO sessions VALUES (x'01', 'ann', 99)")
    if version >= _BILLS:
        old.execute("UPDATE billing_projects SET limit_usd = '1/3'")
        old.execute("INSERT INTO cards VALUES (1, '{}')")
        old.execute("INSERT INTO bills VALUES ('run', 1, 20000, 1, 'grant', 1234)")
    if version >= _USERS:
        old.execute("INSERT INTO users (name, token_sha256, role, owner) VALUES ('ben', x'02', 'user', 0)")
        old.execute("INSERT INTO deeds (at_ms, batch_id, group_id, deed, user, why) VALUES (7, 1, 0, 'cancel', 'ann', 'late')")
    if version >= _QUOTAS:
        old.execute("INSERT INTO quotas VALUES ('user', 'ben', 500)")
    if version >= _LOGINS:
        old.execute("UPDATE users SET login = 'ben2' WHERE name = 'ben'")
    old.commit()
    old.close()


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
def test_what_any_earlier_version_wrote_is_known_to_this_one(tmp_path: Path, version: int) -> None:
    written(tmp_path / FILE, version)

    Store(Database(tmp_path / FILE)).close()
    store = Store(Database(tmp_path / FILE))  # again: nothing is done twice
    (row,) = store.jobs(1)
    batch, groups = store.batch(1), store.groups.committed(store.batch(1)) if store.batch(1) else {}

    assert batch is not None
    assert (batch.user, batch.attributes, batch.cancelled, batch.callback) == ("ann", {"name": "old"}, True, "http://x/" if version >= _GROUPS else None)
    assert (row.facts.name, row.facts.always_run, row.facts.n_max_attempts, row.facts.attributes) == ("first", True, 7, {"name": "first", "x": "y"})
    assert (row.run_id, row.number, row.earlier, row.facts.granted) == ("run", 1, (("earlier", 3),), "grant" if version >= _BILLS else "")
    assert store.posted(1, 1) == _POSTED_SPEC
    assert (row.group_id, {number: group.failure_limit for number, group in groups.items()}) == ((1, {0: None, 1: 3}) if version >= _GROUPS else (0, {0: None}))
    assert store.user_of_session(b"\x01", 98) == ("ann" if version >= _SESSIONS else "")
    project = store.billing.project("lab")
    assert project is not None
    assert (project.limit_usd, store.billing.charged("lab")) == (
        (Fraction(1, 3), [Charge("lab", "ann", 1, "grant", 1234)]) if version >= _BILLS else (None, [])
    )
    assert store.users() == [("ann", "user"), ("ben", "user")] if version >= _USERS else [("ann", "admin")]
    assert store.deeds(1) == ([(7, 0, "cancel", "ann", "late")] if version >= _USERS else [])
    assert store.quotas.caps().users == ({"ben": 500} if version >= _QUOTAS else {})
    assert store.logins.of("ben") == ("ben2" if version >= _LOGINS else "ben" if version >= _USERS else "")
    store.close()


def test_a_step_that_is_cut_off_leaves_the_version_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / FILE, _BILLS)
    broken = (*MIGRATIONS[:_USERS], MIGRATIONS[_USERS] + "SELECT absent FROM jobs;", *MIGRATIONS[_POSTED:])
    monkeypatch.setattr("hail_batch_jupyter.service.store.database.MIGRATIONS", broken)
    with pytest.raises(ConfigError, match=r"cannot be used \(no such column: absent\); free space on its disk, or start from a backup"):
        Database(tmp_path / FILE)
    monkeypatch.undo()
    seen = sqlite3.connect(tmp_path / FILE)
    assert (seen.execute("PRAGMA user_version").fetchone(), seen.execute("SELECT count(*) FROM jobs WHERE facts != ''").fetchone()) == ((_USERS,), (1,))
    seen.close()

    store = Store(Database(tmp_path / FILE))
    assert [row.job_id for row in store.jobs(1)] == [1]
    store.close()


def test_a_file_that_is_no_database_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"x" * 5000)

    with pytest.raises(ConfigError, match="file is not a database"):
        Database(tmp_path / FILE)

"""The job groups of batches, in the database."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

from hail_batch_jupyter.service.store.database import Database
from hail_batch_jupyter.service.store.rows import ROOT, BatchRow, GroupRow

_COLUMNS = "group_id, parent_id, attributes, callback, failure_limit, created_ms, cancelled, told_jobs"


class Groups:
    """Every method may be called from any thread; the root is a part of the batch and has no row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def committed(self, batch: BatchRow) -> dict[int, GroupRow]:
        """The groups of committed updates by their numbers, parents first, with the root."""
        sql = f"SELECT {_COLUMNS} FROM job_groups JOIN updates USING (batch_id, update_id) WHERE batch_id = ? AND committed ORDER BY group_id"
        return self._with_root(batch, self._database.all(sql, batch.batch_id))

    def usable(self, batch: BatchRow, update_id: int) -> dict[int, GroupRow]:
        """Those, and the groups that the update has brought so far."""
        sql = f"""SELECT {_COLUMNS} FROM job_groups JOIN updates USING (batch_id, update_id)
                  WHERE batch_id = ? AND (committed OR update_id = ?) ORDER BY group_id"""
        return self._with_root(batch, self._database.all(sql, batch.batch_id, update_id))

    @staticmethod
    def _with_root(batch: BatchRow, rows: list[tuple[Any, ...]]) -> dict[int, GroupRow]:
        limit, created_ms = batch.failure_limit, batch.created_ms
        root = GroupRow(ROOT, ROOT, batch.attributes, batch.callback, limit, created_ms, batch.cancelled, batch.told_jobs)
        return {ROOT: root} | {row[0]: _group_row(row) for row in rows}

    def put(self, batch_id: int, update_id: int, groups: Iterable[GroupRow]) -> None:
        """Put groups in."""
        sql = f"INSERT INTO job_groups (batch_id, update_id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        rows = [(batch_id, update_id, *group._replace(attributes=json.dumps(dict(group.attributes)))) for group in groups]  # type: ignore[arg-type]  # a row has it as text
        self._database.run_many(sql, rows)

    def numbers_of(self, batch_id: int, update_id: int) -> set[int]:
        """The numbers of the groups that an update has brought so far."""
        sql = "SELECT group_id FROM job_groups WHERE batch_id = ? AND update_id = ?"
        return {group_id for (group_id,) in self._database.all(sql, batch_id, update_id)}

    def mark_cancelled(self, batch_id: int, group_ids: Collection[int]) -> None:
        """Note that groups other than the root are cancelled."""
        rows = [(batch_id, group_id) for group_id in group_ids]
        self._database.run_many("UPDATE job_groups SET cancelled = 1 WHERE batch_id = ? AND group_id = ?", rows)

    def mark_told(self, batch_id: int, group_id: int, n_jobs: int) -> None:
        """Note that the end of so many jobs is told to the group's callback, or to the batch's for the root."""
        if group_id == ROOT:
            self._database.run("UPDATE batches SET told_jobs = ? WHERE id = ?", n_jobs, batch_id)
        else:
            self._database.run("UPDATE job_groups SET told_jobs = ? WHERE batch_id = ? AND group_id = ?", n_jobs, batch_id, group_id)

    def untold(self) -> list[int]:
        """Batches with a callback, of theirs or of a group, that was never called."""
        sql = """SELECT id FROM batches WHERE callback IS NOT NULL AND told_jobs = 0 AND NOT deleted
                 UNION SELECT batch_id FROM job_groups JOIN batches ON id = batch_id
                       WHERE job_groups.callback IS NOT NULL AND job_groups.told_jobs = 0 AND NOT deleted"""
        return [batch_id for (batch_id,) in self._database.all(sql)]


def _group_row(row: tuple[Any, ...]) -> GroupRow:
    group_id, parent_id, attributes, callback, failure_limit, created_ms, cancelled, told_jobs = row
    return GroupRow(group_id, parent_id, json.loads(attributes), callback, failure_limit, created_ms, bool(cancelled), told_jobs)

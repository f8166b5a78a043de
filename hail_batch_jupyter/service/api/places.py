"""Which group a posted job or group belongs into.

Source: the Batch Service's protocol, section 6.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.running.known import chain_of
from hail_batch_jupyter.service.store.rows import ROOT, GroupRow

DEEPEST = 2
"""Levels of groups below the root."""


class Places:
    """The groups that an update may name, with those that it brings."""

    def __init__(self, batch_id: int, start_group_id: int, groups: Mapping[int, GroupRow]) -> None:
        self._batch_id = batch_id
        self._start = start_group_id
        self._groups = dict(groups)
        self._open: set[int] = set()

    def of_job(self, posted: Mapping[str, Any], who: str) -> int:
        """The number of a job's group in the batch."""
        inside, outside = posted.get("in_update_job_group_id"), posted.get("absolute_job_group_id")
        group_id = outside if outside is not None else self._absolute(inside or ROOT)
        if group_id in self._open:
            return int(group_id)
        if group_id not in self._groups:
            raise Refusal(400, f"job {who} is in the job group {group_id}, which does not exist; post groups before their jobs")
        if self._cancelled(group_id):
            raise Refusal(400, f"bunch contains job where the job group has already been cancelled ({who})")
        self._open.add(group_id)
        return group_id

    def add(self, posted: Mapping[str, Any], created_ms: int) -> GroupRow:
        """A group as it is put in, which later ones may be in."""
        group_id = self._absolute(posted["job_group_id"])
        inside, outside = posted.get("in_update_parent_id"), posted.get("absolute_parent_id")
        if inside is None and outside is None:
            raise Refusal(400, "job group must define in_update_parent_id or absolute_parent_id")
        parent_id = outside if outside is not None else self._absolute(inside or ROOT)
        where = f"error while inserting job group {group_id} into batch {self._batch_id}"
        if parent_id not in self._groups:
            raise Refusal(400, f"{where}: job group parent {parent_id} does not exist")
        if self._cancelled(parent_id):
            raise Refusal(400, f"{where}: job group parent has already been cancelled")
        if len(chain_of(self._groups, parent_id)) > DEEPEST:
            raise Refusal(400, f"{where}: job group exceeded the maximum level of nesting")
        attributes, limit = posted.get("attributes") or {}, posted.get("cancel_after_n_failures")
        self._groups[group_id] = GroupRow(group_id, parent_id, attributes, posted.get("callback"), limit, created_ms, False, 0)
        return self._groups[group_id]

    def _absolute(self, number: int) -> int:
        """The number in the batch of one in the update; 0 is the root in every update."""
        return self._start + number - 1 if number else ROOT

    def _cancelled(self, group_id: int) -> bool:
        return any(self._groups[around].cancelled for around in chain_of(self._groups, group_id))

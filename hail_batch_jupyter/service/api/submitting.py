"""Creating batches and adding jobs to them; every call may be repeated and then does nothing more.

Source: the Batch Service's protocol, chapter 6.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from hail_batch_jupyter.cost.money import amount_text
from hail_batch_jupyter.service.accounts import Accounts
from hail_batch_jupyter.service.api.accepting import Taker
from hail_batch_jupyter.service.api.places import Places
from hail_batch_jupyter.service.api.posts import batch_head, check_bunch, check_groups, update_head
from hail_batch_jupyter.service.api.reach import Reach
from hail_batch_jupyter.service.api.refusal import Refusal, not_found
from hail_batch_jupyter.service.api.resources import Grants
from hail_batch_jupyter.service.api.shapes import is_a
from hail_batch_jupyter.service.pricing import Pricing
from hail_batch_jupyter.service.running.runs import Runs
from hail_batch_jupyter.service.running.where import Where
from hail_batch_jupyter.service.shelf import Shelf
from hail_batch_jupyter.service.store.billing import Project
from hail_batch_jupyter.service.store.rows import BatchRow, UpdateRow
from hail_batch_jupyter.service.store.tables import Store


class Submitting:
    """What clients post; every method may be called from any thread."""

    def __init__(self, store: Store, runs: Runs, pricing: Pricing, shelf: Shelf, accounts: Accounts, where: Where) -> None:
        self._where = where
        self._accounts = accounts
        self._store = store
        self._shelf = shelf
        self._pricing = pricing
        self._runs = runs

    def create(self, user: str, body: Any) -> dict[str, Any]:
        """A batch, with room for the jobs of its first update."""
        batch_head(body, "batch")
        self._check_budget(user, body["billing_project"])
        with self._store.transaction():
            batch = self._batch(user, body)
            if not body["n_jobs"] and not body.get("n_job_groups"):
                return {"id": batch.batch_id, "update_id": None, "start_job_group_id": None, "start_job_id": None}
            update = self._update(batch, body)
            return {"id": batch.batch_id, **_starts(update)}

    def create_fast(self, user: str, body: Any) -> dict[str, Any]:
        """A batch with all its jobs, which begin at once."""
        head, groups, bunch = _fast(body, "batch")
        batch_head(head, "batch")
        self._check_budget(user, head["billing_project"])
        with self._store.transaction():
            batch = self._batch(user, head)
            update = self._update(batch, head)
            self._complete(batch, update, groups, bunch)
        self._runs.changed(batch.batch_id)
        return {"id": batch.batch_id, "start_job_group_id": update.start_group_id, "start_job_id": update.start_job_id}

    def create_update(self, user: str, batch_id: int, body: Any) -> dict[str, Any]:
        """Room for more jobs in a batch."""
        update_head(body, "update")
        _check_count(body)
        with self._store.transaction():
            return _starts(self._update(self._own(user, batch_id), body))

    def update_fast(self, user: str, batch_id: int, body: Any) -> dict[str, Any]:
        """More jobs for a batch, which begin at once."""
        head, groups, bunch = _fast(body, "update")
        update_head(head, "update")
        _check_count(head)
        with self._store.transaction():
            batch = self._own(user, batch_id)
            update = self._update(batch, head)
            self._complete(batch, update, groups, bunch)
        self._runs.changed(batch_id)
        return _starts(update)

    def create_groups(self, user: str, batch_id: int, update_id: int, body: Any) -> None:
        """Some job groups of an update."""
        with self._store.transaction():
            batch = self._own(user, batch_id)
            update = self._update_of(batch, update_id)
            if update.committed:
                raise Refusal(400, f"update {update_id} is already committed")
            self._put_groups(batch, update, body)

    def create_jobs(self, user: str, batch_id: int, update_id: int, bunch: Any, texts: Iterable[str]) -> None:
        """Some jobs of an update; `texts` are the JSON of each."""
        with self._store.transaction():
            batch = self._own(user, batch_id)
            update = self._update_of(batch, update_id)
            if update.committed:
                raise Refusal(400, f"update {update_id} is already committed")
            self._put(batch, update, bunch, texts)

    def commit(self, user: str, batch_id: int, update_id: int) -> dict[str, Any]:
        """Let the jobs of an update run."""
        with self._store.transaction():
            batch = self._own(user, batch_id)
            update = self._update_of(batch, update_id)
            self._commit(batch, update)
        self._runs.changed(batch_id)
        return {"start_job_id": update.start_job_id, "start_job_group_id": update.start_group_id}

    def close(self, user: str, batch_id: int) -> dict[str, Any]:
        """Commit the first update, if there is one, as old clients do."""
        batch = self._own(user, batch_id)
        if batch.cancelled:
            raise Refusal(400, "Cannot close a previously cancelled batch.")
        return self.commit(user, batch_id, 1) if self._store.updates(batch_id) else {}

    # parts of these

    def _batch(self, user: str, head: dict[str, Any]) -> BatchRow:
        """The batch of that token, a new one if there is none."""
        self._open_project(user, head["billing_project"])
        batch = self._store.batch_of_token(user, head["token"])
        if batch is None:
            self._store.new_batch(user, head, int(time.time() * 1000), self._pricing.card_id)
            batch = self._store.batch_of_token(user, head["token"])
        assert batch is not None
        return batch

    def _open_project(self, user: str, name: str) -> Project:
        project = self._store.billing.project(name)
        if project is None or not self._store.billing.is_member(name, user):
            raise Refusal(403, f"Unknown Hail Batch billing project {name}.")
        if project.status != "open":
            raise Refusal(403, f"Billing project {name} is closed or deleted.")
        return project

    def _check_budget(self, user: str, name: str) -> None:
        """Before the transaction: what goes on is looked at."""
        limit_usd = self._open_project(user, name).limit_usd
        accrued = self._runs.spending.accrued(name) if limit_usd is not None else Fraction(0)
        if limit_usd is not None and accrued >= limit_usd:
            sums = f"accrued=${amount_text(accrued)} limit=${amount_text(limit_usd)}"
            raise Refusal(403, f"billing project {name} has exceeded the budget; {sums}")

    def _own(self, user: str, batch_id: int) -> BatchRow:
        batch = self._store.batch(batch_id)
        if batch is None or batch.deleted or batch.user != user:
            raise not_found(f"batch {batch_id} does not exist")
        return batch

    def _update(self, batch: BatchRow, head: dict[str, Any]) -> UpdateRow:
        """The update of that token, a new one if there is none."""
        updates = self._store.updates(batch.batch_id)
        found = next((update for update in updates if update.token == head["token"]), None)
        if found is not None:
            return found
        if batch.cancelled:
            raise Refusal(400, "Cannot submit new jobs or job groups to a cancelled batch")
        starts = (updates[-1].start_job_id + updates[-1].n_jobs, updates[-1].start_group_id + updates[-1].n_groups) if updates else (1, 1)
        update = UpdateRow(len(updates) + 1, head["token"], starts[0], head["n_jobs"], False, starts[1], head.get("n_job_groups", 0))
        self._store.new_update(batch.batch_id, update)
        return update

    def _update_of(self, batch: BatchRow, update_id: int) -> UpdateRow:
        found = next((update for update in self._store.updates(batch.batch_id) if update.update_id == update_id), None)
        if found is None:
            raise not_found(f"update {update_id} of batch {batch.batch_id} does not exist")
        return found

    def _complete(self, batch: BatchRow, update: UpdateRow, groups: Any, bunch: Any) -> None:
        """Put groups and jobs in and commit, unless that was done."""
        if not update.committed:
            if groups:
                self._put_groups(batch, update, groups)
            if bunch or not groups:
                self._put(batch, update, bunch, map(json.dumps, bunch))
            self._commit(batch, update)

    def _put_groups(self, batch: BatchRow, update: UpdateRow, posted: Any) -> None:
        """Put groups in, all of them or, when they are there already, none."""
        check_groups(posted, update.n_groups, update.update_id)
        there = self._store.groups.numbers_of(batch.batch_id, update.update_id)
        again = sum(update.start_group_id + group["job_group_id"] - 1 in there for group in posted)
        if again == len(posted):
            return
        if again:
            raise Refusal(400, f"{again} of {len(posted)} job groups in this request already exist in update {update.update_id}")
        places, now_ms = self._places(batch, update), int(time.time() * 1000)
        self._store.groups.put(batch.batch_id, update.update_id, [places.add(group, now_ms) for group in posted])

    def _places(self, batch: BatchRow, update: UpdateRow) -> Places:
        return Places(batch.batch_id, update.start_group_id, self._store.groups.usable(batch, update.update_id))

    def _put(self, batch: BatchRow, update: UpdateRow, bunch: Any, texts: Iterable[str]) -> None:
        """Put jobs in; `texts` are the JSON of each."""
        check_bunch(bunch, update.n_jobs, update.update_id)
        committed = self._store.committed_jobs(batch.batch_id) if any(_looks_back(job) for job in bunch) else set()
        places = self._places(batch, update)
        caps = self._store.quotas.caps()
        limits = [each for each in (caps.users.get(batch.user), caps.projects.get(batch.project)) if each is not None]
        grants = Grants(self._pricing.card_of(batch.card_id), min(limits, default=None))
        reach = Reach(batch.user, self._shelf, self._where.apart, self._accounts.key_file(batch.user).exists(), self._login(batch.user))
        taker = Taker(batch.batch_id, update.start_job_id, committed, places, grants, reach)
        self._store.put_jobs(batch.batch_id, update.update_id, map(taker.accepted, bunch, texts))

    def _login(self, user: str) -> str:
        """The account of the machine for a user's jobs, '' for that of the service; refuses one that jobs cannot have."""
        login = "" if self._where.logins is None else self._store.logins.of(user)
        problem = self._where.logins.problem(login, self._store.logins.other(login, user)) if self._where.logins is not None and login else ""
        if problem:
            raise Refusal(403, f"no job of {user!r} is taken: {problem}")
        return login

    def _commit(self, batch: BatchRow, update: UpdateRow) -> None:
        if update.committed:
            return
        if batch.cancelled:
            raise Refusal(400, "Cannot commit an update to a cancelled batch")
        n_groups = len(self._store.groups.numbers_of(batch.batch_id, update.update_id)) if update.n_groups else 0
        if n_groups != update.n_groups:
            raise Refusal(400, f"wrong number of job groups: expected {update.n_groups}, actual {n_groups}")
        n_jobs = self._store.n_jobs_of(batch.batch_id, update.update_id)
        if n_jobs != update.n_jobs:
            raise Refusal(400, f"wrong number of jobs: expected {update.n_jobs}, actual {n_jobs}")
        self._store.mark_committed(batch.batch_id, update.update_id)


def _looks_back(job: dict[str, Any]) -> bool:
    return bool(job.get("absolute_parent_ids") or job.get("parent_ids"))


def _starts(update: UpdateRow) -> dict[str, Any]:
    return {"update_id": update.update_id, "start_job_group_id": update.start_group_id, "start_job_id": update.start_job_id}


def _fast(body: Any, what: str) -> tuple[Any, Any, Any]:
    """Head, groups and jobs of a request for everything."""
    is_a(dict)(body, "the body")
    unknown = sorted(body.keys() - {"bunch", "job_groups", what})
    if unknown or what not in body or "bunch" not in body:
        raise Refusal(400, f"the body has the keys {sorted(body)}; it needs 'bunch' and {what!r}, and may have 'job_groups'")
    groups = body.get("job_groups") or []
    is_a(list)(body["bunch"], "jobs")
    is_a(list)(groups, "job_groups")
    return body[what], groups, body["bunch"]


def _check_count(head: dict[str, Any]) -> None:
    if not head["n_jobs"] and not head.get("n_job_groups"):
        raise Refusal(400, "update.n_jobs does not satisfy the condition x > 0.")

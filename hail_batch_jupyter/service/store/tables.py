"""What is asked of the database and told to it, a method each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hail_batch_jupyter.service.store.billing import Billing
from hail_batch_jupyter.service.store.database import Database
from hail_batch_jupyter.service.store.groups import Groups
from hail_batch_jupyter.service.store.logins import LoginNames
from hail_batch_jupyter.service.store.quotas import Quotas
from hail_batch_jupyter.service.store.rows import BatchRow, JobFacts, JobRow, NewJob, UpdateRow
from hail_batch_jupyter.service.store.run_tokens import RunTokens

_BATCH = "SELECT id, user, project, token, attributes, failure_limit, created_ms, cancelled, deleted, callback, told_jobs, card_id FROM batches"

_FACTS = "name, always_run, n_max_attempts, parents, attributes, granted, cores_mcpu, memory_bytes"

_AT_ONCE = 500


class Store:
    """The memory of the service; every method may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.billing = Billing(database)
        self.groups = Groups(database)
        self.quotas = Quotas(database)
        self.logins = LoginNames(database)
        self.run_tokens = RunTokens(database)
        self.transaction = database.transaction
        self.in_transaction = database.in_transaction
        self.close = database.close

    # users and billing projects

    def put_user(self, name: str, token_sha256: bytes, project: str, role: str, *, owner: bool = False) -> None:
        """Make a user, or change token and role of one, and have the user in an open billing project; the owner is whose account the service has."""
        sql = """INSERT INTO users (name, token_sha256, role, owner) VALUES (?, ?, ?, ?)
                 ON CONFLICT (name) DO UPDATE SET token_sha256 = excluded.token_sha256, role = excluded.role, owner = excluded.owner"""
        with self.transaction():
            self._database.run(sql, name, token_sha256, role, owner)
            self._database.run("INSERT OR IGNORE INTO billing_projects (name) VALUES (?)", project)
            self._database.run("INSERT OR IGNORE INTO members VALUES (?, ?)", project, name)

    def users(self) -> list[tuple[str, str]]:
        """(name, role) of all users."""
        return [(name, role) for name, role in self._database.all("SELECT name, role FROM users ORDER BY name")]

    def role(self, user: str) -> str:
        """The role of a user, '' for nobody."""
        row = self._database.one("SELECT role FROM users WHERE name = ?", user)
        return str(row[0]) if row else ""

    def set_role(self, name: str, role: str) -> None:
        """Change the role of a user."""
        self._database.run("UPDATE users SET role = ? WHERE name = ?", role, name)

    def set_token(self, name: str, token_sha256: bytes) -> None:
        """Change the token of a user, and end the sessions that the old one began."""
        with self.transaction():
            self._database.run("UPDATE users SET token_sha256 = ? WHERE name = ?", token_sha256, name)
            self._database.run("DELETE FROM sessions WHERE user = ?", name)

    def others(self) -> list[str]:
        """The users who are not of the account that the service has."""
        return [name for (name,) in self._database.all("SELECT name FROM users WHERE NOT owner ORDER BY name")]

    def remove_user(self, name: str) -> None:
        """Take away tokens, sessions and memberships."""
        with self.transaction():
            for sql in ("DELETE FROM users WHERE name = ?", "DELETE FROM sessions WHERE user = ?", "DELETE FROM members WHERE user = ?"):
                self._database.run(sql, name)
            self.run_tokens.end_of(name)

    def note_deed(self, batch_id: int, group_id: int, deed: str, user: str, why: str, at_ms: int) -> None:
        """Note who did what to a batch; '' is the service itself."""
        sql = "INSERT INTO deeds (at_ms, batch_id, group_id, deed, user, why) VALUES (?, ?, ?, ?, ?, ?)"
        self._database.run(sql, at_ms, batch_id, group_id, deed, user, why)

    def deeds(self, batch_id: int) -> list[tuple[int, int, str, str, str]]:
        """(ms since 1970, group, deed, user, why) of a batch, in their order."""
        return self._database.all("SELECT at_ms, group_id, deed, user, why FROM deeds WHERE batch_id = ? ORDER BY id", batch_id)

    def tokens(self) -> list[tuple[str, bytes]]:
        """(user, digest of the token) of all users."""
        return [(name, digest) for name, digest in self._database.all("SELECT name, token_sha256 FROM users")]

    def put_session(self, id_sha256: bytes, user: str, until_ms: int) -> None:
        """Begin a browser's session."""
        self._database.run("INSERT INTO sessions VALUES (?, ?, ?)", id_sha256, user, until_ms)

    def user_of_session(self, id_sha256: bytes, now_ms: int) -> str:
        """Whose session it is, '' when there is none or it is over."""
        row = self._database.one("SELECT user FROM sessions WHERE id_sha256 = ? AND until_ms > ?", id_sha256, now_ms)
        return str(row[0]) if row else ""

    def end_session(self, id_sha256: bytes) -> None:
        """End a session."""
        self._database.run("DELETE FROM sessions WHERE id_sha256 = ?", id_sha256)

    def has_user(self, name: str) -> bool:
        """Whether there is such a user."""
        return self._database.one("SELECT 1 FROM users WHERE name = ?", name) is not None

    # batches

    def new_batch(self, user: str, head: Mapping[str, Any], created_ms: int, card_id: int) -> int:
        """Put a batch in and give its number."""
        sql = "INSERT INTO batches (user, project, token, attributes, failure_limit, created_ms, callback, card_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        attributes = json.dumps(head.get("attributes") or {})
        limit, callback = head.get("cancel_after_n_failures"), head.get("callback")
        return self._database.run(sql, user, head["billing_project"], head["token"], attributes, limit, created_ms, callback, card_id)

    def batch(self, batch_id: int) -> BatchRow | None:
        """A batch, deleted ones too."""
        return _batch_row(self._database.one(f"{_BATCH} WHERE id = ?", batch_id))

    def batch_of_token(self, user: str, token: str) -> BatchRow | None:
        """The batch that a user made with that token."""
        return _batch_row(self._database.one(f"{_BATCH} WHERE user = ? AND token = ?", user, token))

    def batches(self, user: str, below: int | None) -> Iterable[BatchRow]:
        """Batches of the projects of a user that are not deleted, newest first; with numbers under `below` only."""
        sql = f"{_BATCH} WHERE NOT deleted AND project IN (SELECT project FROM members WHERE user = ?) AND id < ? ORDER BY id DESC LIMIT 200"
        while True:
            rows = self._database.all(sql, user, below if below is not None else 1 << 62)
            for row in rows:
                found = _batch_row(row)
                if found is not None:
                    yield found
            if not rows:
                return
            below = rows[-1][0]

    def n_batches(self) -> int:
        """How many batches there are, without deleted ones."""
        row = self._database.one("SELECT count(*) FROM batches WHERE NOT deleted")
        return int(row[0]) if row else 0

    def mark_cancelled(self, batch_id: int) -> None:
        """Note that a batch is cancelled."""
        self._database.run("UPDATE batches SET cancelled = 1 WHERE id = ?", batch_id)

    def mark_deleted(self, batch_id: int) -> None:
        """Note that a batch is cancelled and not to be seen any more."""
        self._database.run("UPDATE batches SET cancelled = 1, deleted = 1 WHERE id = ?", batch_id)

    # updates

    def updates(self, batch_id: int) -> list[UpdateRow]:
        """The updates of a batch in their order."""
        sql = "SELECT update_id, token, start_job_id, n_jobs, committed, start_group_id, n_groups FROM updates WHERE batch_id = ? ORDER BY update_id"
        rows = self._database.all(sql, batch_id)
        return [UpdateRow(*row)._replace(committed=bool(row[4])) for row in rows]

    def new_update(self, batch_id: int, update: UpdateRow) -> None:
        """Put an update in."""
        sql = "INSERT INTO updates (batch_id, update_id, token, start_job_id, n_jobs, committed, start_group_id, n_groups) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        self._database.run(sql, batch_id, *update)

    def mark_committed(self, batch_id: int, update_id: int) -> None:
        """Let the jobs of an update be seen and run."""
        self._database.run("UPDATE updates SET committed = 1 WHERE batch_id = ? AND update_id = ?", batch_id, update_id)

    # jobs

    def put_jobs(self, batch_id: int, update_id: int, jobs: Iterable[NewJob]) -> None:
        """Put jobs in; those that are there stay as they are."""
        sql = f"INSERT OR IGNORE INTO jobs (batch_id, job_id, update_id, group_id, {_FACTS}, posted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._database.run_many(sql, [(batch_id, job.job_id, update_id, job.group_id, *_facts_row(job.facts), job.posted) for job in jobs])

    def n_jobs_of(self, batch_id: int, update_id: int) -> int:
        """How many jobs of an update are there."""
        row = self._database.one("SELECT count(*) FROM jobs WHERE batch_id = ? AND update_id = ?", batch_id, update_id)
        return int(row[0]) if row else 0

    def n_committed(self, batch_id: int) -> int:
        """How many jobs the committed updates of a batch have."""
        row = self._database.one("SELECT coalesce(sum(n_jobs), 0) FROM updates WHERE batch_id = ? AND committed", batch_id)
        return int(row[0]) if row else 0

    def jobs(self, batch_id: int) -> list[JobRow]:
        """The jobs of the committed updates of a batch, in the order of their numbers."""
        sql = f"""SELECT job_id, run_id, number, state, earlier, group_id, {_FACTS} FROM jobs JOIN updates USING (batch_id, update_id)
                  WHERE batch_id = ? AND committed ORDER BY job_id"""
        return [_job_row(row) for row in self._database.all(sql, batch_id)]

    def committed_jobs(self, batch_id: int) -> set[int]:
        """The numbers of the jobs of committed updates."""
        sql = "SELECT job_id FROM jobs JOIN updates USING (batch_id, update_id) WHERE batch_id = ? AND committed"
        return {job_id for (job_id,) in self._database.all(sql, batch_id)}

    def posted(self, batch_id: int, job_id: int) -> dict[str, Any]:
        """A job as it was posted; numbers in it are of its update."""
        row = self._database.one("SELECT posted FROM jobs WHERE batch_id = ? AND job_id = ?", batch_id, job_id)
        found: dict[str, Any] = json.loads(row[0]) if row else {}
        return found

    def all_posted(self, batch_id: int, job_ids: Sequence[int]) -> Iterator[dict[str, Any]]:
        """As `posted`, these jobs in this order; many of them are read at a time, not all."""
        for start in range(0, len(job_ids), _AT_ONCE):
            part = job_ids[start : start + _AT_ONCE]
            sql = "SELECT job_id, posted FROM jobs WHERE batch_id = ? AND job_id BETWEEN ? AND ?"
            found = dict(self._database.all(sql, batch_id, min(part), max(part)))
            yield from (json.loads(found[job_id]) for job_id in part)

    def decide(self, batch_id: int, states: Mapping[int, str]) -> None:
        """Note final states of jobs that are in no run."""
        self._database.run_many("UPDATE jobs SET state = ? WHERE batch_id = ? AND job_id = ?", [(state, batch_id, job_id) for job_id, state in states.items()])

    # runs

    def new_run(self, batch_id: int, run_id: str, job_ids: Sequence[int]) -> None:
        """Note that jobs are in a run, numbered there from 1 in this order."""
        with self.transaction():
            self._database.run("INSERT INTO runs (run_id, batch_id) VALUES (?, ?)", run_id, batch_id)
            rows = [(run_id, number, batch_id, job_id) for number, job_id in enumerate(job_ids, 1)]
            self._database.run_many("UPDATE jobs SET run_id = ?, number = ? WHERE batch_id = ? AND job_id = ?", rows)

    def end_run(self, batch_id: int, run_id: str, lost: Mapping[int, Sequence[tuple[str, int]]]) -> None:
        """Note that a run has ended; the `lost` jobs, each with all runs that it began in, are in none again."""
        with self.transaction():
            self._database.run("UPDATE runs SET ended = 1 WHERE run_id = ?", run_id)
            self.run_tokens.end(run_id)
            rows = [(json.dumps(earlier), batch_id, job_id) for job_id, earlier in lost.items()]
            self._database.run_many("UPDATE jobs SET run_id = NULL, number = NULL, earlier = ? WHERE batch_id = ? AND job_id = ?", rows)

    def runs(self, batch_id: int) -> list[tuple[str, bool]]:
        """(run, whether it is known to have ended) of a batch."""
        return [(run_id, bool(ended)) for run_id, ended in self._database.all("SELECT run_id, ended FROM runs WHERE batch_id = ?", batch_id)]

    def forget_runs(self, batch_id: int) -> None:
        """Note that nothing is left of the runs of a batch."""
        self._database.run("DELETE FROM runs WHERE batch_id = ?", batch_id)

    def run_ids(self) -> set[str]:
        """All runs."""
        return {run_id for (run_id,) in self._database.all("SELECT run_id FROM runs")}

    def unsettled(self) -> list[int]:
        """Batches with a run that goes on, with jobs that are in none, or with runs to remove."""
        sql = """SELECT batch_id FROM runs WHERE NOT ended
                 UNION SELECT batch_id FROM jobs JOIN updates USING (batch_id, update_id) WHERE committed AND run_id IS NULL AND state IS NULL
                 UNION SELECT batch_id FROM runs JOIN batches ON batches.id = batch_id WHERE deleted"""
        return [*(batch_id for (batch_id,) in self._database.all(sql)), *self.groups.untold()]


def _batch_row(row: tuple[Any, ...] | None) -> BatchRow | None:
    if row is None:
        return None
    batch_id, user, project, token, attributes, failure_limit, created_ms, cancelled, deleted, *rest = row
    attributes = json.loads(attributes)
    return BatchRow(batch_id, user, project, token, attributes, failure_limit, created_ms, bool(cancelled), bool(deleted), *rest)


def _facts_row(facts: JobFacts) -> tuple[Any, ...]:
    """What most jobs have costs nothing: no parents, and no attributes but a name, are empty texts."""
    parents = json.dumps(facts.parents) if facts.parents else ""
    attributes = json.dumps(dict(facts.attributes)) if len(facts.attributes) > (facts.name is not None) else ""
    return facts.name, facts.always_run, facts.n_max_attempts, parents, attributes, facts.granted, facts.cores_mcpu, facts.memory_bytes


def _job_row(row: tuple[Any, ...]) -> JobRow:
    job_id, run_id, number, state, earlier, group_id, name, always_run, n_max_attempts, parents, attributes, *rest = row
    above = tuple(json.loads(parents)) if parents else ()
    words = json.loads(attributes) if attributes else {} if name is None else {"name": name}
    known = JobFacts(name, bool(always_run), n_max_attempts, above, words, *rest)
    runs = () if earlier == "[]" else tuple([(run, nth) for run, nth in json.loads(earlier)])
    return JobRow(job_id, known, run_id, number, state, runs, group_id)

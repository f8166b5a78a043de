"""How the tables came to be: one script a version, of which a file gets those that it does not have yet."""

from __future__ import annotations

_FIRST = """
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

_GROUPS = """
ALTER TABLE batches ADD COLUMN callback TEXT;
ALTER TABLE batches ADD COLUMN told_jobs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE updates ADD COLUMN start_group_id INTEGER NOT NULL DEFAULT 1;
ALTER TABLE updates ADD COLUMN n_groups INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN group_id INTEGER NOT NULL DEFAULT 0;
CREATE TABLE job_groups (
  batch_id INTEGER NOT NULL, group_id INTEGER NOT NULL, update_id INTEGER NOT NULL, parent_id INTEGER NOT NULL, attributes TEXT NOT NULL, callback TEXT,
  failure_limit INTEGER, created_ms INTEGER NOT NULL, cancelled INTEGER NOT NULL DEFAULT 0, told_jobs INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (batch_id, group_id)) WITHOUT ROWID;
"""

_SESSIONS = """
CREATE TABLE sessions (id_sha256 BLOB PRIMARY KEY, user TEXT NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID;
"""

_BILLS = """
ALTER TABLE billing_projects ADD COLUMN limit_usd TEXT;
CREATE TABLE cards (id INTEGER PRIMARY KEY, data TEXT NOT NULL UNIQUE);
ALTER TABLE batches ADD COLUMN card_id INTEGER NOT NULL DEFAULT 0;
CREATE TABLE bills (
  run_id TEXT NOT NULL, batch_id INTEGER NOT NULL, day INTEGER NOT NULL, card_id INTEGER NOT NULL, granted TEXT NOT NULL, ms INTEGER NOT NULL,
  PRIMARY KEY (run_id, day, granted)) WITHOUT ROWID;
CREATE INDEX bills_of_batch ON bills (batch_id);
"""

_USERS = """
ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'user';
ALTER TABLE users ADD COLUMN owner INTEGER NOT NULL DEFAULT 0;
UPDATE users SET role = 'admin', owner = 1;
CREATE TABLE deeds (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, batch_id INTEGER NOT NULL, group_id INTEGER NOT NULL, deed TEXT NOT NULL,
  user TEXT NOT NULL, why TEXT NOT NULL);
CREATE INDEX deeds_of_batch ON deeds (batch_id);
"""

_POSTED = """
CREATE TABLE posted_jobs (
  batch_id INTEGER NOT NULL, job_id INTEGER NOT NULL, update_id INTEGER NOT NULL, group_id INTEGER NOT NULL, run_id TEXT, number INTEGER, state TEXT,
  earlier TEXT NOT NULL DEFAULT '[]', name TEXT, always_run INTEGER NOT NULL, n_max_attempts INTEGER NOT NULL, parents TEXT NOT NULL,
  attributes TEXT NOT NULL, granted TEXT NOT NULL, cores_mcpu INTEGER NOT NULL, memory_bytes INTEGER NOT NULL,
  posted TEXT NOT NULL, PRIMARY KEY (batch_id, job_id));
INSERT INTO posted_jobs SELECT batch_id, job_id, update_id, group_id, run_id, number, state, earlier,
  json_extract(facts, '$[0]'), json_extract(facts, '$[1]'), json_extract(facts, '$[2]'), json_extract(facts, '$[3]'), json_extract(facts, '$[4]'),
  coalesce(json_extract(facts, '$[5]'), ''), 0, 0,
  json_set(spec, '$.resources', json_patch(
    json_object('storage', json_extract(spec, '$.resources.req_storage'),
                'preemptible', json(CASE WHEN json_extract(spec, '$.resources.preemptible') THEN 'true' ELSE 'false' END)),
    CASE WHEN json_extract(spec, '$.resources.machine_type') IS NULL
    THEN json_object('cpu', json_extract(spec, '$.resources.req_cpu'), 'memory', json_extract(spec, '$.resources.req_memory'))
    ELSE json_object('machine_type', json_extract(spec, '$.resources.machine_type')) END))
  FROM jobs;
DROP TABLE jobs;
ALTER TABLE posted_jobs RENAME TO jobs;
"""
"""What a job does stays as it was posted, and what lists need has columns of its own: nothing is written anew for each of many jobs."""

_QUOTAS = """
CREATE TABLE quotas (kind TEXT NOT NULL, name TEXT NOT NULL, max_mcpu INTEGER NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
"""

_LOGINS = """
ALTER TABLE users ADD COLUMN login TEXT;
CREATE TABLE run_tokens (run_id TEXT PRIMARY KEY, user TEXT NOT NULL, token_sha256 BLOB NOT NULL UNIQUE) WITHOUT ROWID;
"""

MIGRATIONS = (_FIRST, _GROUPS, _SESSIONS, _BILLS, _USERS, _POSTED, _QUOTAS, _LOGINS)
"""The script at place n makes version n + 1 of version n; what was released is never changed, only followed by another."""

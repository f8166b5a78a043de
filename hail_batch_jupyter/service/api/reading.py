"""What clients read of batches, jobs and money, and how they end a batch.

Source: the Batch Service's protocol, chapters 7, 9, 11, 13 and 15.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from hail_batch_jupyter.core.events import JobView
from hail_batch_jupyter.observe.usage import hint
from hail_batch_jupyter.service.api.accepting import completed
from hail_batch_jupyter.service.api.answers import (
    CONTAINERS,
    attempts_answer,
    attempts_told,
    batch_answer,
    containers_of,
    group_answer,
    job_answer,
    job_entry,
    time_text,
    tried,
    usage_tables,
)
from hail_batch_jupyter.service.api.joblogs import Log
from hail_batch_jupyter.service.api.listing import Listing
from hail_batch_jupyter.service.api.queries import BATCHES, JOBS, Item, parse
from hail_batch_jupyter.service.api.refusal import Refusal, not_found
from hail_batch_jupyter.service.api.resources import Grants
from hail_batch_jupyter.service.api.stages import Stage, stages_of
from hail_batch_jupyter.service.budget import low_budget
from hail_batch_jupyter.service.pricing import Pricing
from hail_batch_jupyter.service.running.known import Attempt, Known
from hail_batch_jupyter.service.running.runs import Runs
from hail_batch_jupyter.service.store.rows import ROOT, BatchRow, JobRow
from hail_batch_jupyter.service.store.tables import Store
from hail_batch_jupyter.service.web import Later

PAGE = 50
LARGE_PAGE = 2000
"""Jobs of a page for who asks for so many: 100 000 jobs in 50 requests instead of 2 000."""
_NEWS = 1000
"""So many jobs that changed are told to who waits; who has missed more lists them."""
_WAIT_S = 25.0
"""So long somebody may wait: clients give up a request after 30 s."""
_MOST_LOGS_BYTES = 64 << 20
MOST_WHY = 200
"""Characters of a reason that are kept."""
_NO_REASON = "asked for"
_YES, _NO = ("True", "true", "1"), ("False", "false", "0")


class Reading:
    """Answers about what there is; every method may be called from any thread.

    What is known does not change while one answers.
    """

    def __init__(self, store: Store, runs: Runs, pricing: Pricing) -> None:
        self._store = store
        self._pricing = pricing
        self._runs = runs
        self._lock = runs.lock
        self._listing = Listing(store, runs, pricing)

    # batches

    def batch(self, user: str, batch_id: int) -> dict[str, Any]:
        """A batch."""
        with self._lock:
            return self._answer(self._known(user, batch_id))

    def _answer(self, known: Known) -> dict[str, Any]:
        """A batch, with a word about its billing project where that has little left."""
        name = known.batch.project
        project = self._store.billing.project(name)
        answer = batch_answer(known, self._pricing)
        if project is None or project.limit_usd is None:
            return answer
        words = low_budget({"limit": project.limit_usd, "accrued_cost": self._runs.spending.accrued(name)})
        return {**answer, "budget": f"billing project {name} {words}"} if words else answer

    def wait(self, user: str, batch_id: int, query: Mapping[str, str]) -> Later:
        """A batch, as soon as its mark is not the one that was `seen`; where it is asked for and can be told, with the jobs that changed since."""
        seen, timeout_s, with_jobs = query.get("seen", ""), _seconds(query), query.get("jobs", "false") in _YES

        def look() -> dict[str, Any] | None:
            with self._lock:
                known = self._known(user, batch_id)
                if known.mark == seen:
                    return None
                return {**self._answer(known), **(self._changed(known, seen) if with_jobs else {})}

        return Later(look, lambda: self.batch(user, batch_id), timeout_s)

    def _entry(self, known: Known, row: JobRow, view: JobView) -> dict[str, Any]:
        """A job of the list, with its attempts."""
        return {**job_entry(known, row, view, self._pricing), "attempts": attempts_told(known, row)}

    def _changed(self, known: Known, seen: str) -> dict[str, Any]:
        places = known.places_since(seen)
        if places is None or len(places) > _NEWS:
            return {}
        return {"jobs": [self._entry(known, known.rows[place], known.views[place]) for place in places]}

    def totals(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many jobs of batches that go on are in each state, and how many batches go on or have ended."""
        with self._lock:
            return self._runs.totals()

    def batches(self, user: str, version: int, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of batches, newest first."""
        usual = f"user:{user}" if version == 1 else f"user = {user}"
        test = parse(query.get("q", usual), version, BATCHES)
        found: list[dict[str, Any]] = []
        for batch in self._store.batches(user, _number(query, "last_batch_id")):
            if test(self._listing.item(batch)):
                if len(found) == PAGE:
                    return {"batches": found, "last_batch_id": found[-1]["id"]}
                found.append(self._listing.entry(batch))
        return {"batches": found}

    def group(self, user: str, batch_id: int, group_id: int) -> dict[str, Any]:
        """A job group."""
        with self._lock:
            return group_answer(self._with_group(user, batch_id, group_id), group_id, self._pricing)

    def groups(self, user: str, batch_id: int, group_id: int, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of the groups in a group."""
        after = _number(query, "last_job_group_id") or 0
        with self._lock:
            known = self._known(user, batch_id)
            _check_group(known, group_id)
            inside = [each.group_id for each in known.groups.values() if each.parent_id == group_id and each.group_id > max(after, ROOT)]
            found = [group_answer(known, each, self._pricing) for each in inside[:PAGE]]
        return {"job_groups": found, **({"last_job_group_id": inside[PAGE - 1]} if len(inside) > PAGE else {})}

    def cancel(self, user: str, batch_id: int, group_id: int, why: str = "") -> None:
        """Cancel a group, the root for the batch; `why` is kept as one line."""
        with self._lock:
            _check_group(self._known(user, batch_id), group_id)
        self._runs.cancel(batch_id, group_id, user=user, why=_reason(why))

    def delete(self, user: str, batch_id: int, why: str = "") -> None:
        """Cancel a batch and forget it; who asks for it later is told who did that and why."""
        self._batch(user, batch_id)
        self._runs.delete(batch_id, user, _reason(why))

    def deeds(self, user: str, batch_id: int) -> list[dict[str, Any]]:
        """Who cancelled what of a batch, and why; no user is the service itself."""
        self._batch(user, batch_id)
        keys = ("time_ms", "job_group_id", "deed", "user", "why")
        return [dict(zip(keys, deed, strict=True)) for deed in self._store.deeds(batch_id)]

    # jobs

    def jobs(self, user: str, batch_id: int, group_id: int, version: int, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of jobs in the order of their numbers."""
        test = parse(query.get("q", ""), version, JOBS)
        recursive = query.get("recursive", "false")
        if recursive not in (*_YES, *_NO):
            raise Refusal(400, f"recursive {recursive!r} is neither true nor false")
        after = _number(query, "last_job_id") or 0
        size = min(_number(query, "limit") or PAGE, LARGE_PAGE)
        found: list[dict[str, Any]] = []
        with self._lock:
            known = self._with_group(user, batch_id, group_id)
            for place in range(known.place_after(after), len(known.rows)):
                row, view = known.rows[place], known.views[place]
                if row.group_id != group_id and not (recursive in _YES and known.inside(row.group_id, group_id)):
                    continue
                entry = job_entry(known, row, view, self._pricing)
                if test(Item(entry, row.facts.attributes, tried=partial(tried, known, row))):
                    found.append({**entry, "attempts": attempts_told(known, row)})
                    if len(found) == size:
                        return {"jobs": found, "last_job_id": row.job_id}
        return {"jobs": found}

    def job(self, user: str, batch_id: int, job_id: int) -> dict[str, Any]:
        """All that is known of a job."""
        with self._lock:
            known, row = self._job(user, batch_id, job_id)
            grants = Grants(self._pricing.card_of(known.batch.card_id))
            spec = completed(self._store.posted(batch_id, job_id), job_id, row.group_id, grants)
            return job_answer(known, row, spec, self._pricing)

    def parents(self, user: str, batch_id: int, job_id: int) -> list[dict[str, Any]]:
        """Number, name and state of the jobs that a job needs."""
        with self._lock:
            known, row = self._job(user, batch_id, job_id)
            found = [(known.place(parent), known.view(parent)) for parent in row.facts.parents]
        return [{"job_id": view.job_id, "name": known.rows[place or 0].facts.name, "state": view.state.value} for place, view in found]

    def attempts(self, user: str, batch_id: int, job_id: int) -> list[dict[str, Any]] | None:
        """The attempts of a job, None if there are none."""
        with self._lock:
            return attempts_answer(*self._job(user, batch_id, job_id))

    def hint(self, user: str, batch_id: int, job_id: int) -> str:
        """One sentence where a job asked for far more than it used, '' else."""
        with self._lock:
            known, row = self._job(user, batch_id, job_id)
            return hint(row.facts.request, known.view(job_id))

    def stages(self, user: str, batch_id: int) -> list[Stage]:
        """What the stages of a batch asked for and used."""
        with self._lock:
            known = self._known(user, batch_id)
            jobs = [(row.facts, view) for row, view in zip(known.rows, known.views, strict=True)]
        return stages_of(jobs)

    def resource_usage(self, user: str, batch_id: int, job_id: int, attempt_id: str | None) -> dict[str, Any]:
        """Tables of what an attempt of a job used, the last one if none is named; {} where nothing was measured."""
        with self._lock:
            attempt = self._attempt(user, batch_id, job_id, attempt_id)
        return {} if attempt is None else usage_tables(attempt)

    def log(self, user: str, batch_id: int, job_id: int, container: str, attempt_id: str | None) -> Log | None:
        """The log of a part of a job, of its last attempt if none is named; None while there is none."""
        with self._lock:
            self._job(user, batch_id, job_id)
            if container not in containers_of(self._store.posted(batch_id, job_id)):
                raise Refusal(400, f"unknown container {container}; a job has {', '.join(CONTAINERS)} as far as it copies files")
            attempt = self._attempt(user, batch_id, job_id, attempt_id)
        if attempt is None:
            return None
        log = Log(attempt.run, attempt.number, attempt.view.number, container)
        return log if log.exists() else None

    def attempt_id(self, user: str, batch_id: int, job_id: int, container: str, attempt_id: str | None) -> str:
        """The attempt whose log of that part is meant; raises Refusal where there is none."""
        self.log(user, batch_id, job_id, container, attempt_id)
        with self._lock:
            attempt = self._attempt(user, batch_id, job_id, attempt_id)
        if attempt is None:
            raise not_found("no attempt found for this job")
        return attempt.attempt_id

    def logs(self, user: str, batch_id: int, job_id: int) -> dict[str, str | None]:
        """All logs of a job as texts."""
        with self._lock:
            known, row = self._job(user, batch_id, job_id)
            began = bool(known.attempts(row))
            names = containers_of(self._store.posted(batch_id, job_id))
        logs = {name: self.log(user, batch_id, job_id, name, None) for name in names}
        if sum(log.size() for log in logs.values() if log) > _MOST_LOGS_BYTES:
            raise Refusal(400, f"the logs of job {job_id} are too long for one answer; ask for /log/main, or a range of it")
        try:
            return {name: None if not began else log.read(0, log.size()).decode() if log else "" for name, log in logs.items()}
        except UnicodeDecodeError as error:
            raise Refusal(400, f"a log of job {job_id} is no text; ask for /log/main instead") from error

    def userinfo(self, user: str) -> dict[str, Any]:
        """Who asks."""
        projects = self._store.billing.projects(user)
        facts = {"username": user, "login_id": user, "display_name": user, "hail_identity": None, "state": "active"}
        trial = projects[0].name if projects else None
        return {**facts, "trial_bp_name": trial, "is_developer": False, "is_service_account": False}

    # parts of these

    def _batch(self, user: str, batch_id: int) -> BatchRow:
        batch = self._store.batch(batch_id)
        if batch is None or not self._store.billing.is_member(batch.project, user):
            raise not_found(f"batch {batch_id} does not exist")
        if batch.deleted:
            raise not_found(f"batch {batch_id} does not exist any more: {self._who_deleted(batch_id)}")
        return batch

    def _who_deleted(self, batch_id: int) -> str:
        """Batches of earlier versions have no row that says who did it."""
        found = [(at_ms, user, why) for at_ms, _, deed, user, why in self._store.deeds(batch_id) if deed == "delete"]
        if not found:
            return "it was deleted"
        at_ms, user, why = found[-1]
        return f"{user or 'the service'} deleted it at {time_text(at_ms)}" + (f" ({why})" if why != _NO_REASON else "")

    def _known(self, user: str, batch_id: int) -> Known:
        self._batch(user, batch_id)
        return self._runs.known(batch_id)

    def _job(self, user: str, batch_id: int, job_id: int) -> tuple[Known, JobRow]:
        known = self._known(user, batch_id)
        place = known.place(job_id)
        if place is None:
            raise not_found(f"batch {batch_id} has no job {job_id}")
        return known, known.rows[place]

    def _attempt(self, user: str, batch_id: int, job_id: int, attempt_id: str | None) -> Attempt | None:
        """The attempt of that id, the last one for None; raises Refusal when a job has none of that id."""
        known, row = self._job(user, batch_id, job_id)
        chosen = [attempt for attempt in known.attempts(row) if attempt_id in (None, attempt.attempt_id)]
        if attempt_id is not None and not chosen:
            raise not_found(f"job {job_id} of batch {batch_id} has no attempt {attempt_id}")
        return chosen[-1] if chosen else None

    def _with_group(self, user: str, batch_id: int, group_id: int) -> Known:
        known = self._known(user, batch_id)
        if group_id not in known.groups:
            raise not_found(f"job group {group_id} of batch {batch_id} does not exist")
        return known


def _reason(why: str) -> str:
    """A reason as it is kept: one line that is not too long, whatever was sent."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in why).split())[:MOST_WHY] or _NO_REASON


def _check_group(known: Known, group_id: int) -> None:
    if group_id not in known.groups:
        raise Refusal(403, f"Job Group ({known.batch.batch_id}, {group_id}) does not exist.")


def _seconds(query: Mapping[str, str]) -> float:
    text = query.get("timeout_s", str(_WAIT_S))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _WAIT_S:
        raise Refusal(400, f"timeout_s {text!r} is not between 0 and {_WAIT_S:g}")
    return seconds


def _number(query: Mapping[str, str], key: str) -> int | None:
    text = query.get(key)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Refusal(400, f"{key} {text!r} is no number")
    return int(text)

"""The runs of the service: which jobs may begin, starting them, and seeing what became of them."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import Counter, OrderedDict
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.core.state import BROKEN, JobState
from hail_batch_jupyter.errors import BatchException, RunLostError
from hail_batch_jupyter.observe import owner, rundir
from hail_batch_jupyter.observe.attach import open_run
from hail_batch_jupyter.observe.cancelling import request_parts
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.service.api.accepting import completed
from hail_batch_jupyter.service.api.resources import Grants
from hail_batch_jupyter.service.callbacks import Callbacks
from hail_batch_jupyter.service.closing import Closing
from hail_batch_jupyter.service.journal import note
from hail_batch_jupyter.service.known import Known
from hail_batch_jupyter.service.leftovers import never_began, silenced, unfinished
from hail_batch_jupyter.service.pricing import Pricing
from hail_batch_jupyter.service.shares import Shares
from hail_batch_jupyter.service.store.billing import Charge
from hail_batch_jupyter.service.store.database import OuterLock
from hail_batch_jupyter.service.store.rows import ROOT, JobRow
from hail_batch_jupyter.service.store.tables import Store
from hail_batch_jupyter.service.worker import Worker

_LIVE_S = 0.05
_TROUBLE_S = 5.0
_LIMITS_EVERY_S = 1.0
_GRACE_S = 3.0
_KEPT = 64
"""So many batches without a live run stay in memory."""
_log = logging.getLogger(__name__)


class _Plan(NamedTuple):
    """Jobs that begin together, and the final states of their parents that are not among them."""

    rows: list[JobRow]
    done: dict[int, str]


class Runs:
    """Keeps the runs of all batches going from one thread of its own; every other method may be called from any thread.

    A job is in one run at most, and the store knows of it before the run starts. A run whose runner was killed is closed, and the jobs that it
    did not finish are in none again, so that they begin in another.

    lock   is held while what is known changes; who reads more than one thing holds it too
    """

    def __init__(self, store: Store, worker: Worker, pricing: Pricing, shares: Shares) -> None:
        self._store = store
        self._shares = shares
        self._pricing = pricing
        self._worker = worker
        self._callbacks = Callbacks(store, pricing)
        self._closing = Closing()
        self.lock = OuterLock(store.in_transaction)
        self._known: OrderedDict[int, Known] = OrderedDict()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._limits_s = 0.0
        self._remove_unknown()
        self._unsettled = set(store.unsettled())
        self._find_shares()
        self._thread = threading.Thread(target=self._work, name="runs", daemon=True)

    def begin(self) -> None:
        """Start working."""
        self._thread.start()

    def close(self) -> None:
        """Stop working; the runs go on. One that is still being written is left as if the service had been killed, and begins at the next start."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_GRACE_S)
        self._callbacks.close()
        self._worker.close()

    def known(self, batch_id: int) -> Known:
        """The batch as it is known now."""
        with self.lock:
            known = self._loaded(batch_id)
            known.refresh()
            return known

    def totals(self) -> tuple[dict[str, int], dict[str, int]]:
        """Jobs of the batches that go on by state, and batches that go on or have ended."""
        with self.lock:
            going = [self.known(batch_id) for batch_id in sorted(self._unsettled)]
        jobs: Counter[str] = Counter()
        for known in going:
            jobs.update({state.value: count for state, count in known.counts().items()})
        return dict(jobs), {"running": len(going), "ended": self._store.n_batches() - len(going)}

    def accrued(self, project: str) -> Fraction:
        """Dollars that were ever charged to a project, up to now."""
        return self._pricing.charged([*self._store.billing.charged(project), *(charge for charge in self.going_on() if charge.project == project)])

    def cost(self, batch_id: int) -> Fraction:
        """Dollars that a batch cost until now."""
        known = self.known(batch_id)
        return sum(self._pricing.by_resource(known.batch.card_id, known.used(int(time.time() * 1000))).values(), Fraction(0))

    def going_on(self) -> list[Charge]:
        """What is charged for runs that have not ended, up to now."""
        now_ms, found = int(time.time() * 1000), []
        with self.lock:
            for batch_id in sorted(self._unsettled):
                live = [run_id for run_id, ended in self._store.runs(batch_id) if not ended]
                known = self.known(batch_id) if live else None
                for run_id in live:
                    assert known is not None
                    batch = known.batch
                    found += [Charge(batch.project, batch.user, batch.card_id, grant, ms) for grant, ms in known.used_in_run(run_id, now_ms).items()]
        return found

    def _loaded(self, batch_id: int) -> Known:
        """As the store has it now: what changes a batch tells so by `changed`."""
        with self.lock:
            known = self._known.get(batch_id)
            if known is None:
                known = self._known[batch_id] = self._load(batch_id)
                settled = next((other for other in self._known if other not in self._unsettled and other != batch_id), None)
                if len(self._known) > _KEPT and settled is not None:
                    del self._known[settled]
            self._known.move_to_end(batch_id)
            return known

    def changed(self, batch_id: int) -> None:
        """Look at a batch again: the store knows something new about it."""
        with self.lock:
            self._known.pop(batch_id, None)
            self._look_again(batch_id)

    def _look_again(self, batch_id: int) -> None:
        self._unsettled.add(batch_id)
        self._wake.set()

    def _load(self, batch_id: int) -> Known:
        batch = self._store.batch(batch_id)
        assert batch is not None
        runs: dict[str, RunningBatch] = {}
        for run_id, _ in self._store.runs(batch_id):
            with suppress(RunLostError):
                runs[run_id] = opened(rundir.find(run_id))
        return Known(batch, self._store.jobs(batch_id), runs, self._store.groups.committed(batch), self._pricing.card_of(batch.card_id))

    def _remove_unknown(self) -> None:
        """Runs that were written down and got no orders, noted or not: nothing of them has started, and nobody will start it.

        What cannot be read is the rest of a run that was not yet written or already being removed; one that is noted is left to be looked at, as lost.
        """
        known = self._store.run_ids()
        runs = [run for run in rundir.list_runs() if run.backend == Worker.name]
        for run in runs:
            if run.run_id not in known or never_began(run.directory):
                rundir.remove(run.directory)
        for run_id in set(rundir.run_ids()) - {run.run_id for run in runs}:
            directory = rundir.runs_folder() / run_id
            if run_id in known:
                _log.warning("run %s cannot be read and is taken for lost; what is left of it is in %s", run_id, directory)
            elif not owner.owner_alive(directory):
                rundir.remove_rest(directory)
        self._worker.clear_all_but({run.lineage for run in runs if run.run_id in known and run.state != "ended"})

    def _find_shares(self) -> None:
        """Runs that went on without the service."""
        for batch_id in self._unsettled:
            batch = self._store.batch(batch_id)
            for run_id, ended in self._store.runs(batch_id):
                if batch is not None and not ended:
                    self._shares.found(rundir.runs_folder() / run_id, batch)

    def used_mcpu(self, user: str) -> int:
        """Millicores that the running jobs of a user take."""
        return self._shares.used(user)

    # the thread

    def _work(self) -> None:
        while not self._stopped.is_set():
            pause_s: float | None = None
            with self.lock:
                unsettled = sorted(self._unsettled)
            for batch_id in unsettled:
                try:
                    goes_on = self._settle(batch_id)
                except (BatchException, OSError, sqlite3.Error):
                    if self._stopped.is_set():
                        return
                    _log.exception("batch %d cannot be worked on now, trying again", batch_id)
                    pause_s = pause_s or _TROUBLE_S
                    continue
                pause_s = _LIVE_S if goes_on else pause_s
            self._shares.look()
            self._keep_limits()
            self._wake.wait(pause_s)
            self._wake.clear()

    def _keep_limits(self) -> None:
        """Cancel the batches of projects that have spent what they may, now and then."""
        if time.monotonic() - self._limits_s < _LIMITS_EVERY_S:
            return
        self._limits_s = time.monotonic()
        with self.lock:
            going = [(batch_id, self._loaded(batch_id).batch) for batch_id in sorted(self._unsettled)]
        for name in {batch.project for _, batch in going if not batch.cancelled}:
            project = self._store.billing.project(name)
            if project is not None and project.limit_usd is not None and self.accrued(name) >= project.limit_usd:
                for batch_id, batch in going:
                    if batch.project == name and not batch.cancelled:
                        self.cancel(batch_id, why=f"billing project {name} has reached its limit")

    def _settle(self, batch_id: int) -> bool:
        """Do what is to be done for a batch now; whether something will be later."""
        runs = self._loaded(batch_id).runs
        live = [run_id for run_id, ended in self._store.runs(batch_id) if not ended]
        live = [run_id for run_id in live if not self._ended(batch_id, run_id, runs.get(run_id))]
        with self.lock:
            known = self._loaded(batch_id)
            changed = self._look(known)
            plan = None if changed else self._planned(known)
            if not changed and plan is None and not live and not known.open_rows:
                if known.batch.deleted:
                    self._remove(known)
                self._callbacks.look(known)
                self._unsettled.discard(batch_id)
                return False
        if plan is not None:
            self._begin(batch_id, plan)
        return True

    def _look(self, known: Known) -> bool:
        """Call back who is to be, and cancel groups with too many failures; whether there were any."""
        limits = {group_id: group.failure_limit for group_id, group in known.groups.items() if group.failure_limit and not known.cancelled(group_id)}
        called = self._callbacks.wanted(known)
        if limits or called or known.open_rows:
            known.refresh()
        if called:
            self._callbacks.look(known)
        reached = [group_id for group_id, limit in limits.items() if sum(known.counts(group_id).get(state, 0) for state in BROKEN) >= limit]
        for group_id in reached:
            self.cancel(known.batch.batch_id, group_id, why=f"{limits[group_id]} of its jobs failed")
        return bool(reached)

    def _ended(self, batch_id: int, run_id: str, run: RunningBatch | None) -> bool:
        """Whether a run has ended, which is noted; one whose runner was killed is closed first, which ends what it left."""
        directory = rundir.runs_folder() / run_id
        if not (silenced(directory) if run is None else self._closing.ended(run, directory)):
            return False
        self._end(batch_id, run_id, run)
        return True

    def _end(self, batch_id: int, run_id: str, run: RunningBatch | None) -> None:
        """Jobs that the run did not finish are in none again."""
        again = set() if run is None else unfinished(run, self._worker.copier)
        with self.lock:
            known = self.known(batch_id)
            rows = [row for row in known.rows if row.run_id == run_id and row.number is not None]
            lost = [row for row in rows if run is None or row.number in again]
            earlier = {row.job_id: [*row.earlier, *([(run_id, row.number or 0)] if run is not None and _tried(run, row) else [])] for row in lost}
            with self._store.transaction():
                self._store.end_run(batch_id, run_id, earlier)
                self._store.billing.put_bill(run_id, batch_id, known.batch.card_id, known.bill(run_id))
            if lost:
                self._known.pop(batch_id, None)
        self._shares.ended(run_id)
        if run is not None:
            self._worker.clear(run.spec.lineage)

    # beginning

    def _planned(self, known: Known) -> _Plan | None:
        """The jobs that wait for none of a live run, after those that will never run are decided; None where there is neither."""
        chosen: dict[int, JobRow] = {}
        decided: dict[int, str] = {}
        for row in known.open_rows:
            states = [self._state(known, decided, parent) for parent in row.facts.parents if parent not in chosen]
            if any(not state.complete for state in states):
                continue
            doomed = known.cancelled(row.group_id) or any(state is not JobState.SUCCESS for state in states)
            if known.batch.deleted or (doomed and not row.facts.always_run):
                decided[row.job_id] = JobState.CANCELLED.value
            elif len(row.earlier) >= row.facts.n_max_attempts:
                decided[row.job_id] = JobState.ERROR.value
            else:
                chosen[row.job_id] = row
        outside = {parent for row in chosen.values() for parent in row.facts.parents} - chosen.keys()
        done = {parent: self._state(known, decided, parent).value for parent in outside}
        if decided:
            self._store.decide(known.batch.batch_id, decided)
            known.decided(decided)
        return _Plan(list(chosen.values()), done) if chosen or decided else None

    @staticmethod
    def _state(known: Known, decided: dict[int, str], job_id: int) -> JobState:
        return JobState(decided[job_id]) if job_id in decided else known.view(job_id).state

    def _begin(self, batch_id: int, plan: _Plan) -> None:
        """Start a run; without the lock, as a run of many jobs takes its time to be written."""
        if plan.rows:
            batch = self._store.batch(batch_id)
            assert batch is not None
            grants, posted = Grants(self._pricing.card_of(batch.card_id)), self._store.all_posted(batch_id, [row.job_id for row in plan.rows])
            specs = (completed(job, row.job_id, row.group_id, grants) for job, row in zip(posted, plan.rows, strict=True))
            spec = self._worker.describe(batch, plan.rows, specs, plan.done)
            self._worker.begin_run(spec, lambda run_id: self._began(batch_id, run_id, [row.job_id for row in plan.rows]))

    def _began(self, batch_id: int, run_id: str, job_ids: list[int]) -> None:
        """Note a run that gets its orders next, and the end of what was cancelled while it was written."""
        with self.lock:
            self._store.new_run(batch_id, run_id, job_ids)
            self._shares.began(rundir.find(run_id), self._loaded(batch_id).batch)
            known = self._known.get(batch_id)
            if known is not None:
                known.began(run_id, opened(rundir.find(run_id)), job_ids)
            known = self._loaded(batch_id)
            for group_id, group in known.groups.items():
                if group.cancelled:
                    _end_parts(known, run_id, group_id)

    # ending

    def cancel(self, batch_id: int, group_id: int = ROOT, *, user: str = "", why: str = "asked for") -> None:
        """Cancel what has not ended in a group and is not `always_run`; again does nothing more. Who did it, '' for the service itself, is noted."""
        with self.lock:
            known = self._loaded(batch_id)
            if not known.cancelled(group_id):
                self._note("cancel", batch_id, group_id, user, why)
            if group_id == ROOT:
                self._store.mark_cancelled(batch_id)
            else:
                self._store.groups.mark_cancelled(batch_id, [group_id])
            for run_id, ended in self._store.runs(batch_id):
                if not ended:
                    with suppress(RunLostError):
                        _end_parts(known, run_id, group_id)
            batch = self._store.batch(batch_id)
            assert batch is not None
            known.took(batch, self._store.groups.committed(batch))
            self._look_again(batch_id)

    def delete(self, batch_id: int, user: str) -> None:
        """Cancel a batch and forget it; what its runs left is removed when they have ended."""
        with self.lock:
            self._note("delete", batch_id, ROOT, user, "asked for")
            self._store.mark_deleted(batch_id)
            self.cancel(batch_id, user=user, why="deleted")

    def _note(self, deed: str, batch_id: int, group_id: int, user: str, why: str) -> None:
        self._store.note_deed(batch_id, group_id, deed, user, why, int(time.time() * 1000))
        note(deed, batch=batch_id, group=group_id, user=user, why=why)

    def _remove(self, known: Known) -> None:
        for run in known.runs.values():
            self._worker.clear(run.spec.lineage)
            if run.directory is not None:
                with suppress(RunLostError):
                    rundir.remove(run.directory)
        self._store.forget_runs(known.batch.batch_id)
        self._known.pop(known.batch.batch_id, None)


def _end_parts(known: Known, run_id: str, group_id: int) -> None:
    """Ask a run to end the jobs of a group; the root is all of it, also what it has not come to yet."""
    directory = rundir.find(run_id)
    if group_id == ROOT:
        rundir.request_cancel(directory, "cancelled by the user")
        return
    rows = [row for row in known.rows if row.run_id == run_id and known.inside(row.group_id, group_id) and not row.facts.always_run]
    request_parts(directory, [row.number for row in rows if row.number is not None])


def _tried(run: RunningBatch, row: JobRow) -> bool:
    return bool(run.snapshot().jobs[(row.number or 1) - 1].attempts)


def opened(directory: Path) -> RunningBatch:
    """The handle on a run, without what its jobs do: that is in the database, and large."""
    facts = rundir.info(directory)
    return open_run(directory, BatchSpec(facts.name, _numbered(facts.n_jobs), lineage=facts.lineage))


@lru_cache(maxsize=16)
def _numbered(n_jobs: int) -> tuple[JobSpec, ...]:
    return tuple(JobSpec(number, "", None, "bash", (), "") for number in range(1, n_jobs + 1))

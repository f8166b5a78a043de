"""The runs of the service: which jobs may begin, starting them, and seeing what became of them."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import Counter
from contextlib import suppress

from hail_batch_jupyter.core.state import BROKEN
from hail_batch_jupyter.errors import BatchException, RunLostError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.cancelling import request_parts
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.service.api.accepting import completed
from hail_batch_jupyter.service.api.resources import Grants
from hail_batch_jupyter.service.journal import note
from hail_batch_jupyter.service.pricing import Pricing
from hail_batch_jupyter.service.running.callbacks import Callbacks
from hail_batch_jupyter.service.running.closing import Closing
from hail_batch_jupyter.service.running.known import Known
from hail_batch_jupyter.service.running.known_batches import KnownBatches, opened
from hail_batch_jupyter.service.running.leftovers import remove_unknown, silenced, unfinished
from hail_batch_jupyter.service.running.planning import Plan, planned
from hail_batch_jupyter.service.running.shares import Shares
from hail_batch_jupyter.service.running.spending import Spending
from hail_batch_jupyter.service.running.worker import Worker
from hail_batch_jupyter.service.store.rows import ROOT, JobRow
from hail_batch_jupyter.service.store.tables import Store

_LIVE_S = 0.05
_TROUBLE_S = 5.0
_LIMITS_EVERY_S = 1.0
_GRACE_S = 3.0
_log = logging.getLogger(__name__)


class Runs:
    """Keeps the runs of all batches going from one thread of its own; every other method may be called from any thread.

    A job is in one run at most, and the store knows of it before the run starts. A run whose runner was killed is closed, and the jobs that it
    did not finish are in none again, so that they begin in another.

    lock       is held while what is known changes; who reads more than one thing holds it too
    spending   tells what has been spent until now
    """

    def __init__(self, store: Store, worker: Worker, pricing: Pricing, shares: Shares) -> None:
        self._store = store
        self._shares = shares
        self._pricing = pricing
        self._worker = worker
        self._callbacks = Callbacks(store, pricing)
        self._closing = Closing(worker.copier)
        self._batches = KnownBatches(store, pricing, lambda: shares.waits)
        self.lock = self._batches.lock
        self.spending = Spending(store, pricing, self._batches)
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._limits_s = 0.0
        worker.clear_all_but(remove_unknown(store.run_ids(), worker.name))
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
        return self._batches.known(batch_id)

    def totals(self) -> tuple[dict[str, int], dict[str, int]]:
        """Jobs of the batches that go on by state, and batches that go on or have ended."""
        with self.lock:
            going = [self.known(batch_id) for batch_id in self._batches.unsettled_now()]
        jobs: Counter[str] = Counter()
        for known in going:
            jobs.update({state.value: count for state, count in known.counts().items()})
        return dict(jobs), {"running": len(going), "ended": self._store.n_batches() - len(going)}

    def changed(self, batch_id: int) -> None:
        """Look at a batch again: the store knows something new about it."""
        with self.lock:
            self._batches.forget(batch_id)
            self._look_again(batch_id)

    def _look_again(self, batch_id: int) -> None:
        self._batches.unsettled.add(batch_id)
        self._wake.set()

    def _find_shares(self) -> None:
        """Runs that went on without the service."""
        for batch_id in self._batches.unsettled:
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
            for batch_id in self._batches.unsettled_now():
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
        for batch in self.spending.over_the_limit():
            self.cancel(batch.batch_id, why=f"billing project {batch.project} has reached its limit")

    def _settle(self, batch_id: int) -> bool:
        """Do what is to be done for a batch now; whether something will be later."""
        runs = self._batches.loaded(batch_id).runs
        live = [run_id for run_id, ended in self._store.runs(batch_id) if not ended]
        live = [run_id for run_id in live if not self._ended(batch_id, run_id, runs.get(run_id))]
        with self.lock:
            known = self._batches.loaded(batch_id)
            changed = self._look(known)
            plan = None if changed else self._planned(known)
            if not changed and plan is None and not live and not known.open_rows:
                if known.batch.deleted:
                    self._remove(known)
                self._callbacks.look(known)
                self._batches.unsettled.discard(batch_id)
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
        again = set() if run is None else unfinished(run)
        with self.lock:
            known = self.known(batch_id)
            rows = [row for row in known.rows if row.run_id == run_id and row.number is not None]
            lost = [row for row in rows if run is None or row.number in again]
            earlier = {row.job_id: [*row.earlier, *([(run_id, row.number or 0)] if run is not None and _tried(run, row) else [])] for row in lost}
            with self._store.transaction():
                self._store.end_run(batch_id, run_id, earlier)
                self._store.billing.put_bill(run_id, batch_id, known.batch.card_id, known.bill(run_id))
            if lost:
                self._batches.forget(batch_id)
        self._shares.ended(run_id)
        if run is not None:
            self._worker.clear(run.spec.lineage)

    # beginning

    def _planned(self, known: Known) -> Plan | None:
        """What is to begin, after those that will never run are decided; None where there is neither."""
        plan = planned(known)
        if plan.decided:
            self._store.decide(known.batch.batch_id, plan.decided)
            known.decided(plan.decided)
        return plan if plan.rows or plan.decided else None

    def _begin(self, batch_id: int, plan: Plan) -> None:
        """Start a run; without the lock, as a run of many jobs takes its time to be written."""
        if plan.rows:
            batch = self._store.batch(batch_id)
            assert batch is not None
            grants = Grants(self._pricing.card_of(batch.card_id))
            rows, posted = self._worker.together(batch, plan.rows, self._store.all_posted(batch_id, [row.job_id for row in plan.rows]))
            specs = (completed(job, row.job_id, row.group_id, grants) for job, row in zip(posted, rows, strict=True))
            spec = self._worker.describe(batch, rows, specs, plan.done)
            self._worker.begin_run(spec, lambda run_id: self._began(batch_id, run_id, [row.job_id for row in rows]))

    def _began(self, batch_id: int, run_id: str, job_ids: list[int]) -> None:
        """Note a run that gets its orders next, and the end of what was cancelled while it was written."""
        with self.lock:
            self._store.new_run(batch_id, run_id, job_ids)
            self._shares.began(rundir.find(run_id), self._batches.loaded(batch_id).batch)
            known = self._batches.in_memory(batch_id)
            if known is not None:
                known.began(run_id, opened(rundir.find(run_id)), job_ids)
            known = self._batches.loaded(batch_id)
            for group_id, group in known.groups.items():
                if group.cancelled:
                    _end_parts(known, run_id, group_id)

    # ending

    def cancel(self, batch_id: int, group_id: int = ROOT, *, user: str = "", why: str = "asked for") -> None:
        """Cancel what has not ended in a group and is not `always_run`; again does nothing more. Who did it, '' for the service itself, is noted."""
        with self.lock:
            known = self._batches.loaded(batch_id)
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

    def delete(self, batch_id: int, user: str, why: str = "asked for") -> None:
        """Cancel a batch and forget it; what its runs left is removed when they have ended."""
        with self.lock:
            self._note("delete", batch_id, ROOT, user, why)
            self._store.mark_deleted(batch_id)
            self.cancel(batch_id, user=user, why="deleted")

    def _note(self, deed: str, batch_id: int, group_id: int, user: str, why: str) -> None:
        self._store.note_deed(batch_id, group_id, deed, user, why, int(time.time() * 1000))
        note(deed, batch=batch_id, group=group_id, user=user, why=why)

    def _remove(self, known: Known) -> None:
        for run in known.runs.values():
            self._worker.clear(run.spec.lineage)
            if run.directory is not None:
                self._worker.remove(run.directory)
        self._store.forget_runs(known.batch.batch_id)
        self._batches.forget(known.batch.batch_id)


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

"""RunningBatch: the one handle on a run, on every backend."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from hail_batch_jupyter.core.events import AttemptView, BatchSnapshot, JobEvent
from hail_batch_jupyter.core.ports import BatchPort
from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import BatchException, CapabilityError, JobFailedError, RunLostError
from hail_batch_jupyter.observe.awaiting import Awaiting
from hail_batch_jupyter.observe.failure import job_failed_error
from hail_batch_jupyter.observe.group import RunningGroup, find_group
from hail_batch_jupyter.observe.looking import Looking
from hail_batch_jupyter.observe.retrying import check_not_retried, spec_to_retry
from hail_batch_jupyter.observe.starting import one_start
from hail_batch_jupyter.observe.status import batch_status, job_status
from hail_batch_jupyter.observe.watch import watch

if TYPE_CHECKING:
    import pandas as pd

    from hail_batch_jupyter.cost.account import Account, JobCost, RunCost

CONTAINERS = ("input", "main", "output")
_SLICE_S = 0.2
_ALIVE_EVERY_S = 1.0


class RunningBatch(Awaiting, Looking):
    """A run as seen from outside, while it goes on and after it.

    Every method may be called from any thread. What is known is kept in one snapshot that only moves forward.

    backend   name of the backend that runs it: 'local', …      runs_on   the place, in words
    """

    def __init__(
        self,
        run_id: Any,
        spec: BatchSpec,
        port: BatchPort,
        *,
        directory: Path | None = None,
        scratch: Path | None = None,
        kept: bool = True,
        backend: str = "local",
        runs_on: str = "this machine",
    ) -> None:
        self.id = run_id
        self.spec = spec
        self.directory = directory
        self.scratch = scratch
        self.kept = kept
        self.url: str | None = None
        self.backend = backend
        self.runs_on = runs_on
        self.remote_scratch: str | None = None
        self.attached = False
        self.foreign_env: Sequence[str] = ()
        self.resubmit: Callable[[BatchSpec], RunningBatch] | None = None
        self.close_if_dead: Callable[[], bool] = lambda: False
        self.deliver: Callable[[Sequence[JobSpec]], Collection[int]] = lambda _: ()
        self._port = port
        self._account: Account | None = None
        self._lock = threading.Lock()
        self._snapshot = BatchSnapshot.empty([job.job_id for job in spec.jobs])

    def __repr__(self) -> str:
        # Of a run that somebody came back to nothing is known before the first look, which costs no connection where its files are here.
        known = self._snapshot if self.directory is None else self.snapshot()
        return f"<RunningBatch {self.id} {known.state.value}>"

    @property
    def name(self) -> str:
        """The name of the batch, or its run id."""
        return self.spec.name or str(self.id)

    @property
    def paused(self) -> str:
        """Why nothing is heard of a run that lives on another machine; '' while all is well, and of any other run."""
        return ""

    @property
    def waits_for(self) -> str:
        """What jobs wait for that could begin, where that is a quota or the jobs of others; '' mostly, and where nobody tells."""
        return ""

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of the batch."""
        return {**self.spec.attributes, **({"name": self.spec.name} if self.spec.name else {})}

    def events(self, after: int = 0, timeout_s: float = 0.0) -> Sequence[JobEvent]:
        """Events with a number above `after`, as soon as there is one; [] at the timeout."""
        return self._port.events(after, timeout_s)

    def snapshot(self, newer_than: int | None = None, timeout_s: float = 0.0) -> BatchSnapshot:
        """What is known now; with `newer_than` waits up to `timeout_s` for a snapshot with a higher number."""
        wait_s = timeout_s if newer_than is not None and self._snapshot.seq <= newer_than else 0.0
        events = self._port.events(self._snapshot.seq, wait_s)
        with self._lock:
            if events:
                self._snapshot = self._snapshot.after(events)
            return self._snapshot

    @property
    def complete(self) -> bool:
        """Whether the run has ended and everything is written down."""
        return self.snapshot().ended_ms is not None

    def alive(self) -> bool:
        """Whether somebody works on the run."""
        return self._port.alive()

    def status(self) -> dict[str, Any]:
        """The state of the run with the keys of the Batch Service: id, state, complete, n_jobs, n_completed, cost and so on."""
        return batch_status(self.id, self.spec, self.snapshot())

    def last_known_status(self) -> dict[str, Any]:
        """`status()` without looking for news."""
        return batch_status(self.id, self.spec, self._snapshot)

    def jobs(self, q: str | None = None) -> Iterator[dict[str, Any]]:
        """One dict a job; `q` is a state in any case ('failed') or part of a name."""
        wanted = (q or "").lower()
        states = {state.value.lower() for state in JobState}
        for job, view in zip(self.spec.jobs, self.snapshot().jobs):
            text = view.state.value.lower() if wanted in states else (job.name or "").lower()
            if wanted in text:
                yield job_status(self.id, job, view)

    def get_job(self, job_id: int) -> dict[str, Any]:
        """The dict of one job.

        Raises BatchException naming the valid numbers.
        """
        self._check_number(job_id)
        return job_status(self.id, self.spec.job(job_id), self.snapshot().jobs[job_id - self.spec.jobs[0].job_id])

    def get_job_log(self, job_id: int) -> dict[str, str]:
        """Container name -> the whole log as text; use `log` for parts of a large one."""
        texts = {container: self._port.log(job_id, container).decode(errors="replace") for container in CONTAINERS}
        return {container: text for container, text in texts.items() if text or container == "main"}

    def log(self, job_id: int, container: str = "main", start: int = 0, length: int | None = None, attempt: int | None = None) -> bytes:
        """Bytes of a log from `start` on, of the last attempt unless one is named; a negative start counts from the end."""
        return self._port.log(job_id, container, attempt, start, length)

    def log_size(self, job_id: int, container: str = "main", attempt: int | None = None) -> int:
        """Bytes of a log as it is now, 0 where there is none."""
        path = self.log_path(job_id, container, attempt)
        return path.stat().st_size if path is not None else 0 if self.directory is not None else len(self.log(job_id, container, attempt=attempt))

    def log_path(self, job_id: int, container: str = "main", attempt: int | None = None) -> Path | None:
        """The file with a log, of the last attempt that has one unless one is named; None where there is none on this machine."""
        if self.directory is None:
            return None
        last = self.snapshot().jobs[job_id - self.spec.jobs[0].job_id].attempt if attempt is None else attempt
        tried = range(max(last, 1), 0, -1) if attempt is None else (attempt,)
        return next((path for number in tried if (path := self.directory / "logs" / f"{job_id}.{number}.{container}.log").exists()), None)

    def log_tail(self, job_id: int, lines: int = 10) -> str:
        """The last lines of what a job printed; of its copying when it printed nothing."""
        for container in ("main", "output", "input"):
            text = self._port.log(job_id, container, None, -200 * max(lines, 1), None).decode(errors="replace")
            if text.strip():
                return "\n".join(text.splitlines()[-lines:])
        return ""

    def wait(self, timeout_s: float | None = None, job_ids: Sequence[int] | None = None) -> dict[str, Any]:
        """Wait for the end of the run, or of the jobs named, and give `status()`.

        Can be interrupted at any time; that does not touch the run. Raises TimeoutError after `timeout_s`, and
        RunLostError when the runner was killed.
        """
        return self.wait_unless(threading.Event(), timeout_s, job_ids)

    def wait_unless(self, stop: threading.Event, timeout_s: float | None = None, job_ids: Sequence[int] | None = None) -> dict[str, Any]:
        """As `wait`; gives the last known status soon after `stop` is set."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        checked = time.monotonic()
        while not stop.is_set():
            now = time.monotonic()
            slice_s = _SLICE_S if deadline is None else max(0.0, min(_SLICE_S, deadline - now))
            if self._settled(job_ids, slice_s):
                return self.status()
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"run {self.id} has not ended within {timeout_s:g} s; it goes on")
            if now - checked > _ALIVE_EVERY_S:
                checked = now
                self._check_alive()
        return self.last_known_status()

    def _settled(self, job_ids: Sequence[int] | None, within_s: float) -> bool:
        if job_ids is None:
            return self._port.ended(within_s)
        snapshot = self.snapshot(self._snapshot.seq, 0.0 if self._complete(job_ids) else within_s)
        return snapshot.ended_ms is not None or self._complete(job_ids)

    def _complete(self, job_ids: Sequence[int]) -> bool:
        first = self.spec.jobs[0].job_id if self.spec.jobs else 1
        return all(self._snapshot.jobs[job_id - first].state.complete for job_id in job_ids)

    def _check_alive(self) -> None:
        if self._port.alive() or self.snapshot().ended_ms is not None:
            return
        try:
            self.close_if_dead()
            remedy = "run the batch again to do the rest"
        except RunLostError as error:
            remedy = str(error)
        from hail_batch_jupyter.observe.recover import why_lost

        done = sum(view.state is JobState.SUCCESS for view in self.snapshot().jobs)
        why = f" ({why_lost(self.directory)})" if self.directory is not None else ""
        raise RunLostError(f"the runner of {self.id} is gone{why}; {done} of {len(self.spec.jobs)} jobs had finished: {remedy}")

    def cancel(self, jobs: Sequence[int] | None = None, group: str | int | None = None) -> None:
        """Ask for the end of the run, of the jobs of these numbers, or of a group; returns at once, and again does nothing more.

        Jobs that always run are ended only if they are named.
        Raises BatchException for a job or group that the run does not have.
        """
        if jobs is None and group is None:
            self._port.cancel()
            return
        for job_id in jobs or ():
            self._check_number(job_id)
        self._port.cancel(jobs, None if group is None else find_group(self.spec, group).group_id)

    @property
    def groups(self) -> list[RunningGroup]:
        """The groups of jobs, in the order of their making."""
        return [RunningGroup(self, group) for group in self.spec.groups]

    def group(self, asked: str | int) -> RunningGroup:
        """The group of that name or number: its counts, its jobs, its cancel.

        Raises BatchException naming those that there are.
        """
        return RunningGroup(self, find_group(self.spec, asked))

    @property
    def previous(self) -> str | None:
        """Id of the run that this one follows and took results over from; `attach` comes back to it."""
        return self.spec.previous_run

    @property
    def can_retry(self) -> bool:
        """Whether `retry` is there: the engine of this machine and of Slurm has it, a batch service has not."""
        return self.resubmit is not None

    def retry(self, job_ids: Sequence[int] | None = None) -> RunningBatch:
        """Run again what failed or was cancelled here, and what follows from it; gives the new run, without waiting for it.

        With `job_ids` only these jobs, what they need and what depends on them; the others stay as they are, and end as cancelled in the new run.
        What succeeded is taken over where its files are still there: run with delete_scratch_on_exit=False or resume=True to keep them.
        Raises RunLiveError while this run, or another one that does the same again, goes on, BatchException when there is nothing to do again,
        CapabilityError on a batch service.
        """
        if self.resubmit is None:
            raise CapabilityError(f"run {self.id} cannot be retried: {self.runs_on} does not do a part of a batch again; run the batch again")
        for job_id in job_ids or ():
            self._check_number(job_id)
        spec = spec_to_retry(self, job_ids)
        with one_start(spec.lineage or str(self.id)):
            check_not_retried(self, spec)
            return self.resubmit(spec)

    def attempts(self, job_id: int) -> tuple[AttemptView, ...]:
        """What is known of each attempt of a job, the first one first; `log` takes their numbers."""
        self._check_number(job_id)
        return self.snapshot().jobs[job_id - self.spec.jobs[0].job_id].attempts

    def _check_number(self, job_id: int) -> None:
        first = self.spec.jobs[0].job_id if self.spec.jobs else 1
        if not first <= job_id < first + len(self.spec.jobs):
            raise BatchException(f"run {self.id} has no job {job_id}; its jobs are {first} to {first + len(self.spec.jobs) - 1}")

    def delete(self) -> None:
        """Cancel the run and remove its logs and intermediate files."""
        self._port.delete()

    def error(self, job_ids: Sequence[int] | None = None) -> JobFailedError | None:
        """The failure of the run as an exception to raise, None while no job has failed.

        With `job_ids` only these count, and one that was cancelled is a failure too.
        """
        return job_failed_error(self, self.snapshot(), job_ids)

    def file(self, relative: str) -> Path:
        """The file at a path below scratch, on this machine.

        Raises RunLostError with a remedy when it is no longer there.
        """
        if self.scratch is None:
            raise RunLostError(f"run {self.id} keeps no files on this machine; write the file out with write_output")
        path = self.scratch / relative.replace(SCRATCH + "/", "", 1)
        if not path.exists():
            why = "it was removed since" if self.kept else "intermediate files were removed when the run ended"
            remedy = "run the batch again" if self.kept else "use run(delete_scratch_on_exit=False) or write_output"
            raise RunLostError(f"{relative!r} of run {self.id} is not there: {why}; {remedy}")
        return path

    def subscribe(self, listener: Callable[[BatchSnapshot], None]) -> Callable[[], None]:
        """Call `listener` with new snapshots, at most four times a second and at the end, from a daemon thread; gives the function that stops it."""
        return watch(self, listener)

    def costs(self) -> RunCost:
        """What attempts have cost, those that ended and all until now, and what the rest will probably cost; by stage and by part, exact."""
        return self._priced().cost(int(time.time() * 1000))

    def job_costs(self) -> list[JobCost]:
        """The same of each job, in the order of the jobs."""
        return self._priced().jobs(int(time.time() * 1000))

    def so_far_usd(self, places: Sequence[int]) -> list[float]:
        """Dollars until now of the jobs at these places of the list of jobs."""
        if self.spec.card is None:
            views = self.snapshot().jobs
            return [views[place].cost_usd for place in places]
        return self._priced().so_far_usd(places, int(time.time() * 1000))

    def _priced(self) -> Account:
        from hail_batch_jupyter.cost.account import Account

        snapshot = self.snapshot()
        with self._lock:
            if self._account is None:
                self._account = Account(self.spec, self.backend)
            self._account.update(snapshot)
            return self._account

    @property
    def cost_usd(self) -> float:
        """Dollars of all attempts, those that run until now."""
        return float(self.costs().whole.so_far.total)

    def cost_text(self) -> str:
        """What the run cost, in words that say what they count and by which card."""
        if self.spec.card is None and self.backend == "local":
            return f"no charge on {self.runs_on}"
        from hail_batch_jupyter.cost.report import cost_text

        return cost_text(self.costs(), complete=self.snapshot().ended_ms is not None)

    def cost_frame(self, by: str = "stage") -> pd.DataFrame:
        """What the run cost as a table, one row a stage or, with by='job', a job; see `%batch_cost`."""
        from hail_batch_jupyter.core.registry import hook

        frame: pd.DataFrame = hook("cost_frame")(self, by)
        return frame

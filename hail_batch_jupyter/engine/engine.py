"""The loop around `core.dag`: starts what may run and fits, records what happens, ends what must end."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable

from hail_batch_jupyter.core.dag import Frontier, Verdict, heights
from hail_batch_jupyter.core.events import Granted, JobEvent
from hail_batch_jupyter.core.ports import Attempt, CancelRequest, Executor, Gpu, Outcome
from hail_batch_jupyter.core.retry import cause_of
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.core.state import BROKEN, BatchState, JobState
from hail_batch_jupyter.engine.again import Again, with_more_memory
from hail_batch_jupyter.engine.attempts import Attempts, Trying
from hail_batch_jupyter.engine.cancels import Cancels
from hail_batch_jupyter.engine.capacity import DEFAULT_CPU_MCPU, Ledger
from hail_batch_jupyter.engine.clock import Clock
from hail_batch_jupyter.engine.finish import Ending, Finisher
from hail_batch_jupyter.engine.gates import Gates
from hail_batch_jupyter.engine.localize import Localizer
from hail_batch_jupyter.engine.prepare import Preparer
from hail_batch_jupyter.engine.ready import Grant, ReadyQueue
from hail_batch_jupyter.observe.blame import NEEDED
from hail_batch_jupyter.observe.journal import JournalWriter
from hail_batch_jupyter.observe.totals import Totals, totals_of

TICK_S = 0.1
"""How often the loop looks at the world beside its jobs: the word to cancel, finished copies, the heartbeat."""


class Engine:
    """Runs one spec to its end; everything it does is in the journal when `run` returns.

    `watch` is called about every TICK_S with what may run, and gives the reason to cancel the run, '' for none; `requests` gives parts of it to cancel.
    """

    def __init__(
        self,
        spec: BatchSpec,
        executor: Executor,
        journal: JournalWriter,
        ledger: Ledger,
        localizer: Localizer,
        finisher: Finisher,
        *,
        logs: str,
        env: Mapping[int, Mapping[str, str]],
        watch: Callable[[ReadyQueue], str] = lambda _: "",
        requests: Callable[[], Sequence[CancelRequest]] = lambda: (),
        gpus: Sequence[Gpu] | None = (),
        clock: Clock | None = None,
    ) -> None:
        self._spec = spec
        self._executor = executor
        self._journal = journal
        self._localizer = localizer
        self._finisher = finisher
        self._watch = watch
        self._requests = requests
        self._ledger = ledger
        self._clock = clock or Clock()
        self._jobs = {job.job_id: job for job in spec.jobs}
        self._frontier = Frontier(spec.jobs, {job_id: JobState(state) for job_id, state in spec.done.items()})
        self._one_by_one = ledger.total.attempts == 1
        height = dict.fromkeys(self._jobs, 0) if self._one_by_one else heights(spec.jobs)
        self._ready = ReadyQueue(self._jobs, height, ledger)
        self._gates = Gates(spec, height, gpus) if Gates.needed(spec) else None
        self._again = Again()
        self._cancels = Cancels(spec)
        self._left_out = frozenset(spec.left_out)
        self._preparer = Preparer(localizer, logs, env, self._devices)
        self._attempts = Attempts(executor, self._clock)
        self._ended: deque[tuple[Trying, Outcome]] = deque()
        self._failures = 0
        self._reused: Mapping[int, JobEvent] = {}
        self._open = len(spec.jobs)

    def run(self, reused: Mapping[int, JobEvent] | None = None, unwritten: Mapping[int, str] | None = None, note: str = "") -> None:
        """Run all jobs; `reused` holds the success of those that are taken over from an earlier run, `unwritten` why outputs of such jobs cannot be written."""
        self._record(0, phase="start", reason=note)
        self._reused = reused or {}
        self._preparer.refuse(unwritten or {})
        self._settle(self._frontier.begin())
        next_look = 0.0
        while self._open:
            if self._files_to_see() and not self._one_by_one:
                self._start_granted()  # the next jobs first: what ended can be worked on while they run
            self._finish_ended()
            self._start_granted()
            self._journal.flush()
            if not self._open:
                break
            self._prepare_next()
            for outcome in self._executor.wait(self._pause_s(next_look)):
                self._take(outcome)
            now = self._clock.monotonic()
            self._attempts.stop_overdue(now)
            for job_id in self._again.due(now):
                self._offer(job_id)
            if now >= next_look:
                next_look = now + TICK_S
                self._look()
        self._journal.flush()

    def end(self) -> tuple[BatchState, Totals]:
        """Record the end of the run, after which nothing may follow; gives its state and its jobs in each."""
        self._record(0, phase="end")
        self._journal.flush()
        states = {job_id: self._frontier.states[job_id] for job_id in self._jobs}
        totals = totals_of(Counter(states.values()), sum(states[job_id] is JobState.SUCCESS for job_id in self._reused), self._journal.spent_usd)
        return totals.state(self._cancels.all), totals

    def _record(self, job_id: int, state: JobState | None = None, *, ago_ms: int = 0, **facts: Any) -> None:
        self._journal.write(JobEvent(0, self._clock.now_ms() - ago_ms, job_id, state, **facts))

    def _pause_s(self, next_look: float) -> float:
        times = (next_look, self._attempts.next_deadline(), self._again.next_due())
        return max(0.0, min(time for time in times if time is not None) - self._clock.monotonic())

    # what becomes of a job that waits for nobody any more

    def _settle(self, job_ids: Iterable[int]) -> None:
        queue = deque(job_ids)
        while queue:
            job_id = queue.popleft()
            self._record(job_id, JobState.READY)
            doomed = self._cancels.why(self._jobs[job_id]) if self._cancels.any else ""
            if doomed or self._frontier.verdict(job_id) is Verdict.CANCEL:
                self._record(job_id, JobState.CANCELLED, reason=doomed or NEEDED)
                queue.extend(self._note_end(job_id, JobState.CANCELLED))
            elif job_id in self._reused:
                self._journal.write(self._reused[job_id]._replace(time_ms=self._clock.now_ms()))
                queue.extend(self._note_end(job_id, JobState.SUCCESS))
            elif job_id in self._left_out:
                self._record(job_id, JobState.CANCELLED, reason="left out of this retry")
                queue.extend(self._note_end(job_id, JobState.CANCELLED))
            else:
                self._offer(job_id)

    def _offer(self, job_id: int) -> None:
        """The job may run as soon as its inputs are here and its groups, GPUs, cores and memory let it."""
        if (here := self._localizer.fetch(self._jobs[job_id].inputs)) is not None:
            self._again.hold(job_id, here)
        elif self._gates is None or self._gates.enter(self._jobs[job_id]):
            self._ready.push(job_id)

    def _leave(self, job_id: int) -> None:
        """The job does not run now, so that others of its groups may."""
        if self._gates is not None:
            for other in self._gates.leave(job_id):
                self._ready.push(other)

    def _note_end(self, job_id: int, state: JobState) -> list[int]:
        self._open -= 1
        self._failures += state in BROKEN
        return self._frontier.end(job_id, state)

    # starting

    def _prepare_next(self) -> None:
        """Make the folder and the log of the job that is likely to come next while others run."""
        job = self._ready.next()
        if job is not None:
            self._preparer.ahead(job)

    def _start_granted(self) -> None:
        chosen: list[Attempt] = []
        for grant in self._ready.grant():
            prepared = self._preparer.take(grant.job)
            if isinstance(prepared, str):
                self._ready.release(grant)
                self._leave(grant.job.job_id)
                self._refuse(grant.job, prepared)
                continue
            attempt = prepared._replace(slot=grant.slot)
            self._attempts.add(attempt, grant)
            chosen.append(attempt)
        for outcome in self._attempts.start(chosen):
            self._take(outcome)
            self._journal.flush()  # at once: only what is written down is known as finished if this process is killed

    def _refuse(self, job: JobSpec, reason: str) -> None:
        number = self._preparer.number(job.job_id)
        self._finisher.say(job.job_id, number, "input", reason)
        self._record(job.job_id, JobState.RUNNING, attempt=number, phase="input")
        self._close(Ending(job.job_id, number, JobState.FAILED, 1, reason))

    # what the executor says

    def _take(self, outcome: Outcome) -> None:
        trying = self._attempts.get(outcome.attempt_id)
        if trying is None:
            return
        if outcome.kind == "started":
            self._note_start(trying, outcome)
            return
        if outcome.kind == "waiting":
            self._record(trying.attempt.job.job_id, JobState.CREATING, attempt=trying.attempt.number, reason=outcome.reason)
            return
        if not outcome.pid and outcome.kind == "ended":
            self._note_start(trying, outcome)
        self._attempts.remove(outcome.attempt_id)
        self._ready.release(trying.grant)
        self._leave(trying.grant.job.job_id)
        self._ended.append((trying, outcome))

    def _note_start(self, trying: Trying, outcome: Outcome) -> None:
        job_id, attempt = trying.attempt.job.job_id, trying.attempt
        facts: dict[str, Any] = {"attempt": attempt.number, "phase": "main", "slot": attempt.slot, "pid": outcome.pid, "node": outcome.node}
        self._record(job_id, JobState.RUNNING, granted=self._granted(trying.grant), ago_ms=outcome.ago_ms, **facts)
        self._attempts.began(trying)

    def _granted(self, grant: Grant) -> Granted | None:
        """What the attempt was given, None where that is what was asked for."""
        job_id, request = grant.job.job_id, grant.job.request
        said = self._spec.job(job_id).request
        if request is said and not request.gpus and (request.cpu_mcpu or DEFAULT_CPU_MCPU, request.memory_bytes or 0) == (grant.mcpu, grant.memory):
            return None
        spot = request.spot if request.spot is not said.spot else None
        return Granted(grant.mcpu, grant.memory, self._devices(job_id), spot)

    def _devices(self, job_id: int) -> tuple[str, ...]:
        """Numbers of the GPUs that a job holds."""
        return self._gates.gpus_of(job_id) if self._gates is not None else ()

    def _files_to_see(self) -> bool:
        """Whether an ended attempt has files to look for or to copy, which takes longer than to start the next."""
        return any(job.outputs or job.promises or job.results for job in (trying.attempt.job for trying, _ in self._ended))

    def _finish_ended(self) -> None:
        while self._ended:
            trying, outcome = self._ended.popleft()
            attempt = trying.attempt
            if outcome.kind == "lost" and not trying.stopped:
                self._lost(attempt, outcome)
                continue
            ending = self._finisher.finish(attempt.job, attempt.number, outcome, trying.stopped)
            if ending is None:
                self._record(attempt.job.job_id, JobState.RUNNING, attempt=attempt.number, phase="output", slot=attempt.slot)
            elif self._close(ending) and outcome.alone:
                self._localizer.recycle(attempt.job, attempt.log)
        for ending in self._finisher.finished():
            self._close(ending)

    def _lost(self, attempt: Attempt, outcome: Outcome) -> None:
        """Tried again up to `n_max_attempts`, and no more often than its policy says if that speaks of lost workers."""
        job, doomed = self._jobs[attempt.job.job_id], self._cancels.why(attempt.job)
        delay_s = self._again.delay_after_loss_s(job, attempt.number)
        ending = Ending(job.job_id, attempt.number, JobState.ERROR, None, outcome.reason, outcome.usage)
        if attempt.number >= job.n_max_attempts or delay_s is None:
            self._ended_attempt(ending)
            self._final(ending._replace(reason="job has too many prior attempts"))
        elif doomed:
            self._ended_attempt(ending)
            self._final(ending._replace(state=JobState.CANCELLED, reason=doomed))
        else:
            self._jobs[job.job_id], reason = self._again.after_loss(job, outcome.reason)
            self._try_again(ending._replace(reason=reason), delay_s)

    def _close(self, ending: Ending) -> bool:
        """Record the end of an attempt; whether that is the end of the job."""
        job = self._jobs[ending.job_id]
        if ending.state is JobState.CANCELLED:
            self._ended_attempt(ending)
        elif ending.state in BROKEN and job.retry is not None and not self._cancels.why(job):
            cause = cause_of(ending.exit_code, ending.reason)
            delay_s = self._again.delay_s(job, ending.attempt, cause, ending.exit_code)
            if delay_s is not None:
                if cause == "out of memory":
                    peak_bytes = ending.usage.max_rss_bytes if ending.usage else 0
                    self._jobs[job.job_id] = with_more_memory(job, peak_bytes, self._ledger.total.memory_bytes)
                self._try_again(ending, delay_s)
                return False
        self._final(ending)
        return True

    def _ended_attempt(self, ending: Ending, next_ms: int = 0) -> None:
        _, attempt, _, exit_code, reason, usage, _ = ending
        self._record(ending.job_id, JobState.READY, attempt=attempt, exit_code=exit_code, reason=reason, usage=usage, next_ms=next_ms)

    def _try_again(self, ending: Ending, delay_s: float) -> None:
        ruled = self._jobs[ending.job_id].retry is not None
        self._ended_attempt(ending, self._clock.now_ms() + int(delay_s * 1000) if ruled else 0)
        if delay_s:
            self._again.wait(ending.job_id, self._clock.monotonic() + delay_s)
        else:
            self._offer(ending.job_id)

    def _final(self, ending: Ending) -> None:
        job_id, attempt, state, exit_code, reason, usage, files = ending
        now_ms = self._clock.now_ms()
        self._journal.write(JobEvent(0, now_ms, job_id, state, attempt, exit_code=exit_code, reason=reason, usage=usage, files=files))
        self._settle(self._note_end(ending.job_id, ending.state))
        if state in BROKEN:
            self._check_limits(self._jobs[job_id])

    def _check_limits(self, failed: JobSpec) -> None:
        for group_id, reason in self._cancels.failed(failed):
            self.cancel_group(group_id, reason)
        limit = self._spec.cancel_after_n_failures
        if limit is not None and self._failures >= limit and not self._cancels.all:
            self.cancel(f"{self._failures} jobs failed, the limit is {limit}")

    # ending before its time

    def _look(self) -> None:
        reason = self._watch(self._ready)
        if reason and not self._cancels.all:
            self.cancel(reason)
        for request in self._requests():
            if request.jobs:
                self._cancels.jobs(request.jobs, request.reason)
                self._end_cancelled()
            if request.group:
                self.cancel_group(request.group, "cancelled by the user")

    def cancel(self, reason: str) -> None:
        """Cancel what is ready or running and not `always_run`; what waits is cancelled when its parents have ended."""
        self._cancels.whole()
        self._record(0, phase="cancel", reason=reason)
        self._end_cancelled()

    def cancel_group(self, group_id: int, reason: str) -> None:
        """Cancel the jobs of a group and of the groups in it, as `cancel` does; the others go on."""
        if self._cancels.group(group_id):
            self._record(0, phase="cancel", reason=reason, group=group_id)
            self._end_cancelled()

    def _end_cancelled(self) -> None:
        """End what is cancelled among the jobs that are ready, run, or wait for their next attempt."""
        ready, gated = self._ready.clear(), self._gates.clear() if self._gates is not None else []
        doomed = {job_id: why for job_id in (*ready, *gated, *self._again.waiting()) if (why := self._cancels.why(self._jobs[job_id]))}
        self._again.take_out(doomed.keys())
        for job_id in ready:
            if job_id in doomed:
                self._leave(job_id)
            else:
                self._ready.push(job_id)
        for job_id in gated:
            if job_id not in doomed:
                self._offer(job_id)
        for job_id, why in sorted(doomed.items()):
            self._final(Ending(job_id, self._preparer.number(job_id), JobState.CANCELLED, None, why))
        self._attempts.stop_those(self._cancels.why)

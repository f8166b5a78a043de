"""What happened, and the fold of it: every view of a run is made from these events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from hail_batch_jupyter.core.state import BatchState, JobState, may_follow, roll_up


class Usage(NamedTuple):
    """What an attempt used: peak resident memory of its largest process, and processor time of all of them.

    at_most   the memory may have been less. On Linux ru_maxrss is never less than what the process that started the attempt had, for exec(2) keeps that:
              the runner's 13 MiB, or 100 MiB in a batch of 30 000 jobs.
    """

    max_rss_bytes: int
    cpu_s: float
    at_most: bool = False

    @property
    def signed_bytes(self) -> int:
        """The memory as one number: below zero where it is at most so much."""
        return -self.max_rss_bytes if self.at_most else self.max_rss_bytes


class Granted(NamedTuple):
    """What an attempt was given where that differs from what its job asked for: millicores, bytes (0: not counted), GPUs by their numbers.

    spot  whether its machine may be taken away, where that is another answer than the job's
    """

    cpu_mcpu: int
    memory_bytes: int
    gpus: tuple[str, ...] = ()
    spot: Optional[bool] = None


class JobEvent(NamedTuple):
    """One thing that happened.

    seq       1, 2, … within the run        time_ms   milliseconds since the epoch
    job_id    0 for the run as a whole, whose `phase` is then 'start', 'note', 'cancel', 'lost' (nobody works on it any more) or 'end'
    phase     of a running job: 'input', 'main' or 'output'
    pid       session leader of a started attempt
    files     after success: (path below scratch, size, mtime_ns) of each promised file
    granted   of a started attempt, where that is not what was asked for
    group     of a 'cancel' of the run: the number of the group that it is about, 0 for all
    next_ms   of an attempt that did not succeed: when the job is tried again
    node      of a started attempt: the machine, where that is not the runner's

    A READY that follows a running attempt ends it, and tells exit code, reason and usage of that attempt.
    """

    seq: int
    time_ms: int
    job_id: int
    state: Optional[JobState] = None
    attempt: int = 0
    phase: str = ""
    slot: int = -1
    pid: int = 0
    exit_code: Optional[int] = None
    reason: str = ""
    reused: bool = False
    cost_usd: float = 0.0
    usage: Optional[Usage] = None
    files: tuple[tuple[str, int, int], ...] = ()
    granted: Optional[Granted] = None
    group: int = 0
    next_ms: int = 0
    node: str = ""


_FIELDS = JobEvent._fields
_DEFAULTS = JobEvent._field_defaults
_STATES = {state.value: state for state in JobState}


def event_to_json(event: JobEvent) -> dict[str, Any]:
    """The fields that say something; defaults are left out."""
    data: dict[str, Any] = {name: value for name, value in zip(_FIELDS, event) if name not in _DEFAULTS or value != _DEFAULTS[name]}
    if event.usage is not None and not event.usage.at_most:
        data["usage"] = event.usage[:2]
    return data


def event_from_json(data: dict[str, Any]) -> JobEvent:
    """The event that `event_to_json` wrote; fields of later versions are ignored. Takes `data` for its own."""
    if "state" in data:
        data["state"] = _STATES[data["state"]]
    if "usage" in data:
        data["usage"] = Usage(*data["usage"])
    if "granted" in data:
        cpu_mcpu, memory_bytes, gpus, *spot = data["granted"]  # runs of earlier versions say nothing of the last
        data["granted"] = Granted(cpu_mcpu, memory_bytes, tuple(gpus), *spot)
    if "files" in data:
        data["files"] = tuple((path, size, mtime) for path, size, mtime in data["files"])
    try:
        return JobEvent(**data)
    except TypeError:
        return JobEvent(**{name: value for name, value in data.items() if name in _FIELDS})


class AttemptView(NamedTuple):
    """What is known of one attempt; one that goes on has no end, and its parts and slot are as in `JobView`."""

    number: int
    started_ms: Optional[int] = None
    ended_ms: Optional[int] = None
    exit_code: Optional[int] = None
    reason: str = ""
    usage: Optional[Usage] = None
    granted: Optional[Granted] = None
    main_ms: Optional[int] = None
    output_ms: Optional[int] = None
    slot: int = -1
    node: str = ""


class JobView(NamedTuple):
    """What is known of one job; times are milliseconds since the epoch.

    earlier              its attempts that have ended while the job went on: those before the present one, and the last one of a job that was ended after it
    main_ms, output_ms   when, in the last attempt, the job itself and the copying of its outputs began; None before, and of backends that do not tell
    """

    job_id: int
    state: JobState = JobState.PENDING
    attempt: int = 0
    phase: str = ""
    slot: int = -1
    pid: int = 0
    ready_ms: Optional[int] = None
    started_ms: Optional[int] = None
    ended_ms: Optional[int] = None
    exit_code: Optional[int] = None
    reason: str = ""
    reused: bool = False
    cost_usd: float = 0.0
    usage: Optional[Usage] = None
    files: tuple[tuple[str, int, int], ...] = ()
    granted: Optional[Granted] = None
    earlier: tuple[AttemptView, ...] = ()
    main_ms: Optional[int] = None
    output_ms: Optional[int] = None
    node: str = ""

    @property
    def attempts(self) -> tuple[AttemptView, ...]:
        """All attempts, the first one first."""
        if self.started_ms is None or (self.earlier and self.earlier[-1].number == self.attempt):
            return self.earlier
        return (*self.earlier, self._present(self.ended_ms, self.exit_code, self.reason, self.usage))

    def _present(self, ended_ms: int | None, exit_code: int | None, reason: str, usage: Usage | None) -> AttemptView:
        told = (self.attempt, self.started_ms, ended_ms, exit_code, reason, usage, self.granted)
        return AttemptView(*told, self.main_ms, self.output_ms, self.slot, self.node)

    @property
    def duration_s(self) -> float | None:
        """Seconds from the start to the end of the last attempt, None before its end or without a start."""
        if self.started_ms is None or self.ended_ms is None:
            return None
        return (self.ended_ms - self.started_ms) / 1000

    def after(self, event: JobEvent) -> JobView:
        """This view with the event applied."""
        state = event.state
        if state is None:
            return self
        if state is JobState.READY:
            return self._ready_again(event)
        if state is JobState.CREATING:
            return JobView(self.job_id, state, event.attempt, ready_ms=self.ready_ms, reason=event.reason, cost_usd=self.cost_usd, earlier=self.earlier)
        if state is JobState.RUNNING:
            again = self.started_ms is not None and event.attempt == self.attempt
            started, main, output = (self.started_ms, self.main_ms, self.output_ms) if again else (event.time_ms, None, None)
            main = event.time_ms if event.phase == "main" else main
            output = event.time_ms if event.phase == "output" else output
            pid = event.pid or self.pid
            view = JobView(
                self.job_id, state, event.attempt, event.phase, event.slot, pid, self.ready_ms, started, cost_usd=self.cost_usd, main_ms=main, output_ms=output
            )
            if event.granted is None and self.granted is None and not self.earlier and not event.node and not self.node:
                return view
            before = self if event.attempt == self.attempt else view
            return view._replace(granted=event.granted or before.granted, earlier=self.earlier, node=event.node or before.node)
        return self._ended(event, state)

    def _ended(self, event: JobEvent, state: JobState) -> JobView:
        """The view at its end; a job that is ended after an attempt, as when it is cancelled, has the times and the use of that."""
        last = self.earlier[-1] if self.earlier and self.started_ms is None else None
        attempt, usage = event.attempt or self.attempt, event.usage or self.usage
        slot, started, ended, granted, main, output = self.slot, self.started_ms, event.time_ms, self.granted, self.main_ms, self.output_ms
        node = self.node
        if last is not None:
            attempt, started, ended, usage = last.number, last.started_ms, last.ended_ms or ended, last.usage
            slot, granted, main, output, node = last.slot, last.granted, last.main_ms, last.output_ms, last.node
        cost_usd = self.cost_usd + event.cost_usd
        facts = (self.pid, self.ready_ms, started, ended, event.exit_code, event.reason, event.reused, cost_usd, usage, event.files)
        return JobView(self.job_id, state, attempt, "", slot, *facts, granted, self.earlier, main, output, node)

    def _ready_again(self, event: JobEvent) -> JobView:
        earlier = self.earlier
        if self.started_ms is not None and not self.state.complete:
            earlier = (*earlier, self._present(event.time_ms, event.exit_code, event.reason, event.usage))
        reason = event.reason if not event.next_ms else _again(event)
        return JobView(
            self.job_id, JobState.READY, self.attempt, ready_ms=event.time_ms, reason=reason, cost_usd=self.cost_usd + event.cost_usd, earlier=earlier
        )


def _again(event: JobEvent) -> str:
    """'exit code 3; tried again after 10 s'."""
    from hail_batch_jupyter.core.units import format_duration

    what = event.reason or f"exit code {event.exit_code}"
    delay_s = round((event.next_ms - event.time_ms) / 1000, 1)
    return f"{what}; tried again after {format_duration(delay_s)}" if delay_s >= 0.1 else f"{what}; tried again"


class BatchSnapshot(NamedTuple):
    """What is known of a run after the event number `seq`; jobs in the order of their numbers.

    lost   its runner ended before it: nobody cancelled what was
    """

    jobs: tuple[JobView, ...]
    seq: int = 0
    cancelled: bool = False
    started_ms: Optional[int] = None
    ended_ms: Optional[int] = None
    note: str = ""
    lost: bool = False
    cancelled_groups: frozenset[int] = frozenset()

    @classmethod
    def empty(cls, job_ids: Sequence[int]) -> BatchSnapshot:
        """The snapshot before the first event."""
        return cls(tuple(JobView(job_id) for job_id in job_ids))

    def after(self, events: Sequence[JobEvent], strict: bool = False) -> BatchSnapshot:
        """This snapshot with the events applied; those up to `seq` are ignored.

        With `strict` an illegal transition raises AssertionError.
        """
        jobs = list(self.jobs)
        first = jobs[0].job_id if jobs else 1
        groups = self.cancelled_groups
        seq, cancelled, started, ended, note, lost = self.seq, self.cancelled, self.started_ms, self.ended_ms, self.note, self.lost
        for event in events:
            if event.seq <= seq:
                continue
            seq = event.seq
            if event.job_id:
                view = jobs[event.job_id - first]
                if strict and event.state is not None:
                    assert may_follow(view.state, event.state), f"job {event.job_id}: {view.state.value} cannot become {event.state.value}"
                jobs[event.job_id - first] = view.after(event)
            elif event.phase == "cancel" and event.group:
                groups |= {event.group}
            elif event.phase == "cancel":
                cancelled, note = True, event.reason or note
            elif event.phase == "note":
                note = event.reason or note
            elif event.phase == "lost":
                cancelled, lost, note = True, True, event.reason or note
            elif event.phase == "start":
                started, ended, note, lost = started or event.time_ms, None, event.reason or note, False
            elif event.phase == "end":
                ended = event.time_ms
        return BatchSnapshot(tuple(jobs), seq, cancelled, started, ended, note, lost, groups)

    def counts(self) -> dict[JobState, int]:
        """Jobs in each state that occurs."""
        return dict(Counter(view.state for view in self.jobs))

    @property
    def complete(self) -> bool:
        """True when no job can change any more."""
        return all(view.state.complete for view in self.jobs)

    @property
    def state(self) -> BatchState:
        """The state of the whole."""
        return roll_up(self.counts(), self.cancelled)

    @property
    def cost_usd(self) -> float:
        """Dollars of all attempts that have ended."""
        return sum(view.cost_usd for view in self.jobs)

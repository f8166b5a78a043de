"""A batch of a service as a BatchPort: polls its counters, and looks at jobs when these moved."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import Any

from hail_batch_jupyter.client.session import Service
from hail_batch_jupyter.core.answers import Counters, counters, has_news, job_events, milliseconds, reason_of
from hail_batch_jupyter.core.events import BatchSnapshot, JobEvent
from hail_batch_jupyter.core.state import BROKEN, JobState
from hail_batch_jupyter.core.wire import NO_GROUPS
from hail_batch_jupyter.errors import CapabilityError

_SHORTEST_S = 0.1
_LONGEST_S = 5.0
_GROWTH = 1.4
_LONGEST_WAIT_S = 10.0
_GAP_S = 0.03
"""Between two answers of a service that says when there is news: what happens in it comes together."""
_RUNNING_SHOWN = 200
"""So many running jobs are looked at in each poll, four requests; the others are seen when they end."""
_REASONS = 20
"""For so many failed jobs the reason is asked for, a request each."""


class ServicePort:
    """One submission to a batch: the jobs with these numbers.

    `waits_for` is what its jobs that could begin wait for, where the service tells that, as it was at the last look.

    Polls are further apart the longer nothing happens, and at least twice as far as a poll takes. A service whose batches have a mark is
    asked to answer when that changes, so that who waits sees it at once.
    """

    def __init__(self, service: Service, batch_id: int, job_ids: Sequence[int], groups: Mapping[int, int] = NO_GROUPS) -> None:
        self._service = service
        self._batch_id = batch_id
        self._groups = groups
        self._known = BatchSnapshot.empty(job_ids)
        self._events: list[JobEvent] = []
        self._counters: Counters | None = None
        self._reasons = 0
        self._lock = threading.Lock()
        self._pause_s = _SHORTEST_S
        self._due = 0.0
        self._mark: str | None = None
        self._budget = ""
        self.waits_for = ""

    def begin(self, status: Mapping[str, Any], entries: Iterable[Mapping[str, Any]]) -> None:
        """Take what was listed after the batch had this status as the first look, so that the list is not asked for again before the counters move."""
        now_ms = int(time.time() * 1000)
        self._note([JobEvent(0, milliseconds(status.get("time_created")) or now_ms, 0, phase="start")])
        self._note_budget(status, now_ms)
        self._note(self._of_entries(entries, now_ms))
        self._counters = counters(status)
        self.waits_for = str(status.get("waits_for", ""))

    def events(self, after: int, timeout_s: float) -> Sequence[JobEvent]:
        """Events after that number; the service is asked no more often than the pauses say."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._poll_if_due(max(0.0, deadline - time.monotonic()))
            if len(self._events) > after:
                return self._events[after:]
            now = time.monotonic()
            if now >= deadline:
                return []
            time.sleep(min(max(self._due - now, 0.01), deadline - now))

    def ended(self, timeout_s: float) -> bool:
        """Whether the batch is complete, as soon as it is known."""
        deadline = time.monotonic() + timeout_s
        while self._known.ended_ms is None:
            left_s = deadline - time.monotonic()
            self.events(self._known.seq, max(0.0, left_s))
            if left_s <= 0:
                break
        return self._known.ended_ms is not None

    def log(self, job_id: int, container: str = "main", attempt: int | None = None, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of a log, of the last attempt unless one is named by its place among them, from 1."""
        attempt_id = self._attempt_id(job_id, attempt)
        return b"" if attempt_id == "" else self._service.log(self._batch_id, job_id, container, attempt_id, start, length)

    def log_size(self, job_id: int, container: str = "main", attempt: int | None = None) -> int:
        """Bytes of such a log as it is now."""
        attempt_id = self._attempt_id(job_id, attempt)
        return 0 if attempt_id == "" else self._service.log_size(self._batch_id, job_id, container, attempt_id)

    def _attempt_id(self, job_id: int, attempt: int | None) -> str | None:
        """None for the last attempt, '' for one that there is not."""
        if attempt is None:
            return None
        known = self._service.attempts(self._batch_id, job_id)
        return str(known[attempt - 1]["attempt_id"]) if 1 <= attempt <= len(known) else ""

    def cancel(self, jobs: Sequence[int] | None = None, group: int | None = None) -> None:
        """Cancel the whole batch, or a group. Raises CapabilityError for single jobs."""
        if jobs is not None:
            raise CapabilityError("a batch service cancels batches and groups of jobs; cancel() ends the batch, and group=… a group of it")
        if group is not None:
            self._service.cancel(self._batch_id, self._groups[group])
            self._due = 0.0
            return
        if self._known.ended_ms is not None and self._service.batch(self._batch_id)["complete"]:
            return  # a service would call a batch cancelled that has succeeded
        self._service.cancel(self._batch_id)
        self._due = 0.0

    def alive(self) -> bool:
        """Whether the service works on the batch."""
        return self._known.ended_ms is None

    def delete(self) -> None:
        """Delete the whole batch."""
        self._service.delete(self._batch_id)

    def _poll_if_due(self, wait_s: float) -> None:
        """Poll, unless somebody does: a service that does not answer holds up one thread only."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            began = time.monotonic()
            if self._known.ended_ms is not None or began < self._due:
                return
            known = self._known.seq
            self._poll(min(wait_s, _LONGEST_WAIT_S))
            self._pause_s = _SHORTEST_S if self._known.seq > known else min(self._pause_s * _GROWTH, _LONGEST_S)
            ended = time.monotonic()
            told = self._mark is not None
            self._due = ended + (_GAP_S if told else max(self._pause_s, 2 * (ended - began)))
        finally:
            self._lock.release()

    def _poll(self, wait_s: float) -> None:
        if self._mark is None:
            status = self._service.batch(self._batch_id)
        else:
            status = self._service.wait(self._batch_id, self._mark, wait_s)
            if status.get("mark") == self._mark:
                return
        self._mark = status.get("mark")
        self.waits_for = str(status.get("waits_for", ""))
        now_ms = int(time.time() * 1000)
        if self._known.started_ms is None:
            self._note([JobEvent(0, milliseconds(status.get("time_created")) or now_ms, 0, phase="start")])
        self._note_budget(status, now_ms)
        if status["state"] == "cancelled" and not self._known.cancelled:
            self._note([JobEvent(0, now_ms, 0, phase="cancel")])
        moved = counters(status)
        if "jobs" in status:
            self._note(self._of_entries(status["jobs"], now_ms))
            self._counters = moved
        elif moved != self._counters:
            self._note(self._of_entries(self._unfinished(), now_ms))
            self._counters = moved
        elif not status["complete"]:
            running = self._service.jobs(self._batch_id, q="running")
            self._note(self._of_entries(islice(running, _RUNNING_SHOWN), now_ms))
        if status["complete"]:
            self._note([JobEvent(0, milliseconds(status.get("time_completed")) or now_ms, 0, phase="end")])

    def _note_budget(self, status: Mapping[str, Any], now_ms: int) -> None:
        """What a service of ours says when the billing project has little left."""
        if status.get("budget", self._budget) != self._budget:
            self._budget = status["budget"]
            self._note([JobEvent(0, now_ms, 0, phase="note", reason=self._budget)])

    def _unfinished(self) -> Iterator[dict[str, Any]]:
        """Entries from the first job that has not ended to the last of this submission."""
        jobs = self._known.jobs
        first = next((view.job_id for view in jobs if not view.state.complete), None)
        if first is not None:
            entries = self._service.jobs(self._batch_id, last_job_id=first - 1)
            yield from takewhile(lambda entry: bool(entry["job_id"] <= jobs[-1].job_id), entries)

    def _of_entries(self, entries: Iterable[Mapping[str, Any]], now_ms: int) -> list[JobEvent]:
        """What entries, of which no two are of one job, say that is new."""
        jobs, found = self._known.jobs, list[JobEvent]()
        first = jobs[0].job_id if jobs else 0
        for entry in entries:
            index = entry["job_id"] - first
            if 0 <= index < len(jobs) and has_news(jobs[index], entry):
                reason = "" if entry.get("attempts") else self._reason(entry["job_id"], JobState(entry["state"]))
                found += job_events(jobs[index], entry, now_ms, reason)
        return found

    def _reason(self, job_id: int, state: JobState) -> str:
        if state not in BROKEN or self._reasons >= _REASONS:
            return ""
        self._reasons += 1
        return reason_of(self._service.job(self._batch_id, job_id))

    def _note(self, found: list[JobEvent]) -> None:
        numbered = [event._replace(seq=self._known.seq + n) for n, event in enumerate(found, 1)]
        self._known = self._known.after(numbered)
        self._events.extend(numbered)

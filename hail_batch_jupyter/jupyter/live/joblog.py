"""Parts of what a job printed, and where a text stands in it: never the whole, whatever its size."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from hail_batch_jupyter.jupyter.live.graph import Message
from hail_batch_jupyter.observe.earlier import origin_of
from hail_batch_jupyter.observe.running import CONTAINERS, RunningBatch

MAX_BYTES = 200_000
"""Of one answer."""
SEARCH_S = 0.3
"""A search answers after this at the latest; who asked goes on from where it stopped."""
_STEP_BYTES = 4 << 20
_LONGEST_TEXT = 200


class JobLog(NamedTuple):
    """One log: of a job's attempt (None: the last) and of one of its containers."""

    running: RunningBatch
    job_id: int
    container: str
    attempt: int | None

    def size(self) -> int:
        """Bytes there are now."""
        return self.running.log_size(self.job_id, self.container, self.attempt)

    def read(self, start: int, length: int) -> bytes:
        """These bytes, fewer at the end."""
        path = self.running.log_path(self.job_id, self.container, self.attempt)
        if path is not None:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(length)
        return self.running.log(self.job_id, self.container, start, length, self.attempt)


def log_of(running: RunningBatch, asked: Message) -> JobLog:
    """The log that a message asks for by 'job', 'container' and 'attempt'; of a result that was taken over, that of the run in which the job ran.

    Raises ValueError for one that there cannot be.
    """
    number, container, attempt = asked["job"], asked.get("container", "main"), asked.get("attempt")
    if not isinstance(number, int) or not 0 <= number < len(running.spec.jobs):
        raise ValueError(f"this run has no job {number!r}")
    if container not in CONTAINERS or not (attempt is None or (isinstance(attempt, int) and attempt > 0)):
        raise ValueError(f"there is no log {container!r} of attempt {attempt!r}; the container is one of {', '.join(CONTAINERS)}")
    job_id = running.spec.jobs[number].job_id
    origin = origin_of(running, job_id)
    if origin is not None and origin.running is not None:
        running, job_id = origin.running, origin.job_id
    return JobLog(running, job_id, container, attempt)


def part(running: RunningBatch, asked: Message) -> tuple[Message, bytes]:
    """At most MAX_BYTES from byte `start` on; a negative start counts from the end. `size` is that of the whole."""
    log = log_of(running, asked)
    size = log.size()
    start = int(asked["start"])
    start = max(0, size + start) if start < 0 else min(start, size)
    data = log.read(start, max(0, min(int(asked["length"]), MAX_BYTES)))
    return {"job": asked["job"], "start": start, "size": max(size, start + len(data))}, data


def find(running: RunningBatch, asked: Message, clock: Callable[[], float] = time.monotonic) -> tuple[Message, None]:
    """Where `text` stands next from byte `start` on, or with `back` before it, for SEARCH_S at the most.

    `at` is the byte where it begins, None where it was not seen; `until` is how far the search came, which is an end of the log when it is over. Small letters
    of ASCII find capitals too.
    """
    log = log_of(running, asked)
    text = str(asked["text"]).encode()
    if not 0 < len(text) <= _LONGEST_TEXT:
        raise ValueError(f"a text of {len(text)} bytes cannot be searched for; use 1 to {_LONGEST_TEXT}")
    size = log.size()
    search = _before if asked.get("back") else _after
    at, until = search(log, text, max(0, min(int(asked["start"]), size)), size, clock)
    return {"job": asked["job"], "at": at, "until": until, "size": size}, None


def _after(log: JobLog, text: bytes, start: int, size: int, clock: Callable[[], float]) -> tuple[int | None, int]:
    deadline = clock() + SEARCH_S
    while start < size:
        data = log.read(start, _STEP_BYTES + len(text) - 1)
        found = _folded(data, text).find(text)
        if found >= 0:
            return start + found, start + found
        start += _STEP_BYTES
        if clock() > deadline:
            break
    return None, min(start, size)


def _before(log: JobLog, text: bytes, end: int, _: int, clock: Callable[[], float]) -> tuple[int | None, int]:
    """The last place that begins before `end`."""
    deadline = clock() + SEARCH_S
    while end > 0:
        start = max(0, end - _STEP_BYTES)
        found = _folded(log.read(start, end - start + len(text) - 1), text).rfind(text)
        if found >= 0:
            return start + found, start + found
        end = start
        if clock() > deadline:
            break
    return None, end


def _folded(data: bytes, text: bytes) -> bytes:
    return data.lower() if text == text.lower() else data


def names(running: RunningBatch, job_id: int) -> dict[int, list[str]]:
    """Attempt -> the containers that have printed something."""
    view = running.snapshot().jobs[job_id - running.spec.jobs[0].job_id]
    if running.directory is None:
        return {number: ["main"] for number in [attempt.number for attempt in view.attempts] or [1]}
    found: dict[int, list[str]] = {}
    for number in sorted({1, max(view.attempt, 1), *(attempt.number for attempt in view.attempts)}):
        there = [container for container in CONTAINERS if running.log_size(job_id, container, number) > 0]
        if there:
            found[number] = there
    return found

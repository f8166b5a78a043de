"""Prints what a job wrote, and follows it while it writes."""

from __future__ import annotations

import codecs
import sys

from hail_batch_jupyter.jupyter.waiting import ended_within
from hail_batch_jupyter.jupyter.words import word_of
from hail_batch_jupyter.observe.blame import blamed, reason_of
from hail_batch_jupyter.observe.earlier import origin_of
from hail_batch_jupyter.observe.running import RunningBatch

LIMIT_BYTES = 200_000
"""More than this of a log is not printed into a notebook; the rest is named with the file."""
_SLICE_S = 0.3
_LINE_BYTES = 500
"""More of each line is not looked for with --tail."""


def print_log(running: RunningBatch, job_id: int, tail: int | None, follow: bool) -> None:
    """Print a job's log, or its last lines; with `follow` go on until the job has ended, over all its attempts.

    Of a result that was taken over it is the log of the run in which the job ran. An interrupt stops the printing, not the job.
    """
    origin = origin_of(running, job_id)
    if origin is not None:
        gone = origin.running is None
        print(f"taken over from run {origin.run_id}, which is no longer here, nor is its log" if gone else f"taken over from run {origin.run_id}; its log is:")
        if origin.running is None:
            return
        running, job_id = origin.running, origin.job_id
    attempt, size = _attempt(running, job_id), running.log_size(job_id)
    data = _beginning(running, job_id, tail, size)
    if not data and not follow:
        print(_nothing(running, job_id))
        return
    text = data.decode(errors="replace")
    sys.stdout.write(text if follow or text.endswith("\n") or tail is None else f"{text}\n")
    if follow:
        try:
            _follow(running, job_id, max(attempt, 1), size)
        except KeyboardInterrupt as interrupt:
            name = running.spec.job(job_id).display_name
            words = f"stopped following; job {name!r} goes on. %batch_log {name} -f follows it again, %batch_cancel ends the run"
            interrupt._render_traceback_ = lambda: [f"KeyboardInterrupt: {words}"]  # type: ignore[attr-defined]  # IPython's hook
            raise


def _nothing(running: RunningBatch, job_id: int) -> str:
    """That there is no log, and which one tells more."""
    snapshot = running.snapshot()
    view = snapshot.jobs[job_id - running.spec.jobs[0].job_id]
    words = f"job {running.spec.job(job_id).display_name!r} ({word_of(view)}) has printed nothing"
    other = blamed(running.spec, snapshot, job_id)
    if other is None:
        return words
    return f"{words}: {reason_of(running.spec, snapshot, view)}; %batch_log {running.spec.job(other.job_id).display_name} tells more"


def _attempt(running: RunningBatch, job_id: int) -> int:
    return running.snapshot().jobs[job_id - running.spec.jobs[0].job_id].attempt


def _follow(running: RunningBatch, job_id: int, attempt: int, position: int) -> None:
    """Print what comes, from a position in the log of an attempt on."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while True:
        ended = ended_within(running, _SLICE_S, [job_id])
        now = _attempt(running, job_id)
        more = running.log(job_id, start=position, length=LIMIT_BYTES, attempt=attempt)
        position += len(more)
        sys.stdout.write(decoder.decode(more))
        sys.stdout.flush()
        if more:
            continue
        if now > attempt:
            attempt, position = attempt + 1, 0
            sys.stdout.write(f"--- attempt {attempt} ---\n")
        elif ended:
            return


def _beginning(running: RunningBatch, job_id: int, tail: int | None, size: int) -> bytes:
    """What is printed at once, of the first `size` bytes."""
    if not size and tail != 0:
        text = running.log_tail(job_id, tail or 200)  # of its copying, where it printed nothing itself
        return f"{text}\n".encode() if text else b""
    if tail is not None:
        start = max(0, size - _LINE_BYTES * tail)
        lines = running.log(job_id, start=start, length=size - start).splitlines(keepends=True)
        return b"".join(lines[len(lines) - tail :] if tail < len(lines) else lines)
    if size <= LIMIT_BYTES:
        return running.log(job_id, length=size)
    place = running.directory / "logs" if running.directory else "the run directory"
    note = f"… only the end is shown, the whole log is in {place}; --tail N shows the last N lines\n"
    return note.encode() + running.log(job_id, start=size - LIMIT_BYTES, length=LIMIT_BYTES)

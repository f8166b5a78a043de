"""Prints what a job wrote, and follows it while it writes."""

from __future__ import annotations

import codecs
import sys

from hail_batch_jupyter.jupyter.waiting import ended_within
from hail_batch_jupyter.jupyter.words import word_of
from hail_batch_jupyter.observe.running import RunningBatch

LIMIT_BYTES = 200_000
"""More than this of a log is not printed into a notebook; the rest is named with the file."""
_SLICE_S = 0.3


def print_log(running: RunningBatch, job_id: int, tail: int | None, follow: bool) -> None:
    """Print a job's log, or its last lines; with `follow` go on until the job has ended.

    An interrupt stops the printing, not the job.
    """
    data = _beginning(running, job_id, tail)
    if not data and not follow:
        first = running.spec.jobs[0].job_id
        word = word_of(running.snapshot().jobs[job_id - first])
        print(f"job {running.spec.job(job_id).display_name!r} ({word}) has printed nothing")
        return
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    sys.stdout.write(decoder.decode(data))
    position = len(running.log(job_id)) if tail is not None else len(data)
    while follow:
        ended = ended_within(running, _SLICE_S, [job_id])
        more = running.log(job_id, start=position, length=LIMIT_BYTES)
        position += len(more)
        sys.stdout.write(decoder.decode(more))
        sys.stdout.flush()
        if ended and not more:
            return


def _beginning(running: RunningBatch, job_id: int, tail: int | None) -> bytes:
    if tail is not None:
        return (running.log_tail(job_id, tail) + "\n").encode() if tail > 0 and running.log_tail(job_id, tail) else b""
    data = running.log(job_id, length=LIMIT_BYTES + 1)
    if not data:
        return (running.log_tail(job_id, 200) + "\n").encode() if running.log_tail(job_id, 1) else b""
    if len(data) <= LIMIT_BYTES:
        return data
    place = running.directory / "logs" if running.directory else "the run directory"
    note = f"… only the end is shown, the whole log is in {place}; --tail N shows the last N lines\n"
    return note.encode() + running.log(job_id, start=-LIMIT_BYTES)

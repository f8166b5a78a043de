"""The commands `hail-batch-jupyter runs`, `wait`, `log`, `cancel` and `retry`, about runs of this machine."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.errors import BatchException

if TYPE_CHECKING:
    from hail_batch_jupyter.observe.running import RunningBatch

_SHOWN = 20


def add_runs(commands: Any) -> None:  # argparse has no name for what `add_subparsers` gives
    """Add the commands."""
    listing = commands.add_parser("runs", help="list the runs of this machine, newest first")
    listing.add_argument("--all", action="store_true", help=f"all of them, not only the newest {_SHOWN}")
    listing.set_defaults(command=_list)
    wait = commands.add_parser("wait", help="wait for the end of a run; the exit status is 1 unless it succeeded")
    log = commands.add_parser("log", help="print what a job of a run wrote")
    cancel = commands.add_parser("cancel", help="end a run, or some of its jobs")
    retry = commands.add_parser("retry", help="do again what failed or was cancelled in a run, and print the id of the new run")
    for parser, command in ((wait, _wait), (log, _log), (cancel, _cancel), (retry, _retry)):
        parser.add_argument("run", metavar="RUN", help="id of a run, as `runs` lists it")
        parser.set_defaults(command=command)
    log.add_argument("job", metavar="JOB", help="its name or number")
    log.add_argument("--tail", type=int, metavar="N", help="the last N lines only")
    cancel.add_argument("--job", metavar="JOB", action="append", help="only this job, by name or number; may be repeated")
    retry.add_argument("--job", metavar="JOB", action="append", help="only this job, what it needs and what depends on it; may be repeated")


def _list(arguments: argparse.Namespace) -> int:
    from hail_batch_jupyter.observe.rundir import list_runs

    found = list_runs(None if arguments.all else _SHOWN)
    width = max([len(run.run_id) for run in found], default=0)
    for run in found:
        started = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created_ms / 1000))
        print(f"{run.run_id:{width}}  {run.word:9}  {started}  {run.n_jobs:>6} {'job ' if run.n_jobs == 1 else 'jobs'}  {run.notebook}".rstrip())
    return 0


def _wait(arguments: argparse.Namespace) -> int:
    running = _attached(arguments)
    status = running.wait()
    print(f"{running.id}: {status['state']}, {status['n_succeeded']} of {status['n_jobs']} jobs succeeded")
    error = running.error()
    if error is not None:
        print(error, file=sys.stderr)
    return 0 if status["state"] == "success" else 1


def _log(arguments: argparse.Namespace) -> int:
    running = _attached(arguments)
    job_id = _job_id(running, arguments.job)
    if arguments.tail is not None:
        if arguments.tail < 1:
            raise BatchException(f"--tail {arguments.tail}: it is a number of lines, 1 or more")
        print(running.log_tail(job_id, arguments.tail))
        return 0
    sys.stdout.flush()
    position = 0
    while part := running.log(job_id, start=position, length=1 << 20):
        sys.stdout.buffer.write(part)
        position += len(part)
    return 0


def _cancel(arguments: argparse.Namespace) -> int:
    running = _attached(arguments)
    if running.snapshot().ended_ms is not None:
        print(f"run {running.id} has ended already")
        return 0
    running.cancel(_job_ids(running, arguments))
    print(f"{'run' if arguments.job is None else 'jobs of run'} {running.id} {'is' if arguments.job is None else 'are'} being cancelled")
    return 0


def _retry(arguments: argparse.Namespace) -> int:
    running = _attached(arguments)
    print(running.retry(_job_ids(running, arguments)).id)
    return 0


def _attached(arguments: argparse.Namespace) -> RunningBatch:
    from hail_batch_jupyter.observe.attach import attach

    return attach(arguments.run, detach=True)


def _job_ids(running: RunningBatch, arguments: argparse.Namespace) -> list[int] | None:
    return None if arguments.job is None else [_job_id(running, job) for job in arguments.job]


def _job_id(running: RunningBatch, asked: str) -> int:
    """The number of the job of that name, or of that number.

    Raises BatchException for one that the run does not have.
    """
    named = [job.job_id for job in running.spec.jobs if job.name == asked]
    if named:
        return named[-1]
    numbers = [job.job_id for job in running.spec.jobs]
    if asked.isdecimal() and int(asked) in numbers:
        return int(asked)
    names = ", ".join([job.display_name for job in running.spec.jobs[:8]]) + (" …" if len(numbers) > 8 else "")
    raise BatchException(f"run {running.id} has no job {asked}; its jobs are {min(numbers, default=0)} to {max(numbers, default=0)}: {names}")

"""From the end of a process to the end of a job: promised files, outputs, and what its exit means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional

from hail_batch_jupyter.core.events import Usage
from hail_batch_jupyter.core.ports import Outcome
from hail_batch_jupyter.core.spec import JobSpec, Transfer
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.engine.localize import Localizer
from hail_batch_jupyter.observe.recover import promised_files

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_COPIERS = 4
_KILLED = 137


class Ending(NamedTuple):
    """How an attempt ended, as it will stand in the journal."""

    job_id: int
    attempt: int
    state: JobState
    exit_code: Optional[int] = None
    reason: str = ""
    usage: Optional[Usage] = None
    files: tuple[tuple[str, int, int], ...] = ()


class Finisher:
    """Ends attempts; large copies go to threads and come back through `finished`.

    here  the jobs run on this machine, so its kernel knows whether memory ran out
    """

    def __init__(self, localizer: Localizer, logs: str, *, here: bool = True) -> None:
        self._localizer = localizer
        self._logs = logs
        self._here = here
        self._pool: ThreadPoolExecutor | None = None
        self._copying: list[tuple[Ending, JobSpec, Future[None]]] = []
        self._out_of_memory = _oom_kills()

    def finish(self, job: JobSpec, attempt: int, outcome: Outcome, stopped: str) -> Ending | None:
        """How the attempt ended; None while its outputs are being copied."""
        ending = self._judge(job, attempt, outcome, stopped)._replace(usage=outcome.usage)
        if ending.state is JobState.SUCCESS:
            return self._copy(job, ending, job.outputs) if job.outputs else ending
        if job.always_copy_output and ending.state is not JobState.CANCELLED:
            there = [transfer for transfer in job.outputs if self._exists(transfer)]
            return self._copy(job, ending, tuple(there)) if there else ending
        return ending

    def _judge(self, job: JobSpec, attempt: int, outcome: Outcome, stopped: str) -> Ending:
        if stopped == "timed out":
            return Ending(job.job_id, attempt, JobState.ERROR, None, stopped)
        if stopped:
            return Ending(job.job_id, attempt, JobState.CANCELLED, None, stopped)
        if outcome.exit_code is None:
            return Ending(job.job_id, attempt, JobState.ERROR, None, outcome.reason)
        if outcome.exit_code:
            return Ending(job.job_id, attempt, JobState.FAILED, outcome.exit_code, outcome.reason or self._why(outcome.exit_code))
        files = promised_files_of(self._localizer.scratch, job)
        if files is None:
            reason = f"did not make {self._localizer.missing(job)!r}, which it promised"
            self.say(job.job_id, attempt, "output", reason)
            return Ending(job.job_id, attempt, JobState.FAILED, 1, reason)
        return Ending(job.job_id, attempt, JobState.SUCCESS, 0, files=files)

    def _why(self, exit_code: int) -> str:
        if exit_code == _KILLED and self._here and _oom_kills() > self._out_of_memory:
            self._out_of_memory = _oom_kills()
            return "out of memory"
        return ""

    def _exists(self, transfer: Transfer) -> bool:
        return os.path.exists(self._localizer.absolute(transfer.source))

    def _copy(self, job: JobSpec, ending: Ending, outputs: tuple[Transfer, ...]) -> Ending | None:
        try:
            if self._localizer.small(outputs):
                self._localizer.copy_out(outputs)
                return ending
        except OSError as error:
            return self._not_copied(ending, error)
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # brings logging, which most runs never need

            self._pool = ThreadPoolExecutor(_COPIERS)
        self._copying.append((ending, job, self._pool.submit(self._localizer.copy_out, outputs)))
        return None

    def finished(self) -> list[Ending]:
        """Attempts whose copying has ended since the last call."""
        if not self._copying:
            return []
        done = [entry for entry in self._copying if entry[2].done()]
        self._copying = [entry for entry in self._copying if not entry[2].done()]
        return [self._copied(ending, future) for ending, _, future in done]

    def _copied(self, ending: Ending, future: Future[None]) -> Ending:
        error = future.exception()
        if isinstance(error, OSError):
            return self._not_copied(ending, error)
        if error is not None:
            raise error
        return ending

    def _not_copied(self, ending: Ending, error: OSError) -> Ending:
        reason = not_copied(error)
        self.say(ending.job_id, ending.attempt, "output", reason)
        if ending.state is not JobState.SUCCESS:
            return ending
        return ending._replace(state=JobState.FAILED, exit_code=1, reason=reason, files=())

    def say(self, job_id: int, attempt: int, container: str, text: str) -> None:
        """A line in the log of a job's copying."""
        with open(f"{self._logs}/{job_id}.{attempt}.{container}.log", "a", encoding="utf-8") as log:
            log.write(text + "\n")

    def close(self) -> None:
        """Wait for the threads."""
        if self._pool is not None:
            self._pool.shutdown()


def not_copied(error: OSError) -> str:
    """Why an output was not written, naming the file."""
    return f"output copy failed: {f'{error.strerror}: {error.filename2 or error.filename}' if error.strerror else error}"


def promised_files_of(scratch: str, job: JobSpec) -> tuple[tuple[str, int, int], ...] | None:
    """As `observe.recover.promised_files`, without any work for the many jobs that promise nothing."""
    if not job.promises and not job.results:
        return ()
    return promised_files(Path(scratch), job)


def _oom_kills() -> int:
    """How often this machine's kernel has killed for want of memory; 0 where it does not say."""
    try:
        with open("/proc/vmstat") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
    except OSError:
        return 0

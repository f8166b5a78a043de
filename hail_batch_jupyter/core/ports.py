"""What a new backend, and a new place to run jobs, has to provide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Optional, Protocol

from hail_batch_jupyter.core.events import JobEvent, Usage
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec


class BatchPort(Protocol):
    """One run, seen from outside; every method may be called from any thread."""

    def events(self, after: int, timeout_s: float) -> Sequence[JobEvent]:
        """Events with seq > after, in order, as soon as there is one; [] when `timeout_s` passed without."""

    def ended(self, timeout_s: float) -> bool:
        """True as soon as the run has ended and everything is written down, False at the timeout."""

    def log(self, job_id: int, container: str = "main", attempt: int | None = None, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of a log from `start` (negative: from its end); b'' when there is none. Never reads more than asked for."""

    def cancel(self) -> None:
        """Ask for the end of the run. Idempotent; returns at once."""

    def alive(self) -> bool:
        """Whether somebody still works on the run."""

    def delete(self) -> None:
        """Cancel the run and remove what is kept of it."""


class SubmitOptions(NamedTuple):
    """How a run is made, beside what runs.

    keep_files  intermediate files stay after the run, so that a later run can take jobs over
    detach      the run goes on when the process that made it ends
    begun       what the backend's `begin` gave, None when it was not asked
    """

    keep_files: bool = False
    detach: bool = False
    begun: Any = None


class Backend(Protocol):
    """Runs specs."""

    name: str
    capabilities: frozenset[str]

    def submit(self, spec: BatchSpec, options: SubmitOptions) -> Any:
        """Begin a run and give its RunningBatch.

        Raises SubmitError when the run could not begin; then nothing was started.
        """


class Capacity(NamedTuple):
    """What can be handed out."""

    cpu_mcpu: int
    memory_bytes: int
    attempts: int


class Attempt(NamedTuple):
    """One try of a job, ready to start; paths are absolute."""

    job: JobSpec
    number: int
    slot: int
    argv: tuple[str, ...]
    env: Mapping[str, str]
    directory: str
    log: str

    @property
    def attempt_id(self) -> str:
        """'12.1' for the first attempt of job 12."""
        return f"{self.job.job_id}.{self.number}"


class Outcome(NamedTuple):
    """What an executor saw of an attempt.

    kind       'started' (with its pid), 'ended' (with exit_code or signal) or 'lost'
    exit_code  0-255, or 128 + signal; None of an ended attempt whose command never began, through no fault of its own
    reason     '' or one of 'out of memory', 'could not start: …', 'image not found: …', 'lost'
    alone      of an ended attempt: for certain no process that it started is left
    """

    attempt_id: str
    kind: str
    exit_code: Optional[int] = None
    reason: str = ""
    pid: int = 0
    usage: Optional[Usage] = None
    alone: bool = False


class Executor(Protocol):
    """A place to run attempts; called from one thread only."""

    def start(self, attempts: Sequence[Attempt]) -> Iterable[Outcome]:
        """Start them; gives one 'started' or 'ended' (could not start) outcome each, or fewer where starting takes time.

        Each outcome is written down before the next is taken, so an executor that starts one by one starts each only then.
        """

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """Outcomes since the last call, as soon as there is one; [] at the timeout.

        What it gave before is written down when it is called again; until then nobody but the caller may have to know of it.
        """

    def stop(self, attempt_id: str, force: bool) -> None:
        """Ask (or with `force` make) an attempt and all its processes end; its outcome comes through `wait`."""

    def close(self) -> None:
        """End everything that still runs and give back what is held."""

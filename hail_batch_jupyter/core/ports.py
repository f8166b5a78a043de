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

    def cancel(self, jobs: Sequence[int] | None = None, group: int | None = None) -> None:
        """Ask for the end of the run, or of these jobs, or of a group. Idempotent; returns at once."""

    def alive(self) -> bool:
        """Whether somebody still works on the run."""

    def delete(self) -> None:
        """Cancel the run and remove what is kept of it."""


class SubmitOptions(NamedTuple):
    """How a run is made, beside what runs.

    keep_files  intermediate files stay after the run, so that a later run can take jobs over
    detach      the run goes on when the process that made it ends
    begun       what the backend's `begin` gave, None when it was not asked
    follows     the handle on the run of the same batch that this one is appended to, where the backend appends
    """

    keep_files: bool = False
    detach: bool = False
    begun: Any = None
    follows: Any = None


class Backend(Protocol):
    """Runs specs."""

    name: str
    capabilities: frozenset[str]

    def submit(self, spec: BatchSpec, options: SubmitOptions) -> Any:
        """Begin a run and give its RunningBatch.

        Raises SubmitError when the run could not begin; then nothing was started.
        """


class Found(NamedTuple):
    """A file of a folder: its name below it ('' where the folder is itself a file), its size, and a text that changes when the file does."""

    name: str
    size_bytes: int
    version: str


class FileSystem(Protocol):
    """Bytes at URIs of one kind; every method may be called from several threads at once.

    Each raises StorageError, whose `uri` has no secrets, when the place cannot be reached or written.
    """

    def write(self, uri: str, data: bytes) -> None:
        """Make or replace a file, whole or not at all; folders above it are made."""

    def upload(self, path: str, uri: str) -> str:
        """Copy a file or folder of this machine to `uri`, each file whole or not at all; gives the version of a file where the store told it, else ''.

        Raises MissingFileError if there is none.
        """

    def download(self, uri: str, path: str, size_bytes: int | None = None) -> None:
        """Copy one file, whose size may be known, to a path of this machine, whole or not at all. Raises MissingFileError if there is none."""

    def copy(self, source: str, dest: str) -> None:
        """Copy one file to another address of the same kind, whole or not at all."""

    def files(self, uri: str) -> Iterable[Found]:
        """The file at `uri`, or all files of the folder. Raises MissingFileError, when it is begun, if there is none."""

    def read(self, uri: str) -> bytes:
        """The bytes of a file. Raises MissingFileError if there is none."""

    def exists(self, uri: str) -> bool:
        """Whether a file or folder is there."""

    def remove(self, uri: str) -> None:
        """Remove a file, or a folder with all that is in it; again does nothing more."""


VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
"""The variable in which an attempt finds the numbers of its devices."""


class Gpu(NamedTuple):
    """One device: its number, as CUDA_VISIBLE_DEVICES takes it, and its model, '' where that is not known."""

    number: str
    kind: str = ""


class Capacity(NamedTuple):
    """What can be handed out."""

    cpu_mcpu: int
    memory_bytes: int
    attempts: int


class CancelRequest(NamedTuple):
    """A part of a run that is to end: single jobs, or a group.

    reason   why the jobs end, '' when somebody named them
    """

    jobs: tuple[int, ...] = ()
    group: int = 0
    reason: str = ""


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

    kind       'waiting' (handed on, `reason` says what for), 'started' (with its pid), 'ended' (with exit_code or signal) or 'lost'
    exit_code  0-255, or 128 + signal; None of an ended attempt whose command never began, through no fault of its own
    pid        of a process of this machine; what is told of an end that had a 'started' before has one that is not 0
    reason     '' or one of 'out of memory', 'could not start: …', 'image not found: …', 'lost'
    alone      of an ended attempt: for certain no process that it started is left
    node       of a 'started' one: the machine, where that is not this one
    ago_ms     of a 'started' one: since when, where that is heard of late
    """

    attempt_id: str
    kind: str
    exit_code: Optional[int] = None
    reason: str = ""
    pid: int = 0
    usage: Optional[Usage] = None
    alone: bool = False
    node: str = ""
    ago_ms: int = 0


class Executor(Protocol):
    """A place to run attempts; called from one thread only."""

    def start(self, attempts: Sequence[Attempt]) -> Iterable[Outcome]:
        """Start them; gives one 'started' or 'ended' (could not start) outcome each, or fewer where starting takes time.

        Those come through `wait`, after any number of 'waiting' ones.

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


class PoolFunction(NamedTuple):
    """A function that a pool is to call: a number of its own, its pickle, and its name for people."""

    number: int
    data: bytes
    title: str


class PoolOutcome(NamedTuple):
    """What became of a call.

    kind    'value' (`data` is its pickle), 'error' (`data` is a pickle of the exception and the lines of its traceback) or 'lost' (`reason` says why)
    output  the end of what the call printed
    """

    kind: str
    data: bytes = b""
    output: bytes = b""
    reason: str = ""


class PoolTask(Protocol):
    """A call for a pool; its methods are called from a thread of the pool and return at once."""

    function: PoolFunction
    arguments: bytes

    def begin(self) -> bool:
        """Called when the call is about to start; False if it must not any more."""

    def end(self, outcome: PoolOutcome) -> None:
        """Called once, with what became of the call, also of one that was stopped."""


class PoolRequest(NamedTuple):
    """What a pool is made for.

    cpu_mcpu    what one call takes; None is the backend's usual
    env         beside the environment of this process
    keep_files  its files stay when it ends
    """

    name: str
    cpu_mcpu: Optional[int]
    env: Mapping[str, str]
    keep_files: bool = False


class Pool(Protocol):
    """Warm processes that call functions; every method may be called from any thread and returns at once but for `wait`."""

    directory: str
    n_workers: int

    def submit(self, task: PoolTask) -> None:
        """Have the call made as soon as a process is free; those that wait keep their order."""

    def stop(self, task: PoolTask) -> None:
        """End a call that runs, with its process; without effect on one that has ended."""

    def close(self, *, now: bool) -> None:
        """Take no more calls and end when the present ones have ended; with `now` these are lost. Idempotent."""

    def wait(self, timeout_s: Optional[float] = None) -> bool:
        """Whether, within the time, no process of the pool is left."""

"""What runs of a batch left: which jobs are done, and files and values of the last run."""

from __future__ import annotations

import pickle
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.compile.paths import file_name
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import BatchException, JobFailedError, RemoteTraceback, RunLostError

if TYPE_CHECKING:
    from pathlib import Path

    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.core.draft import BatchDraft, JobDraft
    from hail_batch_jupyter.core.files import FileRef
    from hail_batch_jupyter.core.spec import JobSpec
    from hail_batch_jupyter.observe.running import RunningBatch


@dataclass
class Run:
    """A run of the batch.

    described  uid -> the description that ran, as far as known
    settled    its outcome is noted in the drafts
    """

    running: RunningBatch
    described: dict[int, JobDraft] = field(default_factory=dict)
    settled: bool = True

    def job(self, draft: JobDraft) -> JobSpec | None:
        """The job of the run that a description belongs to; by number and name, or by name alone after a kernel's restart."""
        found = [job for job in self.running.spec.jobs if job.uid == draft.uid and job.name == (draft.name or None)]
        if not found and draft.name:
            found = [job for job in self.running.spec.jobs if job.name == draft.name]
        return found[0] if len(found) == 1 else None


def settle(batch: Batch) -> None:
    """Note the ends of jobs of earlier runs; those that were cancelled run the next time."""
    for run in batch.runs:
        if run.settled:
            continue
        snapshot = run.running.snapshot()
        ended = snapshot.ended_ms is not None or not run.running.alive()
        scratch = str(run.running.scratch) if run.running.kept and run.running.scratch is not None else None
        for job, view in zip(run.running.spec.jobs, snapshot.jobs, strict=True):
            draft = run.described.get(job.uid)
            if draft is not None and (view.state.complete or ended):
                _note_end(batch.draft, draft, job.job_id, view.state, scratch)
        run.settled = ended


def _note_end(batch: BatchDraft, draft: JobDraft, job_id: int, state: JobState, scratch: str | None) -> None:
    if draft.job_id != job_id:
        return
    if state.complete and state is not JobState.CANCELLED:
        batch.finished[job_id] = state.value
        draft.kept_in = scratch if state is JobState.SUCCESS else None
    else:
        draft.submitted = False


def fetch_path(batch: Batch, ref: FileRef, timeout_s: float | None) -> Path:
    """The file on this machine, after its job has ended; see `JobResourceFile.path`."""
    run, job = _job_that_ran(batch, ref)
    _succeeded(run.running, job, timeout_s)
    return run.running.file(_relative(batch, ref, job))


def fetch_result(batch: Batch, ref: FileRef, timeout_s: float | None) -> Any:
    """The value, after its job has ended; see `PythonResult.result`."""
    __tracebackhide__ = True
    run, job = _job_that_ran(batch, ref)
    relative = _relative(batch, ref, job)
    try:
        _succeeded(run.running, job, timeout_s)
    except JobFailedError as failure:
        _raise_own(run.running, relative, failure)
        raise
    return load_value(run.running.file(relative))


def _succeeded(running: RunningBatch, job: JobSpec, timeout_s: float | None) -> None:
    running.wait(timeout_s, [job.job_id])
    failure = running.error([job.job_id])
    if failure is not None:
        raise failure


def _raise_own(running: RunningBatch, relative: str, failure: JobFailedError) -> None:
    """Raise what the function raised, if it left that."""
    __tracebackhide__ = True
    try:
        value = load_value(running.file(relative))
    except (RunLostError, OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError):
        return
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], Exception) and isinstance(value[1], list):
        error, lines = value
        raise of_own_class(error) from RemoteTraceback("\n" + "".join(lines).rstrip() + f"\n\n{str(failure).splitlines()[0]}")


def load_value(path: Path) -> Any:
    """The value in a result file."""
    return value_of(path.read_bytes())


def value_of(data: bytes) -> Any:
    """The value that a job or a call of a pool pickled."""
    if b"dill._dill" not in data:
        return pickle.loads(data)
    import dill

    try:
        return dill.loads(data)
    except AttributeError:
        # dill looks for the value's class in this process's __main__ first; the value brings its own.
        return dill.loads(data, ignore=True)


def of_own_class(error: BaseException) -> BaseException:
    """The exception as one of the class that the notebook or script defines, not of the copy that came with it, so that `except` finds it."""
    own = getattr(sys.modules["__main__"], type(error).__qualname__, None)
    if type(error).__module__ == "__main__" and isinstance(own, type) and own is not type(error):
        with suppress(TypeError):  # their memory may be laid out differently
            error.__class__ = own
    return error


def _relative(batch: Batch, ref: FileRef, job: JobSpec) -> str:
    return f"{job.directory}/{file_name(batch.draft.jobs[ref.owner], ref)}"


def _job_that_ran(batch: Batch, ref: FileRef) -> tuple[Run, JobSpec]:
    """The newest run with the job as it is described now.

    Raises BatchException with a remedy when there is none.
    """
    draft = batch.job_of(ref.owner).job_draft
    remedy = "run it with %batch_run, or run() in a script" if "ipykernel" in sys.modules else "call run() first"
    if not batch.runs:
        raise BatchException(f"{batch.title} has not run yet, so there is no {batch.describe(ref)}; {remedy}")
    for run in reversed(batch.runs):
        job = run.job(draft)
        if job is not None:
            _check_same(batch, run, job, draft, remedy)
            return run, job
    raise BatchException(f"job {draft} is newer than the last run of {batch.title}; {remedy}")


def _check_same(batch: Batch, run: Run, job: JobSpec, draft: JobDraft, remedy: str) -> None:
    if run.described.get(draft.uid) is draft:
        return
    from hail_batch_jupyter.compile.compiler import job_keys

    if job_keys(batch.draft).get(draft.uid) != job.key:
        raise BatchException(f"job {draft} was described anew after the last run of {batch.title}, which has the result of the older text; {remedy}")
    run.described[draft.uid] = draft

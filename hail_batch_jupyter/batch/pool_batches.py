"""Calls of a BatchPoolExecutor as batches of one job, for backends that have no warm processes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from hail_batch_jupyter.batch.batch import Batch
from hail_batch_jupyter.compile.call_runner import pickled_error
from hail_batch_jupyter.core.ports import PoolOutcome, PoolRequest
from hail_batch_jupyter.errors import BatchException, JobFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hail_batch_jupyter.batch.backend import Backend
    from hail_batch_jupyter.batch.resource import PythonResult
    from hail_batch_jupyter.core.ports import PoolTask
    from hail_batch_jupyter.observe.running import RunningBatch

_SUBMITTERS = 8
_OUTPUT_BYTES = 64 * 1024
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0


class _Submitted(NamedTuple):
    batch: Batch
    result: PythonResult
    running: RunningBatch


class BatchPool:
    """A pool without processes of its own: each call is a batch, and a thread looks which have ended.

    batches  those that were submitted
    """

    n_workers = 0

    def __init__(self, backend: Backend[Any], request: PoolRequest, image: str | None, cpus: Any, batch_name: Callable[[str], str]) -> None:
        self.directory = f"{_folder_of(backend)}batch-pool-executor/{request.name}/"
        self.batches: list[Batch] = []
        self._backend = backend
        self._request = request
        self._image = image
        self._cpus = cpus
        self._batch_name = batch_name
        self._submitters = ThreadPoolExecutor(_SUBMITTERS, thread_name_prefix="hail-batch-jupyter-submit")
        self._changed = threading.Condition()
        self._open: dict[PoolTask, _Submitted | None] = {}
        self._stopped: set[PoolTask] = set()
        self._closing = False
        self._thread: threading.Thread | None = None

    def submit(self, task: PoolTask) -> None:
        """See `core.ports.Pool`."""
        with self._changed:
            if self._closing:
                raise RuntimeError("the pool takes no more calls, because it was closed; make a new one")
            self._open[task] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="hail-batch-jupyter-pool", daemon=True)
                self._thread.start()
        self._submitters.submit(self._begin, task)

    def stop(self, task: PoolTask) -> None:
        """See `core.ports.Pool`."""
        with self._changed:
            self._stopped.add(task)
            submitted = self._open.get(task)
        if submitted is not None:
            submitted.running.cancel()

    def close(self, *, now: bool) -> None:
        """See `core.ports.Pool`."""
        with self._changed:
            self._closing = True
            left = list(self._open) if now else []
            self._changed.notify_all()
        for task in left:
            self.stop(task)
        self._submitters.shutdown(wait=False)

    def wait(self, timeout_s: float | None = None) -> bool:
        """See `core.ports.Pool`."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    # threads of the pool

    def _begin(self, task: PoolTask) -> None:
        try:
            submitted = self._submit(task) if task.begin() else None
        except Exception as error:  # noqa: BLE001 - the edge of a thread; the user finds it in the future
            submitted, reason = None, f"its batch could not be submitted ({_words(error)})"
        else:
            reason = "it was cancelled"
        with self._changed:
            if submitted is None:
                self._open.pop(task, None)
            else:
                self._open[task] = submitted
            stopped = task in self._stopped
            self._changed.notify_all()
        if submitted is None:
            task.end(PoolOutcome("lost", reason=reason))
        elif stopped:
            submitted.running.cancel()

    def _submit(self, task: PoolTask) -> _Submitted:
        batch = Batch(self._batch_name(task.function.title), self._backend, default_python_image=self._image)
        job = batch.new_python_job(task.function.title.rpartition(".")[2])
        if self._cpus is not None:
            job.cpu(self._cpus)
        for name, value in self._request.env.items():
            job.env(name, value)
        if self._backend.remote:
            job.always_copy_output()  # what a call raises is a file, too
        result = job.call(_CALL, task.function.data, task.arguments)
        options: Mapping[str, Any] = {"wait": False, "disable_progress_bar": True}
        known = {name: value for name, value in options.items() if name in self._backend.run_options}
        running = batch.run(delete_scratch_on_exit=False, **known)
        self.batches.append(batch)
        return _Submitted(batch, result, running)

    def _watch(self) -> None:
        pause_s = _SHORTEST_PAUSE_S
        while True:
            with self._changed:
                if not self._open and self._closing:
                    return
                self._changed.wait(pause_s if self._open else None)
                submitted = {task: found for task, found in self._open.items() if found is not None}
            ended = False
            for task, found in submitted.items():
                outcome = self._look(found)
                if outcome is None:
                    continue
                ended = True
                with self._changed:
                    del self._open[task]
                    self._stopped.discard(task)
                task.end(outcome)
            pause_s = _SHORTEST_PAUSE_S if ended else min(1.5 * pause_s, _LONGEST_PAUSE_S)

    def _look(self, submitted: _Submitted) -> PoolOutcome | None:
        """How a call ended, None while it goes on; one whose batch cannot be asked any more is lost, and the others go on."""
        running = submitted.running
        try:
            goes_on = not running.complete and running.alive()
        except Exception as error:  # noqa: BLE001 - the edge of a thread; the user finds it in the future
            return PoolOutcome("lost", reason=f"its batch {running.id} cannot be asked any more ({_words(error)})")
        return None if goes_on else self._settle(submitted)

    def _settle(self, submitted: _Submitted) -> PoolOutcome:
        _, result, running = submitted
        output = b""
        try:
            output = running.log(running.spec.jobs[0].job_id, "main", -_OUTPUT_BYTES)
            outcome = _outcome(result, output)
            if not self._request.keep_files:
                _clean(running)
        except Exception as error:  # noqa: BLE001 - the edge of a thread; the user finds it in the future
            return PoolOutcome("lost", output=output, reason=f"what its batch {running.id} left cannot be fetched ({_words(error)})")
        return outcome


def _outcome(result: PythonResult, output: bytes) -> PoolOutcome:
    batch = result.from_batch
    try:
        return PoolOutcome("value", batch.fetch_path(result.file_ref, None).read_bytes(), output)
    except JobFailedError:
        pass
    except BatchException as error:
        text = output.decode(errors="replace")
        return PoolOutcome("lost", output=output, reason=f"it did not write output ({error}); its log:\n{text}")
    try:
        result.result()
    except JobFailedError as failure:
        return PoolOutcome("lost", output=output, reason=str(failure))
    except BaseException as error:  # noqa: BLE001 - what the function raised, whatever it was
        return PoolOutcome("error", pickled_error(error, [str(error.__cause__).strip()]), output)
    raise AssertionError("a job that failed gave a value")


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, BatchException) else f"{type(error).__name__}: {error}"


def _clean(running: RunningBatch) -> None:
    """Leave nothing of a run whose outcome is known."""
    forget = getattr(running, "forget_files", None)
    if running.directory is not None:
        running.delete()
    elif forget is not None:
        forget()


def _folder_of(backend: Backend[Any]) -> str:
    """The folder for files of calls, with a slash at its end; '' where they lie in the runs."""
    remote = getattr(backend, "remote_tmpdir", "")
    return f"{remote}/" if remote else ""


def caller() -> Callable[[bytes, bytes], Any]:
    """What the job of a call runs; made in here so that it is pickled by value, because where it runs there may be dill, but not this package."""

    def call_pickled(function: bytes, arguments: bytes) -> Any:
        import dill

        args, kwargs = dill.loads(arguments, ignore=True)
        return dill.loads(function, ignore=True)(*args, **kwargs)

    return call_pickled


_CALL = caller()

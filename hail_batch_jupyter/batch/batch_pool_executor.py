"""BatchPoolExecutor: a `concurrent.futures.Executor` on every backend."""

from __future__ import annotations

import atexit
import secrets
import string
import threading
import warnings
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from concurrent.futures import Executor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from hail_batch_jupyter.batch.batch import Batch, configured_backend
from hail_batch_jupyter.batch.pool_book import PoolBook
from hail_batch_jupyter.batch.pool_future import BatchPoolFuture
from hail_batch_jupyter.batch.run import in_notebook
from hail_batch_jupyter.compile.pool_calls import PoolPacker
from hail_batch_jupyter.core.ports import PoolRequest
from hail_batch_jupyter.core.registry import hook
from hail_batch_jupyter.core.units import Quantity, parse_cpu

if TYPE_CHECKING:
    from types import TracebackType

    from hail_batch_jupyter.batch.backend import Backend
    from hail_batch_jupyter.core.ports import Pool, PoolFunction

__all__ = ["BatchPoolExecutor", "BatchPoolFuture", "chunk", "cpu_spec_to_float"]

THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_LETTERS = string.ascii_lowercase + string.digits


class BatchPoolExecutor(Executor):
    """Calls functions elsewhere: in warm processes of this machine, or as batches of one job where the backend has no such processes.

    >>> pool = BatchPoolExecutor()
    >>> list(pool.map(lambda x: x + 1, range(4)))
    [1, 2, 3, 4]
    >>> pool.shutdown()

    Functions and arguments go by dill, as they are when the call is made. A warm process keeps the modules that it imported.

    backend       what makes the calls; default: as for `Batch`. It is closed after `shutdown`, when all calls have ended
    image         the container that calls run in; each call is a batch of its own then
    cpus_per_job  cores for each call, which also limits the threads of numerical libraries
    wait_on_exit  leaving `with` waits for all calls
    cleanup_bucket  remove `directory` when all has ended
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        backend: Backend[Any] | None = None,
        image: str | None = None,
        cpus_per_job: Quantity | None = None,
        wait_on_exit: bool = True,
        cleanup_bucket: bool = True,
        project: str | None = None,
    ) -> None:
        if project is not None:
            warnings.warn("'project' is deprecated; give the backend its project instead", UserWarning, stacklevel=2)
        self.name = name or f"BatchPoolExecutor-{_token()}"
        self.backend: Backend[Any] = backend or configured_backend()
        self.image = image
        self.cpus_per_job = cpus_per_job
        self.wait_on_exit = wait_on_exit
        self.cleanup_bucket = cleanup_bucket
        self._book = PoolBook()
        self._packer = PoolPacker()
        self._pool = self._open_pool()
        self._views: list[Any] = []
        self._closer: threading.Thread | None = None
        _end_at_exit(self._pool)
        weakref.finalize(self, self._pool.close, now=False).atexit = False

    def _open_pool(self) -> Pool:
        cpu_mcpu = None if self.cpus_per_job is None else parse_cpu(self.cpus_per_job)
        threads = "1" if self.cpus_per_job is None else str(int(max(1.0, cpu_spec_to_float(self.cpus_per_job))))
        request = PoolRequest(self.name, cpu_mcpu, dict.fromkeys(THREAD_LIMITS, threads), keep_files=not self.cleanup_bucket)
        pool = self.backend.open_pool(request) if self.image is None else None
        if pool is not None:
            return pool
        from hail_batch_jupyter.batch.pool_batches import BatchPool

        name = self.name
        return BatchPool(self.backend, request, self.image, self.cpus_per_job, lambda function: f"{name}-{function.rpartition('.')[2]}-{_token()}")

    # what it knows

    @property
    def directory(self) -> str:
        """The folder of its files; it ends in a slash."""
        return self._pool.directory

    @property
    def inputs(self) -> str:
        """The folder of what goes to calls."""
        return f"{self.directory}inputs/"

    @property
    def outputs(self) -> str:
        """The folder of what comes from calls."""
        return f"{self.directory}outputs/"

    @property
    def batches(self) -> list[Batch]:
        """The batches of its calls; none where they are made by warm processes."""
        return list(getattr(self._pool, "batches", ()))

    @property
    def futures(self) -> list[BatchPoolFuture]:
        """Its calls, in order; those that have ended only while somebody holds them."""
        return self._book.futures()

    @property
    def finished_future_count(self) -> int:
        """How many calls have ended, however."""
        return self._book.counts().ended

    def __repr__(self) -> str:
        counts = self._book.counts()
        return f"<BatchPoolExecutor {self.name}: {counts.ended} of {counts.submitted} calls done>"

    # calls

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> BatchPoolFuture:
        """Call `fn(*args, **kwargs)`; gives the future of its value at once.

        Raises BatchException naming what cannot be pickled, RuntimeError after `shutdown`.
        """
        return self._submit(self._packer.function(fn), self._packer.arguments(fn, args, kwargs))

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1) -> Generator[Any, None, None]:
        """Call `fn` with the items of the iterables, up to the end of the shortest; gives the values in order, each within `timeout` seconds.

        All calls are made at once. With a `chunksize` above 1 each call takes about so many items, and the iterables must be equally long.
        When a call fails, or the generator is closed, the calls that are left are cancelled.
        Raises ValueError for iterables of different lengths.
        """
        futures = self._submit_all(fn, iterables, chunksize)
        return _values(futures, timeout, chunksize > 1)

    async def async_submit(self, unapplied: Callable[..., Any], /, *args: Any, **kwargs: Any) -> BatchPoolFuture:
        """As `submit`, for coroutines."""
        return self.submit(unapplied, *args, **kwargs)

    async def async_map(
        self, fn: Callable[..., Any], iterables: Iterable[Iterable[Any]], timeout: float | None = None, chunksize: int = 1
    ) -> AsyncGenerator[Any, None]:
        """As `map`, for coroutines: `async for value in await pool.async_map(fn, [items])`."""
        futures = self._submit_all(fn, tuple(iterables), chunksize)
        return _async_values(futures, timeout, chunksize > 1)

    def _submit_all(self, fn: Callable[..., Any], iterables: Sequence[Iterable[Any]], chunksize: int) -> deque[BatchPoolFuture]:
        if chunksize > 1:
            fn, iterables = chunk(fn), _chunks(iterables, chunksize)
        futures: deque[BatchPoolFuture] = deque()
        if not iterables:
            return futures
        function = self._packer.function(fn)
        try:
            for args in zip(*iterables, strict=False):
                futures.append(self._submit(function, self._packer.arguments(fn, args, {})))
        except BaseException:
            _cancel(futures)
            raise
        return futures

    def _submit(self, function: PoolFunction, arguments: bytes) -> BatchPoolFuture:
        future = BatchPoolFuture(self._pool, self._book, function, arguments)
        self._book.add(future)
        try:
            self._pool.submit(future)
        except BaseException:
            future.cancel()
            raise
        for view in self._views:
            view.touch()
        if not self._views and in_notebook() and threading.current_thread() is threading.main_thread():
            self._views.append(hook("show_pool")(self.name, self._book.counts))
        return future

    def progress(self) -> Any:  # an ipywidget
        """The progress of all calls as an ipywidget, for a notebook or a dashboard; without one a line stands under the cell that makes the first call.

        Traits to observe, which a thread of the kernel's sets: `counts`, a dict of calls by word ('submitted', 'succeeded', 'failed', 'cancelled', 'running'),
        and `state`, 'running' or 'idle'.
        """
        teller = hook("pool_teller")(self.name, self._book.counts)
        self._views.append(teller)
        if not teller.ended:
            teller.touch()
        return teller.widget

    # the end

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; with `wait` return when all have ended, and nothing is left of the pool. Again does nothing more."""
        self._book.close()
        if cancel_futures:
            _cancel(future for future in self._book.open() if not future.running())
        if wait:
            self._book.wait()
        self._pool.close(now=False)
        if wait:
            self._pool.wait()
            self.backend.close()
            for view in self._views:
                view.flush()
        elif self._closer is None:
            self._closer = threading.Thread(target=_close_later, args=(self._pool, self.backend), name="hail-batch-jupyter-shutdown", daemon=True)
            self._closer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.shutdown(wait=self.wait_on_exit)


def chunk(fn: Callable[..., Any]) -> Callable[..., list[Any]]:
    """A function of lists that gives the list of `fn` of their items, up to the end of the shortest."""

    def chunked(*lists: Iterable[Any]) -> list[Any]:
        return [fn(*args) for args in zip(*lists)]  # noqa: B905 - it goes to interpreters where `strict` may not be known

    return chunked


def cpu_spec_to_float(spec: Quantity) -> float:
    """Cores of a number of cores or of text such as '250m'.

    Raises UnitError for any other text.
    """
    return parse_cpu(spec) / 1000


def _chunks(iterables: Sequence[Iterable[Any]], chunksize: int) -> list[list[list[Any]]]:
    """Each iterable as lists whose lengths differ by one at most."""
    columns = [list(items) for items in iterables]
    lengths = {len(items) for items in columns}
    if len(lengths) > 1:
        shown = ", ".join(str(len(items)) for items in columns)
        raise ValueError(f"map with chunksize={chunksize}: the iterables have {shown} items; make them equally long, or use chunksize=1")
    n_items = lengths.pop() if lengths else 0
    n_chunks = -(-n_items // chunksize)
    bounds = [index * n_items // n_chunks for index in range(n_chunks)] + [n_items] if n_chunks else []
    return [[items[start:end] for start, end in pairwise(bounds)] for items in columns]


def _values(futures: deque[BatchPoolFuture], timeout: float | None, chunked: bool) -> Generator[Any, None, None]:
    __tracebackhide__ = True
    try:
        while futures:
            value = futures[0].result(timeout)
            futures.popleft()
            if chunked:
                yield from value
            else:
                yield value
    finally:
        _cancel(futures)


async def _async_values(futures: deque[BatchPoolFuture], timeout: float | None, chunked: bool) -> AsyncGenerator[Any, None]:
    try:
        while futures:
            value = await futures[0].async_result(timeout)
            futures.popleft()
            for item in value if chunked else (value,):
                yield item
    finally:
        _cancel(futures)


def _cancel(futures: Iterable[BatchPoolFuture]) -> None:
    for future in reversed(list(futures)):  # the last first, so that none begins because another one ended
        future.cancel()


def _token() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(4))


_POOLS: weakref.WeakSet[Pool] = weakref.WeakSet()


def _end_at_exit(pool: Pool) -> None:
    if not _POOLS:
        atexit.unregister(_end_all)
        atexit.register(_end_all)
    _POOLS.add(pool)


def _end_all() -> None:
    """Wait for all calls, as executors of the standard library do at the end of a program; a kernel that restarts ends them."""
    for pool in list(_POOLS):
        pool.close(now=in_notebook())
    for pool in list(_POOLS):
        pool.wait()


def _close_later(pool: Pool, backend: Backend[Any]) -> None:
    pool.wait()
    backend.close()

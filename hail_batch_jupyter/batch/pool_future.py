"""The future of one call of a BatchPoolExecutor."""

from __future__ import annotations

import itertools
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.pool_book import PoolBook
    from hail_batch_jupyter.core.ports import Pool, PoolFunction, PoolOutcome

_NUMBERS = itertools.count(1)


class BatchPoolFuture(Future[Any]):
    """One call: a `concurrent.futures.Future` that can be cancelled while it runs.

    number     later calls have higher ones
    function, arguments  the call as bytes, for the pool
    """

    def __init__(self, pool: Pool, book: PoolBook, function: PoolFunction, arguments: bytes) -> None:
        super().__init__()
        self.number = next(_NUMBERS)
        self.function = function
        self.arguments = arguments
        self._pool = pool
        self._book = book
        self._begun = False
        self._output = b""
        # Who empties it settles the future: a call may end and be cancelled at the same time.
        self._unsettled = [True]

    def running(self) -> bool:
        """Whether the call has begun and has not ended."""
        return self._begun and not self.done()

    def cancel(self) -> bool:
        """Stop the call, also one that runs; True if this stopped it, False if it had ended or was cancelled before."""
        if not self._claim():
            return False
        self._pool.stop(self)
        self._book.note_end("cancelled", self._begun)
        try:
            super().cancel()
            self.set_running_or_notify_cancel()
        finally:
            self._book.forget(self)
        return True

    def result(self, timeout: float | None = None) -> Any:
        """The value that the call gives; waits for it, for at most `timeout` seconds.

        Raises ValueError 'submitted job failed: …' with the traceback of the call, whose `__cause__` is the exception that the function
        raised; TimeoutError, after which the call goes on; CancelledError.
        """
        __tracebackhide__ = True  # what the call raised is shown without our frames
        return super().result(timeout)

    def log(self) -> str:
        """What the call printed, to its end; of more than 64 KiB the end. '' while it runs."""
        return self._output.decode(errors="replace")

    async def async_result(self, timeout: float | None = None) -> Any:
        """As `result`, for coroutines."""
        import asyncio

        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def tell(_: Future[Any]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(ended.set)

        if not self.done():
            self.add_done_callback(tell)
            await asyncio.wait_for(ended.wait(), timeout)
        return super().result(0)

    async def async_cancel(self) -> bool:
        """As `cancel`, for coroutines."""
        return self.cancel()

    # for the pool

    def begin(self) -> bool:
        """Note that the call is about to start; False if it was cancelled."""
        if not self._unsettled:
            return False
        if not self._begun:  # a call that did not reach its worker begins again
            self._begun = True
            self._book.note_begin()
        return True

    def end(self, outcome: PoolOutcome) -> None:
        """Settle the future, unless it was cancelled."""
        if not self._claim():
            return
        self.function, self.arguments = self.function._replace(data=b""), b""  # somebody may hold the future for long
        self._output = outcome.output
        value, error = self._read(outcome)
        self.set_running_or_notify_cancel()
        self._book.note_end("value" if error is None else "error", self._begun)
        try:  # callbacks may raise what is no Exception
            if error is None:
                self.set_result(value)
            else:
                self.set_exception(error)
        finally:
            self._book.forget(self)

    def _claim(self) -> bool:
        try:
            self._unsettled.pop()
        except IndexError:
            return False
        return True

    def _read(self, outcome: PoolOutcome) -> tuple[Any, ValueError | None]:
        from hail_batch_jupyter.batch.runs import of_own_class, value_of

        if outcome.kind == "lost":
            return None, ValueError(f"submitted job failed: {self.function.title!r}: {outcome.reason}")
        try:
            value = value_of(outcome.data)
        except Exception as error:  # noqa: BLE001 - objects of any class may fail to be made again
            failure = ValueError(f"submitted job failed: what {self.function.title!r} gave cannot be read here ({error!r}); return plain data instead")
            failure.__cause__ = error
            return None, failure
        if outcome.kind == "value":
            return value, None
        cause, lines = value
        failure = ValueError("submitted job failed:\n" + "".join(lines).rstrip())
        failure.__cause__ = of_own_class(cause)
        return None, failure

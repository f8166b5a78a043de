"""The handle on a run for people with a running loop: each method waits in a thread, and the loop goes on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hail_batch_jupyter.observe.running import RunningBatch


class Awaiting:
    """The `async_…` forms of a RunningBatch's methods; loops are neither made nor changed."""

    async def async_wait(self: RunningBatch, timeout_s: float | None = None, job_ids: Sequence[int] | None = None) -> dict[str, Any]:  # type: ignore[misc]  # mixed into RunningBatch only
        """As `wait`. Cancelling the task ends the waiting and leaves the run alone."""
        import asyncio

        stop = threading.Event()
        try:
            return await asyncio.to_thread(self.wait_unless, stop, timeout_s, job_ids)
        finally:
            stop.set()

    async def async_status(self: RunningBatch) -> dict[str, Any]:  # type: ignore[misc]  # as above
        """As `status`."""
        import asyncio

        return await asyncio.to_thread(self.status)

    async def async_get_job(self: RunningBatch, job_id: int) -> dict[str, Any]:  # type: ignore[misc]  # as above
        """As `get_job`."""
        import asyncio

        return await asyncio.to_thread(self.get_job, job_id)

    async def async_get_job_log(self: RunningBatch, job_id: int) -> dict[str, str]:  # type: ignore[misc]  # as above
        """As `get_job_log`."""
        import asyncio

        return await asyncio.to_thread(self.get_job_log, job_id)

    async def async_cancel(self: RunningBatch) -> None:  # type: ignore[misc]  # as above
        """As `cancel`."""
        import asyncio

        await asyncio.to_thread(self.cancel)

    async def async_delete(self: RunningBatch) -> None:  # type: ignore[misc]  # as above
        """As `delete`."""
        import asyncio

        await asyncio.to_thread(self.delete)

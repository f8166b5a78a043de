"""Work that may take long, on threads of its own, so that no other answer of the Jupyter server waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

from hail_batch_jupyter.jupyter.server.replies import Reply


class Apart:
    """Of one name there is one piece of work at a time, however often it is asked for while a service is silent."""

    def __init__(self) -> None:
        self._going: dict[str, Future[Reply]] = {}

    async def do(self, name: str, work: Callable[[], Reply], patience_s: float) -> Reply:
        """What `work` gives, which must not raise.

        Raises TimeoutError when it takes longer than this, or when earlier work of that name does; it goes on all the same.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + patience_s
        while name in self._going:
            await self._wait(self._going[name], until_s - loop.time())
        self._going[name] = future = Future[Reply]()
        future.add_done_callback(lambda _: self._going.pop(name, None))
        threading.Thread(target=lambda: future.set_result(work()), name="hail-batch-jupyter-service", daemon=True).start()
        return await self._wait(future, until_s - loop.time())

    async def _wait(self, future: Future[Reply], timeout_s: float) -> Reply:
        done, _ = await asyncio.wait([asyncio.wrap_future(future)], timeout=max(0.0, timeout_s))
        if not done:
            raise TimeoutError
        return done.pop().result()

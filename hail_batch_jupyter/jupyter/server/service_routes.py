"""The Jupyter server's routes for batches of the batch service: the same as for runs of this machine, and never in their way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from hail_batch_jupyter.errors import BatchException, ServiceError
from hail_batch_jupyter.jupyter.live.remote import Lines, turn_of
from hail_batch_jupyter.jupyter.server.apart import Apart
from hail_batch_jupyter.jupyter.server.replies import Reply, said
from hail_batch_jupyter.jupyter.server.servicelist import ServiceList

ROOT = "hail-batch-jupyter/batches"
PATIENCE_S = 8.0
"""Longer than the service is given, so that its trouble is told in its own words."""


class BatchesHandler(APIHandler):
    """What these routes have in common: who may ask, on which thread it is answered, and how trouble is told."""

    auth_resource = "hail-batch-jupyter"

    def initialize(self, services: ServiceList, lines: Lines, apart: Apart) -> None:
        """Take what the routes share."""
        self.services, self.lines, self.apart = services, lines, apart

    async def answer(self, name: str, work: Callable[[], Reply]) -> None:
        """Finish with what `work` gives, or with the word that the service is silent."""
        try:
            status, content = await self.apart.do(name, lambda: _told(work), PATIENCE_S)
        except TimeoutError:
            status, content = said(504, "the batch service does not answer; its batches are shown again when it does")
        self.set_status(status)
        self.finish(content)


class BatchListHandler(BatchesHandler):
    """GET gives a page of the user's batches, newest first; `before` asks for those below that number."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with {'now_ms', 'service', 'trouble', 'runs', 'next'}."""
        before = self.get_query_argument("before", "")
        if before and not (before.isascii() and before.isdigit() and len(before) < 19):
            await self.answer("refusal", lambda: said(400, f"before {before[:40]!r} is not the number of a batch"))
            return
        last = int(before) if before else None
        await self.answer(f"list {before}", lambda: Reply(200, {"now_ms": int(time.time() * 1000), **self.services.page(last)}))


class BatchHandler(BatchesHandler):
    """DELETE removes a batch from the service."""

    @web.authenticated
    @authorized
    async def delete(self, number: str) -> None:
        """Cancel the batch if it goes on, and forget it."""

        def work() -> Reply:
            self.services.delete(int(number))
            self.lines.forget(number)
            return said(200, "The batch is deleted")

        await self.answer(f"delete {number}", work)


class BatchCancelHandler(BatchesHandler):
    """POST asks for the end of a batch."""

    @web.authenticated
    @authorized
    async def post(self, number: str) -> None:
        """Tell the service."""

        def work() -> Reply:
            self.services.cancel(int(number))
            return said(200, "The batch is being cancelled")

        await self.answer(f"cancel {number}", work)


class BatchFeedHandler(BatchesHandler):
    """POST is one turn of the widget's conversation, as for runs of this machine."""

    @web.authenticated
    @authorized
    async def post(self, number: str) -> None:
        """Hand on the browser's messages and answer with those of the batch."""
        turn = turn_of(self.get_json_body())
        if turn is None:
            await self.answer("refusal", lambda: said(400, "a turn is {'page': letters and digits, 'messages': a list}"))
            return

        def work() -> Reply:
            return Reply(200, {"messages": self.lines.converse(number, turn.page, turn.messages, lambda: self.services.open(int(number)))})

        await self.answer(f"feed {turn.page}", work)


def _told(work: Callable[[], Reply]) -> Reply:
    """What `work` gives, and what it raises as a sentence."""
    try:
        return work()
    except ServiceError as error:
        return said(404 if error.status == 404 else 502, str(error))
    except BatchException as error:
        return said(409, str(error))
    except Exception as error:  # noqa: BLE001 - the end of a thread of its own: whatever happens is told to who asked
        return said(500, f"the batch service could not be used ({type(error).__name__}: {error})")


def service_routes() -> list[tuple[str, type[BatchesHandler], dict[str, Any]]]:
    """Path, handler and what all handlers share."""
    shared = {"services": ServiceList(), "lines": Lines(), "apart": Apart()}
    number = "/([0-9]{1,18})"
    handlers: dict[str, type[BatchesHandler]] = {
        "": BatchListHandler,
        number: BatchHandler,
        f"{number}/cancel": BatchCancelHandler,
        f"{number}/feed": BatchFeedHandler,
    }
    return [(ROOT + path, handler, shared) for path, handler in handlers.items()]

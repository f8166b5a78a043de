"""The Jupyter server's part: cancels a run of this user while its kernel is busy, or gone."""

from __future__ import annotations

import asyncio
import re
from typing import Any  # the Jupyter server's application carries no types

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.observe import rundir

ROUTE = r"hail-batch-jupyter/runs/([^/]+)/cancel"
_RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")


class CancelHandler(APIHandler):
    """POST asks for the end of a run: 200 when it was asked, 400 for a malformed id, 404 for an unknown run, 409 for one that has ended."""

    @web.authenticated
    async def post(self, run_id: str) -> None:
        """Leave the word for the runner; the files are touched on another thread, so that the server goes on."""
        if not _RUN_ID.fullmatch(run_id) or run_id in (".", ".."):
            self._say(400, False, f"{run_id[:200]!r} is not the id of a run")
            return
        try:
            status, text = await asyncio.to_thread(cancel_run, run_id)
        except RunLostError as error:
            status, text = 404, str(error)
        except OSError as error:
            status, text = 500, f"run {run_id!r} could not be asked to end ({error.strerror}); use %batch_cancel in a notebook"
        self._say(status, status == 200, text)

    def _say(self, status: int, ok: bool, text: str) -> None:
        self.set_status(status)
        self.finish({"ok": ok, "text": text})


def cancel_run(run_id: str) -> tuple[int, str]:
    """HTTP status and a sentence about asking the run to end.

    Raises RunLostError when there is no such run.
    """
    run = rundir.info(rundir.find(run_id))
    if run.state != "live":
        return 409, f"run {run_id!r} has ended"
    rundir.request_cancel(run.directory, "cancelled by the user")
    return 200, "The run is being cancelled"


def _load_jupyter_server_extension(app: Any) -> None:
    """Add the route to a Jupyter server."""
    base_url = app.web_app.settings["base_url"]
    app.web_app.add_handlers(".*$", [(url_path_join(base_url, ROUTE), CancelHandler)])

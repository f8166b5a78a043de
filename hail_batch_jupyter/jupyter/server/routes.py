"""The Jupyter server's part: lists, shows, cancels and deletes the runs of this user, without any kernel."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Callable
from typing import Any  # the Jupyter server's application carries no types

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.jupyter.live import answers
from hail_batch_jupyter.jupyter.live.deeds import retry_apart
from hail_batch_jupyter.jupyter.live.remote import Remote, turn_of
from hail_batch_jupyter.jupyter.server import settings_routes, starter_routes
from hail_batch_jupyter.jupyter.server.replies import Reply, said
from hail_batch_jupyter.jupyter.server.runlist import RunList, contents_path, own_run
from hail_batch_jupyter.jupyter.server.service_routes import service_routes
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import attach
from hail_batch_jupyter.observe.local_port import LocalPort
from hail_batch_jupyter.observe.running import CONTAINERS

ROOT = "hail-batch-jupyter/runs"
MAX_LOG_BYTES = 200_000
_RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")


class RunsHandler(APIHandler):
    """What all routes have in common: who may ask, on which thread it is answered, and how trouble is told."""

    auth_resource = "hail-batch-jupyter"

    def initialize(self, runs: RunList, remote: Remote) -> None:
        """Take what the routes share."""
        self.runs, self.remote = runs, remote

    async def answer(self, work: Callable[[], Reply]) -> None:
        """Finish with what `work` gives; it runs on another thread, so that the server goes on."""
        try:
            status, content = await asyncio.to_thread(work)
        except RunLostError as error:
            status, content = said(404, str(error))
        except OSError as error:
            status, content = said(500, f"the run directory cannot be used ({error.strerror}); look at {str(rundir.runs_folder())!r}")
        self.set_status(status)
        self.finish(content)

    async def answer_for(self, run_id: str, work: Callable[[], Reply]) -> None:
        """As `answer`; 400 for what is not the id of a run."""
        if not _RUN_ID.fullmatch(run_id) or run_id in (".", ".."):
            await self.answer(lambda: said(400, f"{run_id[:200]!r} is not the id of a run"))
            return
        await self.answer(work)


class ListHandler(RunsHandler):
    """GET gives the rows of all runs, newest first."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with {'now_ms', 'runs': […]}; `notebook_path` is where the server has the notebook, '' when it has not."""
        root = str(getattr(self.contents_manager, "root_dir", ""))

        def work() -> Reply:
            rows = self.runs.rows()
            paths = {notebook: contents_path(notebook, root) for notebook in {row["notebook"] for row in rows}}
            rows = [{**row, "notebook_path": paths[row["notebook"]]} for row in rows]
            return Reply(200, {"now_ms": int(time.time() * 1000), "runs": rows})

        await self.answer(work)


class RunHandler(RunsHandler):
    """DELETE removes a run that has ended: 200 when it is gone, 404 for an unknown run, 409 for one that goes on."""

    @web.authenticated
    @authorized
    async def delete(self, run_id: str) -> None:
        """Remove its logs and intermediate files."""

        def work() -> Reply:
            answer = delete_run(run_id)
            self.remote.forget(run_id)
            return answer

        await self.answer_for(run_id, work)


class DeedHandler(RunsHandler):
    """POST cancels or retries a run, or the jobs that {'job_ids': [3, 4]} names, or cancels {'group': 'name'}.

    200 when it was done, 400 for what means nothing, 404 for an unknown run, 409 with a sentence where it cannot be done. A retry answers with the
    id of the new run as 'run'.
    """

    def initialize(self, runs: RunList, remote: Remote, kind: str = "") -> None:
        """Take what the routes share, and which deed it is."""
        super().initialize(runs, remote)
        self.kind = kind

    @web.authenticated
    @authorized
    async def post(self, run_id: str) -> None:
        """Leave the word for the runner, or start another one."""
        body: Any = self.get_json_body() if self.request.body else {}  # whatever the page sent
        await self.answer_for(run_id, lambda: deed(run_id, self.kind, body))


class AskHandler(RunsHandler):
    """POST is one question of the widget's protocol, of a page whose kernel is busy: {'content', 'buffer' in base64} back."""

    @web.authenticated
    @authorized
    async def post(self, run_id: str) -> None:
        """Answer from the run directory."""
        body: Any = self.get_json_body()  # whatever the page sent
        await self.answer_for(run_id, lambda: question(run_id, body, self.remote))


class FeedHandler(RunsHandler):
    """POST is one turn of the widget's conversation, with {'page', 'messages'} there and {'messages'} back."""

    @web.authenticated
    @authorized
    async def post(self, run_id: str) -> None:
        """Hand on the browser's messages and answer with those of the run."""
        turn = turn_of(self.get_json_body())
        if turn is None:
            await self.answer(lambda: said(400, "a turn is {'page': letters and digits, 'messages': a list}"))
            return
        await self.answer_for(run_id, lambda: Reply(200, {"messages": self.remote.tell(run_id, turn.page, turn.messages)}))


class LogHandler(RunsHandler):
    """GET gives the end of a job's log, MAX_LOG_BYTES at most; it is never read whole."""

    @web.authenticated
    @authorized
    async def get(self, run_id: str, job_id: str) -> None:
        """Answer with {'text'}; the query may name `container` and `bytes`."""
        container = self.get_query_argument("container", "main")
        asked = self.get_query_argument("bytes", str(MAX_LOG_BYTES))
        if container not in CONTAINERS or not asked.isdecimal():
            await self.answer(lambda: said(400, f"container is one of {', '.join(CONTAINERS)} and bytes a number; asked for {container!r} and {asked!r}"))
            return
        length = min(int(asked), MAX_LOG_BYTES)
        await self.answer_for(run_id, lambda: log_end(run_id, int(job_id), container, length))


def deed(run_id: str, kind: str, body: Any) -> Reply:
    """Cancel or retry; raises RunLostError when there is no such run."""
    own_run(run_id)
    if not isinstance(body, dict):
        return said(400, "what is asked for is an object, such as {} or {'job_ids': [3]}")
    try:
        answers.job_ids_of(body)
    except ValueError as error:
        return said(400, str(error))
    answer = answers.carry_out(attach(run_id), {**body, "kind": kind}, retry_apart)
    told = {name: value for name, value in answer.items() if name in ("ok", "text", "run")}
    return Reply(200 if answer["ok"] else 409, told)


def question(run_id: str, body: Any, remote: Remote) -> Reply:
    """The answer to one question; raises RunLostError when there is no such run."""
    if not isinstance(body, dict) or body.get("kind") not in answers.KINDS:
        return said(400, f"a question is an object whose kind is one of {', '.join(sorted(answers.KINDS))}")
    content, buffer = answers.answer(remote.running(run_id), body)
    return Reply(200, {"content": content, "buffer": None if buffer is None else base64.b64encode(buffer).decode()})


def delete_run(run_id: str) -> Reply:
    """Remove a run that has ended; one whose runner was killed is closed before. Raises RunLostError when there is no such run."""
    run = rundir.info(own_run(run_id))
    if run.state == "dead":
        attach(run_id)
        run = rundir.info(run.directory)
    if run.state != "ended":
        return said(409, f"run {run_id!r} has not ended; cancel it first")
    rundir.remove(run.directory)
    return said(200, "The run is deleted")


def log_end(run_id: str, job_id: int, container: str, length: int) -> Reply:
    """The last bytes of a log as text; raises RunLostError when there is no such run."""
    directory = own_run(run_id)
    log = attach(run_id).log if (directory / rundir.ELSEWHERE).exists() else LocalPort(directory).log
    data = log(job_id, container, start=-length, length=length) if length else b""
    return Reply(200, {"text": data.decode(errors="replace")})


def _load_jupyter_server_extension(app: Any) -> None:
    """Add the routes to a Jupyter server."""
    shared = {"runs": RunList(), "remote": Remote()}
    base_url = app.web_app.settings["base_url"]
    routes: list[tuple[str, type[RunsHandler], dict[str, Any]]] = [
        ("", ListHandler, shared),
        ("/([^/]+)", RunHandler, shared),
        ("/([^/]+)/cancel", DeedHandler, {**shared, "kind": "cancel"}),
        ("/([^/]+)/retry", DeedHandler, {**shared, "kind": "retry"}),
        ("/([^/]+)/ask", AskHandler, shared),
        ("/([^/]+)/feed", FeedHandler, shared),
        ("/([^/]+)/jobs/([0-9]{1,9})/log", LogHandler, shared),
    ]
    found: list[tuple[str, type[APIHandler], dict[str, Any]]] = [(ROOT + route, handler, taken) for route, handler, taken in routes]
    found += [*service_routes(), (settings_routes.ROOT, settings_routes.SettingsHandler, {}), (starter_routes.ROOT, starter_routes.StarterHandler, {})]
    app.web_app.add_handlers(".*$", [(url_path_join(base_url, route), handler, taken) for route, handler, taken in found])

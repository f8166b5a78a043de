"""All that the service answers, put together: the protocol, its description, pages, health and metrics."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from hail_batch_jupyter.service import openapi
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.metrics import Metrics
from hail_batch_jupyter.service.routes import ROUTES, Service, versioned
from hail_batch_jupyter.service.ui.layout import moved, refused
from hail_batch_jupyter.service.ui.pages import Pages
from hail_batch_jupyter.service.ui.routes import PAGES
from hail_batch_jupyter.service.web import Answer, Asked, Later, Request, Route, answer_of, find, text


class Site:
    """Answers requests; every method may be called from any thread.

    closing   whether the service ends, so that nobody is kept waiting
    n_open    requests that are not answered yet
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self.people = pages.people
        self.metrics = Metrics(pages.rules.where.labels)
        self.closing = False
        self.n_open = 0
        self._own: list[Route[Service]] = [
            Route("GET", "/healthcheck", lambda _: text(""), "Whether it answers.", gives="text/plain", open_to_all=True),
            Route("GET", "/openapi.json", lambda _: Answer(self._document), "The description of all routes.", open_to_all=True),
            Route("GET", "/openapi.yaml", lambda _: Answer(self._document), "The same: JSON is YAML.", open_to_all=True),
            Route("GET", "/metrics", lambda _: self._metrics(), "Counters.", gives="text/plain", open_to_all=True),
        ]
        self._document = json.dumps(openapi.document(ROUTES, self._own)).encode()

    def answer(self, request: Request) -> Answer | Later:
        """The answer to a request, or how to wait for it; raises Refusal for a client, and gives a page that says so for a browser."""
        found = versioned(request.path)
        if found is None and not any(request.path == route.path for route in self._own):
            return self._page(request)
        language, path = found if found is not None else (1, request.path)
        route, names = find(ROUTES if found is not None else self._own, request.method, path)
        if route.of_runs and not request.user:
            request = request._replace(user=self.people.of_run(request.headers.get("authorization")))
        if not route.open_to_all and not request.user:
            raise Refusal(401, "Unauthorized")
        made: Any = route.call(Asked(self._pages.rules, request._replace(secure=self._pages.secure), {**names, "version": language}))
        return made if isinstance(made, Later) else answer_of(made, request.method)

    def refused(self, request: Request, refusal: Refusal) -> Answer:
        """A page for a browser; raises the refusal again for a client."""
        if versioned(request.path) is not None or any(request.path == route.path for route in self._own):
            raise refusal
        return refused(self._of(request), refusal.status, refusal.sentence)

    def _of(self, request: Request) -> Request:
        """The request with what pages need to know of who asks."""
        return request._replace(admin=self._pages.rules.roles.is_admin(request.user))

    def _page(self, request: Request) -> Answer:
        request = self._of(request)
        try:
            route, names = find(PAGES, request.method, request.path)
            if not route.open_to_all and not request.user:
                return self._not_logged_in(request)
            return answer_of(route.call(Asked(self._pages, request, names)), request.method)
        except Refusal as refusal:
            return refused(request, refusal.status, refusal.sentence)

    @staticmethod
    def _not_logged_in(request: Request) -> Answer:
        """The way to the page that asks who it is; what changes something is not sent on."""
        if request.method not in ("GET", "HEAD"):
            raise Refusal(401, "nobody is logged in; log in, and then send it again")
        asked = f"{request.path}?{urlencode(request.query)}" if request.query else request.path
        return moved(f"/login?{urlencode({'next': asked})}")

    def _metrics(self) -> Answer:
        jobs, batches = self._pages.rules.reading.totals()
        return Answer(self.metrics.text(jobs, batches, self.n_open).encode(), "text/plain; version=0.0.4; charset=utf-8")

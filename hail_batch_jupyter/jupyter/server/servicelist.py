"""The user's batches on the batch service, as rows of the panel; it is asked with the user's own token, and waited for a few seconds only."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.core.answers import milliseconds
from hail_batch_jupyter.errors import BatchException, ConfigError, NotAuthenticatedError
from hail_batch_jupyter.jupyter.live.graph import Message
from hail_batch_jupyter.jupyter.server.runlist import Row

if TYPE_CHECKING:
    from hail_batch_jupyter.backends.service.run import ServiceRun
    from hail_batch_jupyter.client.session import Service
    from hail_batch_jupyter.config.deploy import Deployment

PATIENCE_S = 4.0


class ServiceList:
    """The service that the settings name now; every method may be called from any thread, and takes several seconds when the service is silent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[Deployment, Service] | None = None

    def page(self, last_batch_id: int | None) -> Message:
        """{'service', 'trouble', 'runs', 'next'}: the user's batches below that number, newest first, and with what to ask on.

        Without a service that this user has logged in to there are none, and no trouble either.
        """
        none: Message = {"service": "", "trouble": "", "runs": [], "next": None}
        try:
            place, service = self._connected()
        except NotAuthenticatedError:
            return none
        except ConfigError as error:
            return {**none, "trouble": str(error)}
        told = {**none, "service": place.base_url().partition("://")[2]}
        try:
            found = service.batches(last_batch_id)
            rows = [row_of(entry, place.page_url()) for entry in found["batches"]]
        except BatchException as error:
            self._forget()
            return {**told, "trouble": str(error)}
        return {**told, "runs": rows, "next": found.get("last_batch_id")}

    def cancel(self, number: int) -> None:
        """Cancel a batch; raises ServiceError."""
        self._connected()[1].cancel(number)

    def delete(self, number: int) -> None:
        """Delete a batch; raises ServiceError."""
        self._connected()[1].delete(number)

    def open(self, number: int) -> ServiceRun:
        """The handle on a batch with its jobs.

        Raises ServiceError, and CapabilityError for a batch of more jobs than are shown here.
        """
        from hail_batch_jupyter.backends.service.open import open_batch

        place, service = self._connected()
        return open_batch(service, number, place.page_url())

    def _connected(self) -> tuple[Deployment, Service]:
        from hail_batch_jupyter.client.auth import headers_of
        from hail_batch_jupyter.client.session import Service
        from hail_batch_jupyter.client.transport import Transport
        from hail_batch_jupyter.config.deploy import deployment

        place = deployment()
        with self._lock:
            if self._known is None or self._known[0] != place:
                self._known = place, Service(Transport(place.base_url(), headers_of(None, place), patience_s=PATIENCE_S))
            return self._known

    def _forget(self) -> None:
        """Read the token again next time: it may have been renewed."""
        with self._lock:
            self._known = None


def row_of(entry: Mapping[str, Any], page_url: str) -> Row:
    """What the panel is told of a batch, from its entry in the service's list."""
    number, n_jobs = entry["id"], entry["n_jobs"]
    succeeded, failed, cancelled = (entry.get(name) or 0 for name in ("n_succeeded", "n_failed", "n_cancelled"))
    complete = bool(entry["complete"])
    return {
        "run_id": str(number),
        "name": (entry.get("attributes") or {}).get("name") or f"batch {number}",
        "backend": "service",
        "created_ms": milliseconds(entry.get("time_created")) or 0,
        "ended_ms": milliseconds(entry.get("time_completed")) if complete else None,
        "n_jobs": n_jobs,
        "counts": [n_jobs - succeeded - failed - cancelled, 0, 0, 0, succeeded, failed, 0, cancelled, 0],
        "state": entry["state"],
        "complete": complete,
        "lost": False,
        "cancelling": entry["state"] == "cancelled" and not complete,
        "notebook": "",
        "notebook_path": "",
        "cell": "",
        "cost_usd": entry.get("cost"),
        "url": f"{page_url}/batches/{number}",
    }

"""One job of a batch of a service: what the service said of it, and the questions that hailtop's users ask it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from hail_batch_jupyter.client.session import Service
from hail_batch_jupyter.core.answers import exit_code_of, reason_of
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe.running import CONTAINERS

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0


class ServiceJob(dict[str, Any]):
    """The dict that the service answered when the job was asked for; each method asks the service anew."""

    def __init__(self, service: Service, answer: Mapping[str, Any]) -> None:
        super().__init__({"attributes": {}, "reason": reason_of(answer), **answer})
        self._service = service

    @property
    def batch_id(self) -> int:
        """The number of its batch."""
        return int(self["batch_id"])

    @property
    def job_id(self) -> int:
        """Its number in the batch."""
        return int(self["job_id"])

    @property
    def id(self) -> tuple[int, int]:
        """Both numbers."""
        return self.batch_id, self.job_id

    def attributes(self) -> dict[str, str]:
        """Free words about the job."""
        return dict(self["attributes"])

    def status(self) -> dict[str, Any]:
        """What the service says now."""
        return {"attributes": {}, **self._service.job(*self.id)}

    def is_complete(self) -> bool:
        """Whether the job has ended."""
        return self._state().complete

    def is_running(self) -> bool:
        """Whether the job runs."""
        return self._state() is JobState.RUNNING

    def is_pending(self) -> bool:
        """Whether the job waits for others."""
        return self._state() is JobState.PENDING

    def is_ready(self) -> bool:
        """Whether the job waits for a machine."""
        return self._state() is JobState.READY

    def _state(self) -> JobState:
        return JobState(self._service.job(*self.id)["state"])

    def wait(self) -> dict[str, Any]:
        """The status of the job when it has ended; asks more rarely the longer it takes."""
        pause_s, nobody = _FIRST_PAUSE_S, threading.Event()
        while not self.is_complete():
            nobody.wait(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        return self.status()

    def log(self) -> dict[str, str]:
        """Container name -> the whole log as text."""
        return logs_of(self._service, *self.id)

    def container_log(self, container_name: str, attempt_id: str | None = None) -> bytes:
        """The log of one container."""
        return self._service.log(*self.id, container_name, attempt_id)

    def attempts(self) -> list[dict[str, Any]]:
        """The attempts of the job."""
        return self._service.attempts(*self.id)

    def resource_usage(self) -> dict[str, Any]:
        """What each container used, as a table of the service; {} while there is none."""
        return self._service.resource_usage(*self.id)

    @staticmethod
    def exit_code(status: Mapping[str, Any]) -> int | None:
        """The exit code in what `status` gave; None while unknown, and after an error."""
        return exit_code_of(status)

    @staticmethod
    def total_duration_msecs(status: Mapping[str, Any]) -> int | None:
        """Milliseconds that the containers in what `status` gave have run; None while one of them has not ended."""
        containers = ((status.get("status") or {}).get("container_statuses") or {}).values()
        parts = [((container or {}).get("timing") or {}).get("runtime", {}).get("duration") for container in containers]
        return sum(parts) if parts and None not in parts else None


def logs_of(service: Service, batch_id: int, job_id: int) -> dict[str, str]:
    """Container name -> the whole log as text; 'main' always, the others where they have one."""
    texts = {name: service.log(batch_id, job_id, name).decode(errors="replace") for name in CONTAINERS}
    return {name: text for name, text in texts.items() if text or name == "main"}

"""A batch service: submitting, watching, cancelling."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import chain
from typing import Any, NamedTuple

from hail_batch_jupyter.client import calls
from hail_batch_jupyter.client.calls import Call
from hail_batch_jupyter.client.transport import Transport
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.core.wire import BUNCH_BYTES, BUNCH_GROUPS, NO_GROUPS, batch_json, body, bunches, fast_body, groups_json, update_json
from hail_batch_jupyter.errors import ServiceError

PARALLEL_BUNCHES = 6
MOST_A_PAGE = 2000
"""Jobs that are asked for at once."""


class Submitted(NamedTuple):
    """Where the jobs of a submission are: their numbers begin with `start_job_id`; `fast` when it was one request.

    groups   number of a group in the description -> its number at the service, also of those that were there before
    """

    batch_id: int
    start_job_id: int
    fast: bool
    groups: Mapping[int, int] = NO_GROUPS


class Service:
    """The calls of one service; every method may be called from any thread.

    Each raises ServiceError for what the service refuses.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def json(self, call: Call, stop: threading.Event | None = None) -> Any:
        """The answer as a value; None for an empty one."""
        answer = self.transport.send(call, stop)
        try:
            return json.loads(answer) if answer.strip() else None
        except ValueError as error:
            raise ServiceError(f"{call.method} {call.path} was answered by no JSON; check the setting 'domain'", 200, *call[:2]) from error

    # submitting

    def submit(self, spec: BatchSpec, token: str) -> Submitted:
        """A new batch; the same token again gives the same batch.

        Raises SubmitError, with nothing posted, for a job that is too large.
        """
        head = batch_json(spec, token)
        groups = groups_json(spec.groups, {}, new_batch=True)
        first, more, parts = _look_ahead(bunches(spec, new_batch=True))
        if first is None:
            return Submitted(self.json(calls.create(body(head)))["id"], 1, True)
        if not more and _fits(first, groups):
            made = self.json(calls.create_fast(fast_body(first, body(groups), "batch", head)))
            return _submitted(made["id"], made, True, spec, {})
        made = self.json(calls.create(body(head)))
        self._fill(made["id"], made["update_id"], groups, parts)
        return _submitted(made["id"], made, False, spec, {})

    def append(self, batch_id: int, spec: BatchSpec, token: str, there: Mapping[int, int] = NO_GROUPS) -> Submitted:
        """More jobs for a batch; the same token again adds nothing more. `there` are the service's numbers of groups that it has already."""
        groups = groups_json(spec.groups, there, new_batch=False)
        head = update_json(len(spec.jobs), token, len(groups))
        first, more, parts = _look_ahead(bunches(spec, new_batch=False, there=there))
        if first is not None and not more and _fits(first, groups):
            made = self.json(calls.update_fast(batch_id, fast_body(first, body(groups), "update", head)))
            return _submitted(batch_id, made, True, spec, there)
        made = self.json(calls.create_update(batch_id, body(head)))
        self._fill(batch_id, made["update_id"], groups, parts)
        return _submitted(batch_id, made, False, spec, there)

    def _fill(self, batch_id: int, update_id: int, groups: Sequence[Any], parts: Iterator[bytes]) -> None:
        """Post the groups, parents first, then the jobs, several bunches at once and no more in memory; then let them run."""
        for begin in range(0, len(groups), BUNCH_GROUPS):
            self.transport.send(calls.create_groups(batch_id, update_id, body(groups[begin : begin + BUNCH_GROUPS])))
        stop = threading.Event()
        with ThreadPoolExecutor(PARALLEL_BUNCHES) as pool:
            pending: set[Future[bytes]] = set()
            try:
                for part in parts:
                    if len(pending) == PARALLEL_BUNCHES:
                        done, pending = wait(pending, return_when=FIRST_COMPLETED)
                        for future in done:
                            future.result()
                    pending.add(pool.submit(self.transport.send, calls.create_jobs(batch_id, update_id, part), stop))
                for future in pending:
                    future.result()
            except BaseException:
                stop.set()
                raise
        self.json(calls.commit(batch_id, update_id))

    # reading

    def batch(self, batch_id: int) -> dict[str, Any]:
        """Status of a batch."""
        found: dict[str, Any] = self.json(calls.get_batch(batch_id))
        return found

    def wait(self, batch_id: int, seen: str, timeout_s: float) -> dict[str, Any]:
        """Status of a batch as soon as its mark is not the one that was seen, or after `timeout_s`; 'jobs' in it, if it is there, are those that changed."""
        found: dict[str, Any] = self.json(calls.wait(batch_id, seen, timeout_s))
        return found

    def batches(self, last_batch_id: int | None = None) -> dict[str, Any]:
        """A page of the user's own batches, newest first: {'batches': […]}, and 'last_batch_id' to ask on with when there are more."""
        found: dict[str, Any] = self.json(calls.list_batches(last_batch_id))
        return found

    def jobs(self, batch_id: int, q: str = "", version: int = 1, last_job_id: int | None = None) -> Iterator[dict[str, Any]]:
        """Entries of the list of jobs in the order of their numbers, a page a request."""
        for page in self.job_pages(batch_id, q, version, last_job_id):
            yield from page

    def job_pages(self, batch_id: int, q: str = "", version: int = 1, last_job_id: int | None = None) -> Iterator[list[dict[str, Any]]]:
        """The same by page: of fifty, or of up to MOST_A_PAGE where the service gives as many as are asked for."""
        while True:
            page = self.json(calls.list_jobs(batch_id, q, version, last_job_id, MOST_A_PAGE))
            yield page["jobs"]
            last_job_id = page.get("last_job_id")
            if last_job_id is None:
                return

    def job(self, batch_id: int, job_id: int) -> dict[str, Any]:
        """All that is known of a job."""
        found: dict[str, Any] = self.json(calls.get_job(batch_id, job_id))
        return found

    def attempts(self, batch_id: int, job_id: int) -> list[dict[str, Any]]:
        """The attempts of a job."""
        return self.json(calls.attempts(batch_id, job_id)) or []

    def log(self, batch_id: int, job_id: int, container: str, attempt_id: str | None = None, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of the log of a container, from `start` on, which counts from the end when it is negative.

        b'' while there is none, and for a container that the job does not have. A service that gives whole logs only is asked for that.
        """
        try:
            return self.transport.send(calls.container_log(batch_id, job_id, container, attempt_id)._replace(part=(start, length)))
        except ServiceError as error:
            if _has_none(error):
                return b""
            raise

    def log_size(self, batch_id: int, job_id: int, container: str, attempt_id: str | None = None) -> int:
        """Bytes of the log of a container as it is now; 0 where `log` gives b''."""
        try:
            return self.transport.size(calls.container_log(batch_id, job_id, container, attempt_id))
        except ServiceError as error:
            if _has_none(error):
                return 0
            raise

    def resource_usage(self, batch_id: int, job_id: int) -> dict[str, Any]:
        """Tables of what the containers of a job used, {} while there are none."""
        return self.json(calls.resource_usage(batch_id, job_id)) or {}

    def default_region(self) -> str | None:
        """The region of jobs that name none; None where the service knows no regions."""
        try:
            return self.transport.send(calls.default_region()).decode().strip() or None
        except ServiceError as error:
            if error.status == 404:
                return None
            raise

    def where(self) -> str:
        """Where jobs run, as in 'jobs run on Slurm, partition main'; '' for a service that does not tell."""
        try:
            return str(self.json(calls.place())["words"])
        except ServiceError as error:
            if error.status == 404:
                return ""
            raise

    def storage(self) -> dict[str, Any] | None:
        """Where the service keeps files of this user: `remote_tmpdir`, `used_bytes`, `quota_bytes`; None for a service that keeps none."""
        try:
            found: dict[str, Any] = self.json(calls.storage())
        except ServiceError as error:
            if error.status == 404:
                return None
            raise
        return found

    def supported_regions(self) -> list[str]:
        """The regions that jobs may name."""
        return list(self.json(calls.supported_regions()))

    # money

    def billing_projects(self) -> list[dict[str, Any]]:
        """The billing projects that the user may see."""
        return list(self.json(calls.billing_projects()))

    def spent(self, start: str | None = None, end: str | None = None, *, by_resource: bool = False) -> list[dict[str, Any]]:
        """What was spent between two days ('MM/DD/YYYY'), by project and user, and by resource; from the first of this month until today if no day is named."""
        today = time.gmtime()
        days = start or time.strftime("%m/01/%Y", today), end or time.strftime("%m/%d/%Y", today)
        return list(self.json(calls.billing(*days, by_resource=by_resource)))

    # ending

    def cancel(self, batch_id: int, group_id: int = 0) -> None:
        """Cancel a batch, or a group of it."""
        self.transport.send(calls.cancel(batch_id, group_id))

    def delete(self, batch_id: int) -> None:
        """Delete a batch; one that is gone already is fine."""
        try:
            self.transport.send(calls.delete(batch_id))
        except ServiceError as error:
            if error.status != 404:
                raise


def _fits(bunch: bytes, groups: Sequence[Any]) -> bool:
    """Whether groups and jobs are few enough for one request."""
    return len(groups) <= BUNCH_GROUPS and len(bunch) + len(body(groups) if groups else b"") < BUNCH_BYTES


def _submitted(batch_id: int, made: Mapping[str, Any], fast: bool, spec: BatchSpec, there: Mapping[int, int]) -> Submitted:
    new = [group.group_id for group in spec.groups if group.group_id not in there]
    start = made.get("start_job_group_id") or 1
    return Submitted(batch_id, made["start_job_id"], fast, {**there, **{number: start + n for n, number in enumerate(new)}})


def _look_ahead(parts: Iterator[bytes]) -> tuple[bytes | None, bool, Iterator[bytes]]:
    """The first bunch, whether there is another, and all of them."""
    first = next(parts, None)
    second = next(parts, None)
    return first, second is not None, chain([part for part in (first, second) if part is not None], parts)


def _has_none(error: ServiceError) -> bool:
    """Whether the job has no such container."""
    return error.status == 400 and "unknown container" in error.body

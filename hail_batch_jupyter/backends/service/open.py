"""A batch of a service with the jobs that the service lists, whoever submitted it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hail_batch_jupyter.backends.service.run import ServiceRun
from hail_batch_jupyter.client.session import Service, Submitted
from hail_batch_jupyter.core.spec import BatchSpec, Edge, JobSpec
from hail_batch_jupyter.errors import CapabilityError

MOST_JOBS = 200_000
MOST_BY_FIFTIES = 5_000
"""Where a service lists fifty jobs a request, at fifty milliseconds or more; more than these take minutes."""
_FIFTY = 50


def open_batch(service: Service, batch_id: int, page_url: str, most_jobs: int = MOST_JOBS) -> ServiceRun:
    """The handle on a batch with a job for each that the service lists; which one waits for which is known where the list says so.

    Raises CapabilityError when there are more than `most_jobs`, or MOST_BY_FIFTIES of a service that lists fifty a request; ServiceError with
    status 404 when there is no such batch.
    """
    status = service.batch(batch_id)
    pages = service.job_pages(batch_id)
    entries = next(pages)
    most = most_jobs if len(entries) > _FIFTY else min(most_jobs, MOST_BY_FIFTIES)
    if status["n_jobs"] > most:
        why = "" if most == most_jobs else ", since this service lists fifty a request"
        raise CapabilityError(f"batch {batch_id} has {status['n_jobs']} jobs, and up to {most} are shown here{why}; look at {page_url}/batches/{batch_id}")
    for page in pages:
        entries += page
    del entries[most:]
    attributes = dict(status.get("attributes") or {})
    jobs = tuple(_job(entry) for entry in entries)
    spec = BatchSpec(attributes.get("name"), jobs, attributes, billing_project=status.get("billing_project"))
    made = Submitted(batch_id, 1, False)
    run = ServiceRun(service, made, spec, token=str(status.get("token") or ""), page_url=page_url, remote="", kept=False)
    run.begin(status, entries)
    return run


def _job(entry: Mapping[str, Any]) -> JobSpec:
    parents = tuple(Edge(int(parent)) for parent in entry.get("parent_ids") or ())
    return JobSpec(int(entry["job_id"]), "", entry.get("name") or None, "bash", (), "", parents=parents, always_run=bool(entry.get("always_run")))

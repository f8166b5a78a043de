"""A batch of a service with the jobs that the service lists, whoever submitted it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from hail_batch_jupyter.backends.service_run import ServiceRun
from hail_batch_jupyter.client.session import Service, Submitted
from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.errors import CapabilityError

MOST_JOBS = 5000
"""Batches with more jobs are not opened in a widget: the service lists fifty a request."""


def open_batch(service: Service, batch_id: int, page_url: str, most_jobs: int) -> ServiceRun:
    """The handle on a batch with a job for each that the service lists, fifty a request; which job waits for which, the list does not say.

    Raises CapabilityError when there are more than `most_jobs`, ServiceError with status 404 when there is no such batch.
    """
    status = service.batch(batch_id)
    if status["n_jobs"] > most_jobs:
        raise CapabilityError(f"batch {batch_id} has {status['n_jobs']} jobs, and up to {most_jobs} are shown here; look at {page_url}/batches/{batch_id}")
    attributes = dict(status.get("attributes") or {})
    entries = list(islice(service.jobs(batch_id), most_jobs))
    jobs = tuple(_job(entry) for entry in entries)
    spec = BatchSpec(attributes.get("name"), jobs, attributes, billing_project=status.get("billing_project"))
    made = Submitted(batch_id, 1, False)
    run = ServiceRun(service, made, spec, token=str(status.get("token") or ""), page_url=page_url, remote="", kept=False)
    run.begin(status, entries)
    return run


def _job(entry: Mapping[str, Any]) -> JobSpec:
    return JobSpec(int(entry["job_id"]), "", entry.get("name") or None, "bash", (), "")

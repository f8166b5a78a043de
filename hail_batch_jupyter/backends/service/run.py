"""The handle on a batch of a service: what RunningBatch offers, and what the service itself says."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.backends.service.cost import job_costs_told, told_by_service
from hail_batch_jupyter.backends.service.job import ServiceJob, logs_of
from hail_batch_jupyter.client.port import ServicePort
from hail_batch_jupyter.client.session import Service, Submitted
from hail_batch_jupyter.core.spec import SCRATCH, BatchSpec
from hail_batch_jupyter.errors import BatchException, RunLostError, ServiceError
from hail_batch_jupyter.observe.running import RunningBatch

if TYPE_CHECKING:
    from hail_batch_jupyter.cost.account import JobCost, RunCost


class ServiceRun(RunningBatch):
    """Jobs that were submitted to a batch of a service, and the batch that they are in.

    `spec` holds the jobs of this submission with the numbers that the service gave them; `status`, `jobs`, `get_job` and the
    logs are of the whole batch.

    token       what made the submission happen once
    scratches   shared folders of this and of earlier submissions to the batch
    kept_files  URIs of intermediate files that stay after their jobs
    """

    def __init__(self, service: Service, submitted: Submitted, spec: BatchSpec, *, token: str, page_url: str, remote: str, kept: bool) -> None:
        port = ServicePort(service, submitted.batch_id, [job.job_id for job in spec.jobs], submitted.groups)
        super().__init__(submitted.batch_id, spec, port, kept=kept, backend="service", runs_on="the batch service")
        self.url = f"{page_url}/batches/{submitted.batch_id}"
        self.token = token
        self.remote_scratch = remote or None
        self.kept_files: frozenset[str] = frozenset()
        self.scratches: tuple[str, ...] = ()
        self.is_created = True
        self.used_fast_path = submitted.fast
        self.group_numbers = submitted.groups
        self.begin = port.begin
        self._log_size = port.log_size
        self._waits_for: Callable[[], str] = lambda: port.waits_for
        self._service = service
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._fetching = threading.Lock()
        self._status: dict[str, Any] = {}

    @property
    def _submission_info(self) -> ServiceRun:
        """hailtop's name for what tells how the jobs were posted."""
        return self

    @property
    def waits_for(self) -> str:
        """What jobs of the batch wait for that could begin: a quota, or a share of the machine; '' mostly, and of services that do not tell."""
        return self._waits_for()

    def status(self) -> dict[str, Any]:
        """What the service says of the batch now."""
        status = self._service.batch(self.id)
        self._status = {"attributes": {}, **status}
        return dict(self._status)

    def last_known_status(self) -> dict[str, Any]:
        """The last `status()`, asked for if there was none."""
        return dict(self._status) if self._status else self.status()

    def jobs(self, q: str | None = None, version: int | None = None, last_job_id: int | None = None) -> Iterator[dict[str, Any]]:
        """One dict a job of the batch; `q` is a query in the service's language of that version (1).

        A service lists no attributes, so they are there for jobs of this submission, and empty for others.
        """
        first = self.spec.jobs[0].job_id if self.spec.jobs else 1
        for entry in self._service.jobs(self.id, q or "", version or 1, last_job_id):
            place = entry["job_id"] - first
            own = self.spec.jobs[place] if 0 <= place < len(self.spec.jobs) else None
            yield {"attributes": {**own.attributes, "name": own.display_name} if own is not None else {}, **entry}

    def get_job(self, job_id: int) -> ServiceJob:
        """All that the service knows of a job: a dict that can also be asked again.

        Raises BatchException when the batch has no such job.
        """
        try:
            return ServiceJob(self._service, self._service.job(self.id, job_id))
        except ServiceError as error:
            if error.status != 404:
                raise
            raise BatchException(f"batch {self.id} has no job {job_id}; its jobs are 1 to {self.status()['n_jobs']}") from error

    def get_job_log(self, job_id: int) -> dict[str, str]:
        """Container name -> the whole log as text."""
        return logs_of(self._service, self.id, job_id)

    def log_size(self, job_id: int, container: str = "main", attempt: int | None = None) -> int:
        """Bytes of a log as it is now, 0 where there is none; the log is not fetched for it, where the service knows parts."""
        return self._log_size(job_id, container, attempt)

    def debug_info(self) -> dict[str, Any]:
        """The status of the batch, and log and status of each job; a request for each, so slow for large batches."""
        jobs = [{"log": self.get_job_log(entry["job_id"]), "status": self.get_job(entry["job_id"])} for entry in self.jobs()]
        return {"status": self.status(), "jobs": jobs}

    def wait(
        self,
        timeout_s: float | None = None,
        job_ids: Sequence[int] | None = None,
        *,
        disable_progress_bar: bool = False,
        description: str = "",
        progress: object = None,
        starting_job: int = 1,
    ) -> dict[str, Any]:
        """As RunningBatch.wait; the last four are taken for hailtop's callers, and nothing is drawn."""
        return super().wait(timeout_s, job_ids)

    def file(self, relative: str) -> Path:
        """The file at a path below scratch: in the shared folder, or a copy of it here that is removed when this process ends.

        Raises RunLostError with a remedy for a file that the job did not leave, StorageError when it cannot be fetched.
        """
        from hail_batch_jupyter.storage.router import file_system

        inside = relative.removeprefix(SCRATCH + "/")
        uri = f"{self.remote_scratch}/{inside}"
        if uri not in self.kept_files:
            remedy = "write it out with write_output, or keep files with run(delete_scratch_on_exit=False)"
            raise RunLostError(f"{relative!r} of batch {self.id} was not kept; {remedy}")
        if uri.startswith("file://"):
            return Path(uri.removeprefix("file://"))
        with self._fetching:
            self._folder = self._folder or tempfile.TemporaryDirectory(prefix="hail-batch-jupyter-")
            path = Path(self._folder.name, inside)
            if not path.exists():
                file_system(uri).download(uri, str(path))
        return path

    def forget_files(self) -> None:
        """Remove what this submission left in its shared folder, and the copies here."""
        from hail_batch_jupyter.storage.router import file_system

        if self.remote_scratch is not None:
            file_system(self.remote_scratch).remove(self.remote_scratch)
        if self._folder is not None:
            self._folder.cleanup()

    def costs(self) -> RunCost:
        """What the service says: of the jobs of this submission that have ended by stage, of the whole batch until now by part."""
        return told_by_service(self.spec, self.snapshot(), self.last_known_status(), self.runs_on)

    def job_costs(self) -> list[JobCost]:
        """What the service said of each job of this submission when it ended."""
        return job_costs_told(self.spec, self.snapshot())

    def cost_text(self) -> str:
        """What the jobs of this submission that have ended cost."""
        return f"${self._snapshot.cost_usd:.4f} on {self.runs_on}"

"""Private names of hailtop's jobs that existing code touches, as views of what the drafts say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from hail_batch_jupyter.core.files import FileKind, FileRef

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.base_job import Job
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.batch.resource import Resource
    from hail_batch_jupyter.core.draft import JobDraft


class HailtopNames:
    """The part of a Job that only such code uses; sets of files are made anew at each look."""

    job_draft: JobDraft
    job_batch: Batch

    @property
    def _job_id(self) -> int | None:
        return self.job_draft.job_id

    @property
    def _submitted(self) -> bool:
        return self.job_draft.submitted

    @property
    def _dirname(self) -> str:
        from hail_batch_jupyter.compile.paths import Paths

        return Paths(self.job_batch.draft).directory(self.job_draft.uid)

    @property
    def _dependencies(self) -> set[Job]:
        uids = {*self.job_draft.depends_on, *(ref.owner for ref in self.job_draft.reads if ref.made_by_job)}
        return {self.job_batch.job_of(uid) for uid in uids}

    @property
    def _inputs(self) -> set[Resource]:
        return {self.job_batch.resource_of(ref) for ref in self.job_draft.reads}

    @property
    def _internal_outputs(self) -> set[Resource]:
        readers = [job for job in self.job_batch.draft.jobs.values() if job is not self.job_draft]
        return {self.job_batch.resource_of(ref) for job in readers for ref in job.reads if self._makes(ref)}

    @property
    def _external_outputs(self) -> set[Resource]:
        outputs = [*self.job_batch.draft.outputs, *self.job_draft.outputs]
        return {self.job_batch.resource_of(output.ref) for output in outputs if self._makes(output.ref)}

    @property
    def _mentioned(self) -> set[Resource]:
        names = [name for name, file in self.job_draft.files.items() if file.defined]
        return {cast("Job", self)[name] for name in names}

    @property
    def _client_job(self) -> Any:
        """The job's handle in the newest run, None before it ran."""
        running, job_id = self.job_batch.last_run, self.job_draft.job_id
        return None if running is None or job_id is None else running.get_job(job_id)

    def _makes(self, ref: FileRef) -> bool:
        return ref.owner == self.job_draft.uid and ref.kind not in (FileKind.INPUT, FileKind.INPUT_GROUP)

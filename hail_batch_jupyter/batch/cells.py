"""Jobs that are described again and again: the part of a Batch that notebooks use."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.batch.bash_job import BashJob
from hail_batch_jupyter.batch.files import BatchFiles, makes, names_made
from hail_batch_jupyter.batch.python_job import PythonJob
from hail_batch_jupyter.core.draft import JobDraft, with_entry
from hail_batch_jupyter.errors import BatchException, GraphError

if TYPE_CHECKING:
    from os import PathLike

    from hail_batch_jupyter.batch.base_job import Job
    from hail_batch_jupyter.core.files import FileRef


class BatchCells(BatchFiles):
    """Jobs are staged, filled, and then put in the place of what the same cell said before."""

    def stage_bash_job(self, name: str | None, replaces: Job | None = None, **settings: Any) -> BashJob:
        """A bash job that is not yet in the batch; `put_job` puts it there.

        `settings` are names of setters with their values ('depends_on': a list of jobs, 'env': a dict), and 'shell', 'attributes'.
        """
        job = self._new_job("bash", name, settings.pop("attributes", None), settings.pop("shell", None), replaces)
        assert isinstance(job, BashJob)
        self._stage(job, settings)
        return job

    def stage_python_job(self, name: str | None, replaces: Job | None = None, **settings: Any) -> PythonJob:
        """A Python job that is not yet in the batch, as `stage_bash_job`."""
        job = self._new_job("python", name, settings.pop("attributes", None), None, replaces)
        assert isinstance(job, PythonJob)
        self._stage(job, settings)
        return job

    def _stage(self, job: Job, settings: Mapping[str, Any]) -> None:
        self._staged[job.job_draft.uid] = job
        for name, value in settings.items():
            if value is None:
                continue
            if name == "env":
                for variable, text in value.items():
                    job.env(variable, text)
            elif name == "depends_on":
                job.depends_on(*value)
            else:
                getattr(job, name)(value)

    def _new_job(self, kind: str, name: str | None, attributes: Mapping[str, str] | None, shell: str | None, replaces: Job | None) -> Job:
        raise NotImplementedError

    def put_job(self, job: Job, outputs: Mapping[str, str | PathLike[str]] | None = None) -> Job:
        """Put a staged job into the batch, in the place of the one that it replaces; gives the job to go on with.

        That is the replaced one, described anew, when it is of the same kind, so that whatever refers to it stays valid.
        `outputs` maps names of files or results to destinations; they are replaced together with the job.
        Raises GraphError when another job reads a file that is not made any more; then nothing has changed.
        """
        draft = job.job_draft
        before = self.draft.jobs.get(draft.uid)
        if before is not None:
            self._check_still_made(before, draft)
        draft.outputs = [self._output_of(job, name, dest) for name, dest in (outputs or {}).items()]
        return self.place(job, before)

    def place(self, job: Job, before: JobDraft | None) -> Job:
        """Put a staged and checked job into the batch, over the description that it had `before`."""
        draft = job.job_draft
        if before is not None:
            self._carry_over(before, draft)
        self._staged.pop(draft.uid, None)
        self.draft.jobs[draft.uid] = draft
        handle = self._handles.get(draft.uid)
        if handle is not None and type(handle) is type(job):
            handle.adopt(draft)
            return handle
        if before is not None:
            before.dropped = True
        self._handles[draft.uid] = job
        return job

    def _output_of(self, job: Job, name: str, dest: str | PathLike[str]) -> Any:
        ref = job[name].file_ref
        if not makes(job.job_draft, ref):
            raise BatchException(f"job {job.job_draft} makes no {name!r} that could be written to {str(dest)!r}; write {{{job.name}.{name}}} in its command")
        return self.checked_output(ref, dest)

    def _check_still_made(self, before: JobDraft, draft: JobDraft) -> None:
        for ref, users in self._readers(before.uid).items():
            check_makes(before, draft, ref, users)

    def _readers(self, uid: int) -> dict[FileRef, list[JobDraft]]:
        readers: dict[FileRef, list[JobDraft]] = {}
        for job in self.draft.jobs.values():
            for ref in job.reads:
                if ref.owner == uid and ref.made_by_job:
                    readers.setdefault(ref, []).append(job)
        return readers

    def _carry_over(self, before: JobDraft, draft: JobDraft) -> None:
        """Keep what other cells said of the job's files: extensions, text forms of results, outputs."""
        self.carry_names(before, draft)
        if draft.kind != "bash" or (names_made(before) == names_made(draft) and before.groups == draft.groups):
            return  # of the jobs of a large stage each would look through the outputs of all
        for output in [output for output in self.draft.outputs if output.ref.owner == draft.uid and output.ref.made_by_job]:
            if not makes(draft, output.ref):
                del self.draft.outputs[output]
                warnings.warn(f"job {draft} no longer makes {output.ref.name!r}, so nothing is written to {output.dest!r} any more", UserWarning, stacklevel=5)

    def carry_names(self, before: JobDraft, draft: JobDraft) -> None:
        """Name the files as other cells want them: extensions and text forms of results."""
        for name, file in before.files.items():
            if name in draft.files and not draft.files[name].extension:
                draft.files = with_entry(draft.files, name, draft.files[name]._replace(extension=file.extension))
        for old in before.calls:
            for call in draft.calls:
                for name in set(call.results) & set(old.forms):
                    call.forms.setdefault(name, list(old.forms[name]))
                    draft.files = {**draft.files, **{f"{name}-{form}": before.files[f"{name}-{form}"] for form in old.forms[name]}}

    def drop_job(self, job: Job, force: bool = False) -> None:
        """Take a job out of the batch.

        Raises GraphError naming the jobs that use it; with `force` they stay, and must be described anew before the next run.
        """
        users = self.users_of(job)
        if users and not force:
            names = ", ".join(str(user.job_draft) for user in users)
            raise GraphError(f"job {job.job_draft} is used by job {names}; drop those first")
        uid = job.job_draft.uid
        self.draft.jobs.pop(uid, None)
        self._handles.pop(uid, None)
        self._staged.pop(uid, None)
        self.draft.outputs = {output: None for output in self.draft.outputs if output.ref.owner != uid or not output.ref.made_by_job}
        job.job_draft.dropped = True

    def users_of(self, job: Job) -> list[Job]:
        """The jobs that read a file of this one or wait for it, in the batch's order."""
        uid = job.job_draft.uid
        return [self._handles[other.uid] for other in self.draft.jobs.values() if other.uid != uid and _uses(other, uid)]

    def job_named(self, name: str) -> Job | None:
        """The newest job of that name, None if there is none."""
        found = [draft.uid for draft in self.draft.jobs.values() if draft.name == name]
        return self._handles[found[-1]] if found else None


def check_makes(before: JobDraft, draft: JobDraft, ref: FileRef, users: Sequence[JobDraft]) -> None:
    """Raise GraphError naming the users unless the new description makes the file, too."""
    if not makes(draft, ref) and not _is_form(before, draft, ref):
        names = ", ".join(str(user) for user in users)
        raise GraphError(
            f"job {draft} no longer makes {ref.name!r}{'.' + ref.member if ref.member else ''}, which job {names} reads; "
            f"make it under that name, or change job {names} first"
        )


def _uses(job: JobDraft, uid: int) -> bool:
    return uid in job.depends_on or any(ref.owner == uid and ref.made_by_job for ref in job.reads)


def _is_form(before: JobDraft, draft: JobDraft, ref: FileRef) -> bool:
    """Whether the file is a text form of a result that the new description makes too."""
    results = {name for call in draft.calls for name in call.results}
    return any(ref.name == f"{name}-{form}" for call in before.calls for name, forms in call.forms.items() if name in results for form in forms)

"""What bash jobs and Python jobs have in common: names, files, dependencies."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from hail_batch_jupyter.batch.files import names_made
from hail_batch_jupyter.batch.hailtop_names import HailtopNames
from hail_batch_jupyter.batch.resource import JobResourceFile, PythonResult, Resource, ResourceGroup
from hail_batch_jupyter.batch.settings import Settings
from hail_batch_jupyter.batch.stage import JobStage, jobs_among
from hail_batch_jupyter.batch.tokens import FILE, GROUP, JOB, RESULT, token_text
from hail_batch_jupyter.core.draft import FileDraft, JobDraft, one_file, with_entry, with_ref
from hail_batch_jupyter.core.files import FileKind, FileRef
from hail_batch_jupyter.errors import BatchException, ForeignJobError

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.batch import Batch

J = TypeVar("J", bound="Job")

_FEW = 8
"""So many files of a job are looked through as fast as a dict finds one."""


class Job(Settings, HailtopNames):
    """One job of a batch; made by `Batch.new_bash_job` and `Batch.new_python_job` only.

    Any other name after the dot, and anything in brackets, is a file of the job: `job.ofile`, `job['ofile']`.
    """

    __iter__ = None
    """Without it, `job[0]`, `job[1]`, … would be files."""

    def __init__(self, batch: Batch, draft: JobDraft) -> None:
        self.job_batch = batch
        self.job_draft = draft
        self._resources: tuple[Resource, ...] | dict[str, Resource] = ()

    # names

    @property
    def name(self) -> str | None:
        """The name; need not be unique.

        >>> j = b.new_job()
        >>> j.name = 'align'
        """
        return self.job_draft.name

    @name.setter
    def name(self, name: str | None) -> None:
        self.job_draft.name = name

    @property
    def attributes(self) -> dict[str, str]:
        """Free words about the job.

        >>> j = b.new_job(attributes={'sample': 'A'})
        >>> j.attributes['lane'] = '2'
        """
        draft = self.job_draft
        if not isinstance(draft.attributes, dict):
            draft.attributes = {**draft.attributes}
        return draft.attributes

    @attributes.setter
    def attributes(self, attributes: dict[str, str]) -> None:
        self.job_draft.attributes = attributes

    def __str__(self) -> str:
        return token_text(JOB, self.job_batch.draft.serial, self.job_draft.uid)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.job_draft.name or self.job_draft.uid}>"

    # files

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}; a file of that name is job[{name!r}]")
        return self[name]

    def __getitem__(self, name: str) -> Any:
        made = self._resources
        found = made.get(name) if isinstance(made, dict) else next((one for one in made if one.file_ref.name == name), None)
        return self._kept(self._new_resource(name)) if found is None else found

    def _kept(self, resource: Resource) -> Resource:
        """Give the resource again when its name is asked for; few of them are a tuple, which takes a quarter of a dict's memory."""
        made = self._resources
        if isinstance(made, dict):
            made[resource.file_ref.name] = resource
        elif len(made) < _FEW:
            self._resources = (*made, resource)
        else:
            self._resources = {one.file_ref.name: one for one in (*made, resource)}
        return resource

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *made_by(self)]

    def _ipython_key_completions_(self) -> list[str]:
        return made_by(self)

    def _made(self) -> dict[str, Resource]:
        made = self._resources
        return made if isinstance(made, dict) else {one.file_ref.name: one for one in made}

    def _forget(self, name: str) -> None:
        """Make the file, group or result of that name anew when it is asked for."""
        self._resources = {known: made for known, made in self._made().items() if known != name}

    def _new_resource(self, name: str) -> Resource:
        if not (isinstance(name, str) and (name.isidentifier() or ("\0" not in name and stays_inside(name)))):
            raise BatchException(f"{name!r} cannot be a file of a job; use a name such as 'out' or 'plots/a.png'")
        draft, batch = self.job_draft, self.job_batch
        if name in draft.groups:
            return self._new_group(name)
        if draft.calls and any(name in call.results for call in draft.calls):
            ref = FileRef(FileKind.RESULT, draft.uid, name)
            return PythonResult(batch, ref, batch.new_token(RESULT, ref))
        ref = FileRef(FileKind.FILE, draft.uid, name)
        return JobResourceFile(batch, ref, batch.new_token(FILE, ref))

    def _new_group(self, name: str) -> ResourceGroup:
        uid, batch = self.job_draft.uid, self.job_batch
        refs = {member: FileRef(FileKind.GROUP, uid, name, member) for member in self.job_draft.groups[name].members}
        files = {member: JobResourceFile(batch, ref, batch.new_token(FILE, ref)) for member, ref in refs.items()}
        ref = FileRef(FileKind.GROUP, uid, name)
        return ResourceGroup(batch, ref, batch.new_token(GROUP, ref), dict(files))

    def adopt(self, draft: JobDraft) -> None:
        """Describe this job by `draft` from now on; files that people hold stay valid."""
        self.job_draft = draft
        known = self._made()
        kept = {name: made for name, made in known.items() if made.file_ref.kind is FileKind.FILE and name not in draft.groups}
        results = {name for call in draft.calls for name in call.results}
        same = {name: made for name, made in known.items() if made.file_ref.kind is FileKind.RESULT and name in results}
        self._resources = {**{name: made for name, made in kept.items() if name not in results}, **same}

    # dependencies

    def depends_on(self, *jobs: Job | JobStage[Any]) -> Self:
        """Wait for the success of these jobs, and of all jobs of a stage, without reading anything of them.

        >>> b = hb.Batch()
        >>> first = b.new_job().command('mkdir -p /tmp/shared')
        >>> second = b.new_job().depends_on(first).command('ls /tmp/shared')

        Raises BatchException for what is no job, ForeignJobError for a job of another batch.
        """
        self._check_open("depends_on")
        for job in jobs_among(jobs):
            self._check_parent(job, "depends_on")
            self.job_draft.depends_on = with_entry(self.job_draft.depends_on, job.job_draft.uid, "success")
        return self

    def after(self, *jobs: Job | JobStage[Any]) -> Self:
        """Wait for the end of these jobs, and of all jobs of a stage, whether they succeed or not; whose files the job reads must succeed all the same.

        >>> from hail_batch_jupyter.batch import Batch
        >>> b = Batch()
        >>> work = b.new_job(name='work').command('exit 1')
        >>> report = b.new_job(name='report').command('echo work has ended').after(work)

        Raises BatchException for what is no job, ForeignJobError for a job of another batch.
        """
        self._check_open("after")
        for job in jobs_among(jobs):
            self._check_parent(job, "after")
            if job.job_draft.uid not in self.job_draft.depends_on:
                self.job_draft.depends_on = with_entry(self.job_draft.depends_on, job.job_draft.uid, "end")
        return self

    def _check_parent(self, job: Job, what: str) -> None:
        if not isinstance(job, Job):
            raise BatchException(f"{what} takes jobs, and {job!r} is a {type(job).__name__}; pass what new_job gave")
        if job.job_batch is not self.job_batch:
            mine, theirs = self.job_batch.title, job.job_batch.title
            raise ForeignJobError(f"job {self.job_draft} of {mine} cannot depend on job {job.job_draft} of {theirs}; make both in the same batch")

    def _check_open(self, what: str) -> None:
        if self.job_draft.dropped:
            raise BatchException(f"job {self.job_draft} was dropped from {self.job_batch.title}; make it again")
        if self.job_draft.submitted:
            raise BatchException(f"{what}: job {self.job_draft} was already submitted and cannot change any more; make a new job")

    def _mention(self, ref: FileRef, warn_level: int) -> None:
        """Note that the job's command or arguments use the file.

        Raises BatchException for a file that nobody makes.
        """
        draft = self.job_draft
        if ref.owner == draft.uid and ref.made_by_job:
            self._define(ref)
        elif ref not in draft.reads:
            self.job_batch.check_readable(ref, draft)
            if draft.always_run and ref.made_by_job:
                owner = self.job_batch.draft.jobs[ref.owner]
                text = f"job {draft} always runs and reads {ref.name!r} of job {owner}; if that fails, the file may be missing and this job fails too"
                warnings.warn(text, UserWarning, stacklevel=warn_level + 1)
            draft.reads = with_ref(draft.reads, ref)

    def _define(self, ref: FileRef) -> None:
        draft = self.job_draft
        if ref.kind is FileKind.FILE:
            known = draft.files.get(ref.name)
            if known is None:
                draft.files = with_entry(draft.files, ref.name, FileDraft(ref.name, "", True)) if draft.files else one_file(ref.name)
            elif not known.defined:
                draft.files = with_entry(draft.files, ref.name, known._replace(defined=True))
        else:
            self.job_batch.check_made(ref, draft)

    # copies and pickles

    def __copy__(self) -> Self:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise BatchException(f"job {self.job_draft} cannot be pickled; pass its files or results to a function instead, such as job.ofile")


def made_by(thing: object) -> list[str]:
    """Names of the files, groups and results that a job, or each job of a stage, makes; of a group those of its members; [] for anything else."""
    if isinstance(thing, JobStage):
        return made_by(thing.jobs[0]) if thing.jobs else []
    if isinstance(thing, ResourceGroup):
        return thing._ipython_key_completions_()
    if not isinstance(thing, Job):
        return []
    return names_made(thing.job_draft)


def stays_inside(name: str) -> bool:
    """Whether a relative path names something below the folder it starts from."""
    return not name.startswith("/") and not {"", ".", ".."} & set(name.split("/"))

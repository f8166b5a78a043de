"""The files of a batch: what is read, made and written, and which text stands for which."""

from __future__ import annotations

import difflib
import itertools
from typing import TYPE_CHECKING, Any, cast

from hail_batch_jupyter.batch.resource import InputResourceFile, JobResourceFile, Resource, ResourceGroup
from hail_batch_jupyter.batch.tokens import BATCH, FILE, GROUP, JOB, Token, token_text
from hail_batch_jupyter.batch.uris import local_destination
from hail_batch_jupyter.core.draft import BatchDraft, FileDraft, InputDraft, JobDraft, OutputDraft, with_entry
from hail_batch_jupyter.core.files import FileKind, FileRef
from hail_batch_jupyter.errors import BatchException, ForeignJobError
from hail_batch_jupyter.storage.uris import shown

if TYPE_CHECKING:
    from os import PathLike

    from hail_batch_jupyter.batch.base_job import Job
    from hail_batch_jupyter.batch.batch import Batch

_FORMS = {"str": ".txt", "json": ".json", "repr": ".txt"}
_SERIALS = itertools.count(1)
"""Batches of this process; a serial is written into tokens so that a file of another batch is recognised, and nowhere else."""


class BatchFiles:
    """The part of a Batch that knows files; jobs and resources speak with their batch through it."""

    draft: BatchDraft

    def __init__(self, draft: BatchDraft) -> None:
        self.draft = draft
        self._refs: list[FileRef] = []
        self._handles: dict[int, Job] = {}
        self._staged: dict[int, Job] = {}
        self._read: dict[int, InputResourceFile | ResourceGroup] = {}
        self._last_uid = 0

    @property
    def title(self) -> str:
        """How messages call the batch."""
        return f"batch {self.draft.name!r}" if self.draft.name else f"the unnamed batch {self.draft.serial}"

    def new_uid(self) -> int:
        """The next number of a job or input in this batch."""
        self._last_uid += 1
        return self._last_uid

    def job_of(self, uid: int) -> Job:
        """The job of that number.

        Raises BatchException if it was dropped.
        """
        job = self._handles.get(uid) or self._staged.get(uid)
        if job is None:
            raise BatchException(f"a job of {self.title} was dropped; make it again before its files are used")
        return job

    def describe(self, ref: FileRef) -> str:
        """'file 'model' of job 'fit'', for messages."""
        if not ref.made_by_job:
            found = self.draft.inputs[ref.owner]
            return f"input {shown((found.members or {}).get(ref.member) or found.path or 'group')!r}"
        what = {FileKind.FILE: "file", FileKind.GROUP: "group", FileKind.RESULT: "result"}[ref.kind]
        job = self._handles.get(ref.owner) or self._staged.get(ref.owner)
        return f"{what} {ref.name!r} of job {job.job_draft if job else 'that was dropped'}"

    # tokens

    def new_token(self, kind: str, ref: FileRef) -> str:
        """New text that stands for the file."""
        self._refs.append(ref)
        return token_text(kind, self.draft.serial, len(self._refs) - 1)

    def resolve_token(self, token: Token, asker: JobDraft) -> FileRef:
        """The file that a token in a command of `asker` stands for.

        Raises BatchException for a job, a batch, or a file of another batch.
        """
        if token.kind in (JOB, BATCH):
            what = "Job" if token.kind == JOB else "Batch"
            raise BatchException(f"found a reference to a {what} object in a command of job {asker}; write one of its files, such as {{job.ofile}}")
        if token.serial != self.draft.serial or token.number >= len(self._refs):
            raise ForeignJobError(
                f"undefined resource in a command of job {asker}: a file in a command must be from the same batch, and {self.title} did not make this one"
            )
        return self._refs[token.number]

    def ref_of(self, resource: Resource) -> FileRef:
        """What the resource stands for.

        Raises ForeignJobError for one of another batch.
        """
        if resource.from_batch is not self:
            what, theirs = resource.from_batch.describe(resource.file_ref), resource.from_batch.title
            raise ForeignJobError(f"undefined resource: {what} belongs to {theirs}, not to {self.title}; it must be from the same batch")
        return resource.file_ref

    def resource_of(self, ref: FileRef) -> Resource:
        """What people write for the file.

        Raises BatchException if its job was dropped.
        """
        found: Resource = self.job_of(ref.owner)[ref.name] if ref.made_by_job else self._read[ref.owner]
        return found[ref.member] if ref.member and isinstance(found, ResourceGroup) else found

    # checks

    def check_readable(self, ref: FileRef, asker: JobDraft) -> None:
        """Raise BatchException unless the file is an input, or some job makes it."""
        if not ref.made_by_job:
            if ref.owner not in self.draft.inputs:
                raise BatchException(f"job {asker} reads an input that {self.title} does not have; read it with read_input of the same batch")
            return
        owner = self.draft.jobs.get(ref.owner)
        if owner is None:
            raise BatchException(f"job {asker} reads {ref.name!r} of a job that is not in {self.title}; make that job first")
        self.check_made(ref, owner)

    def check_made(self, ref: FileRef, owner: JobDraft) -> None:
        """Raise BatchException unless the job says somewhere that it makes the file."""
        if not makes(owner, ref):
            remedy = "pass it to 'call' of that job" if owner.kind == "python" else "mention it in that job's 'command' or 'declare_resource_group'"
            close = difflib.get_close_matches(ref.name, names_made(owner), 3)
            hint = f"did you mean {' or '.join(close)}? Else {remedy}" if close else remedy
            raise BatchException(f"undefined resource {ref.name!r} of job {owner}: nothing in the job makes it; {hint} first")

    # inputs and outputs

    def read_input(self, path: str | PathLike[str]) -> InputResourceFile:
        """A file or folder from outside; nothing is opened now.

        A relative path starts from the folder that is current when the batch runs, and `~` is the home folder.

        >>> b = hb.Batch()
        >>> names = b.read_input('names.txt')
        >>> j = b.new_job().command(f'sort {names}')

        Raises UriError for what is no path, and for an address of an unknown kind.
        """
        uid = self.new_uid()
        self.draft.inputs[uid] = InputDraft(uid, self._place(path))
        file = self._read[uid] = self._input(FileRef(FileKind.INPUT, uid))
        return file

    def read_input_group(self, **kwargs: str | PathLike[str]) -> ResourceGroup:
        """Files from outside that go together, one a keyword; `group.bed` is a member, and the text of the group its root.

        >>> b = hb.Batch()
        >>> study = b.read_input_group(bed='study.bed', bim='study.bim', fam='study.fam')
        >>> j = b.new_job().command(f'plink --bfile {study} --freq && wc -l {study.fam}')
        """
        uid = self.new_uid()
        self.draft.inputs[uid] = InputDraft(uid, members={member: self._place(path) for member, path in kwargs.items()})
        ref = FileRef(FileKind.INPUT_GROUP, uid)
        members = {member: self._input(FileRef(FileKind.INPUT_GROUP, uid, "", member)) for member in kwargs}
        group = self._read[uid] = ResourceGroup(self._as_batch(), ref, self.new_token(GROUP, ref), dict(members))
        return group

    def _place(self, path: object) -> str:
        batch = self._as_batch()
        return batch.backend.check_place(path, batch.requester_pays_project)

    def _input(self, ref: FileRef) -> InputResourceFile:
        return InputResourceFile(self._as_batch(), ref, self.new_token(FILE, ref))

    def _as_batch(self) -> Batch:
        return cast("Batch", self)

    def write_output(self, resource: Resource, dest: str | PathLike[str]) -> None:
        """Write a file, group or result to `dest` when its job has succeeded; may be called for several destinations.

        A path without scheme is resolved now. Members of a group go to `dest.identifier`; a result becomes a pickle that dill reads.

        >>> b = hb.Batch()
        >>> j = b.new_job()
        >>> j = j.command(f'echo hello > {j.ofile}')
        >>> b.write_output(j.ofile, 'out/hello.txt')

        Raises BatchException for what is no resource, and for a file that nobody makes.
        """
        if not isinstance(resource, Resource):
            raise BatchException(f"'write_output' only accepts Resource inputs. Found {resource!r}; pass a file of a job such as job.ofile")
        self.draft.outputs[self.checked_output(self.ref_of(resource), dest)] = None

    def checked_output(self, ref: FileRef, dest: str | PathLike[str]) -> OutputDraft:
        """The output of a file to a destination, after the checks of `write_output`."""
        if ref.made_by_job:
            owner = self.job_of(ref.owner).job_draft
            if owner.kind == "bash" or ref.kind is not FileKind.FILE:
                self.check_made(ref, owner)
            if owner.submitted:
                raise BatchException(f"write_output: job {owner} was already submitted; write its files out before the batch runs")
        return OutputDraft(ref, local_destination(self._place(dest)))

    # what resources ask for

    def add_extension(self, ref: FileRef, extension: str) -> None:
        """Append the extension to the name of a job's file; a second one is refused."""
        if not isinstance(extension, str) or not extension or {"/", "\0"} & set(extension):
            raise BatchException(f"extension {extension!r} cannot end a file name; write one such as '.txt'")
        owner = self.job_of(ref.owner).job_draft
        if owner.submitted:
            raise BatchException(f"add_extension: job {owner} was already submitted; add the extension before the batch runs")
        if ref.kind is FileKind.GROUP:
            taken = owner.groups[ref.name].extensions.get(ref.member, "")
        else:
            taken = owner.files.get(ref.name, FileDraft(ref.name)).extension
        if taken:
            raise BatchException(f"{self.describe(ref)} already has a file extension, {taken!r}; add one only")
        if ref.kind is FileKind.GROUP:
            owner.groups[ref.name].extensions[ref.member] = extension
        else:
            owner.files = with_entry(owner.files, ref.name, owner.files.get(ref.name, FileDraft(ref.name))._replace(extension=extension))

    def result_as(self, ref: FileRef, form: str) -> JobResourceFile:
        """The text file of a result; the job writes it because somebody asked."""
        job = self.job_of(ref.owner)
        draft, name = job.job_draft, f"{ref.name}-{form}"
        self.check_made(ref, draft)
        if name not in draft.files:
            if draft.submitted:
                raise BatchException(f"as_{form}: job {draft} was already submitted; ask for the file before the batch runs")
            next(call for call in draft.calls if ref.name in call.results).forms.setdefault(ref.name, []).append(form)
            draft.files = with_entry(draft.files, name, FileDraft(name, _FORMS[form], True))
        file: Any = job[name]
        assert isinstance(file, JobResourceFile)
        return file


def makes(job: JobDraft, ref: FileRef) -> bool:
    """Whether the job says that it makes the file, group, member or result."""
    if ref.kind is FileKind.FILE:
        return ref.name in job.files and job.files[ref.name].defined
    if ref.kind is FileKind.GROUP:
        return ref.name in job.groups and (not ref.member or ref.member in job.groups[ref.name].members)
    return any(ref.name in call.results for call in job.calls)


def names_made(job: JobDraft) -> list[str]:
    """Names of the files, groups and results that the job makes."""
    return [file.name for file in job.files.values() if file.defined] + list(job.groups) + [result for call in job.calls for result in call.results]


def new_serial() -> int:
    """The number of the next batch of this process."""
    return next(_SERIALS)

"""How a script writes the jobs, stages and files of its batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hail_batch_jupyter.batch.stage import StageFiles
from hail_batch_jupyter.core.draft import BatchDraft
from hail_batch_jupyter.core.files import FileKind, FileRef

_FORM = re.compile(r"(.+)-(str|json|repr)")


class References:
    """Expressions of what the script has described so far.

    jobs    uid -> expression, `fit` or `fit[3]`        inputs  uid -> variable
    stages  uids of its jobs -> variable
    """

    def __init__(self, draft: BatchDraft) -> None:
        self._draft = draft
        self.jobs: dict[int, str] = {}
        self.inputs: dict[int, str] = {}
        self.stages: dict[tuple[int, ...], str] = {}
        self._in_loop: int | None = None

    @contextmanager
    def loop_over(self, uid: int) -> Iterator[None]:
        """Write `job` for this one."""
        self._in_loop = uid
        try:
            yield
        finally:
            self._in_loop = None

    def jobs_text(self, uids: Sequence[int]) -> str:
        """Jobs as arguments; a stage by its name."""
        whole = self.stages.get(tuple(uids))
        return whole or ", ".join([self.jobs[uid] for uid in uids])

    def file(self, ref: FileRef) -> str:
        """A file, group, member or result."""
        if not ref.made_by_job:
            return _member(self.inputs[ref.owner], ref)
        return _member(self._made("job" if ref.owner == self._in_loop else self.jobs[ref.owner], ref), ref)

    def _made(self, job: str, ref: FileRef) -> str:
        form = _FORM.fullmatch(ref.name)
        owners = [self._draft.jobs[ref.owner]] if ref.owner in self._draft.jobs else []
        if form and ref.kind is FileKind.FILE and any(form[1] in call.results for draft in owners for call in draft.calls):
            return f"{job}[{form[1]!r}].as_{form[2]}()"
        is_name = ref.name.isidentifier() and not ref.name.startswith("_") and ref.kind is not FileKind.RESULT and not _is_method(ref.name)
        return f"{job}.{ref.name}" if is_name else f"{job}[{ref.name!r}]"

    def files(self, refs: tuple[FileRef, ...]) -> list[str]:
        """Several files: one expression where they are those of a stage, else one each."""
        stage = self.stages.get(tuple([ref.owner for ref in refs]))
        if stage is not None and len({ref._replace(owner=0) for ref in refs}) == 1 and refs[0].made_by_job:
            return [_member(self._made(stage, refs[0]), refs[0])]
        return [self.file(ref) for ref in refs]

    def stage_files(self, files: StageFiles) -> str:
        """The files of a stage as a list."""
        texts = self.files(tuple([file.file_ref for file in files]))
        return texts[0] if len(texts) == 1 and len(files) > 1 else f"[{', '.join(texts)}]"


def _member(text: str, ref: FileRef) -> str:
    if not ref.member:
        return text
    return f"{text}.{ref.member}" if ref.member.isidentifier() and not ref.member.startswith("_") else f"{text}[{ref.member!r}]"


def _is_method(name: str) -> bool:
    """Whether a job has something else of that name."""
    from hail_batch_jupyter.batch.job import BashJob, PythonJob
    from hail_batch_jupyter.batch.stage import JobStage

    return any(hasattr(kind, name) for kind in (BashJob, PythonJob, JobStage)) or name in ("jobs", "items", "name", "job_batch", "job_draft")

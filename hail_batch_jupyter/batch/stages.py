"""Stages of a batch: making them in one call, and describing them again and again as notebooks do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from hail_batch_jupyter.batch.bash_job import BashJob
from hail_batch_jupyter.batch.cells import BatchCells, check_makes
from hail_batch_jupyter.batch.python_job import PythonJob
from hail_batch_jupyter.batch.rewire import Shape, rewired
from hail_batch_jupyter.batch.stage import JobStage, jobs_among, stage_names
from hail_batch_jupyter.core.draft import BatchDraft, JobDraft
from hail_batch_jupyter.errors import BatchException, GraphError

if TYPE_CHECKING:
    from os import PathLike

    from hail_batch_jupyter.batch.base_job import Job
    from hail_batch_jupyter.batch.batch import Batch

Outputs = Mapping[str, "str | PathLike[str]"]


class BatchStages(BatchCells):
    """The part of a Batch that knows stages; `stages` holds the newest of each name."""

    def __init__(self, draft: BatchDraft) -> None:
        super().__init__(draft)
        self.stages: dict[str, JobStage[Any]] = {}

    def map(self, name: str, items: Iterable[Any], work: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> JobStage[Any]:
        """One job for each item; gives the stage, a sequence of the jobs.

        A function is called as `work(item, *args, **kwargs)`, like `map` of Python: a tuple or dict is one argument. What stands behind it
        is the same in each job, and may be a file or result, as in `PythonJob.call`; `stage.results` are the results.

        >>> squares = b.map('square', range(3), pow, 2)
        >>> total = b.new_python_job('total').call(sum, squares.results)

        A text is a command, in which `{item}` is the item, quoted for the place where it stands, or the path of a file, and `{job.out}`
        a file that the job makes; `{item[0]}`, `{item[name]}` and `{item.name}` are parts of it. All other braces stay for the shell.

        >>> words = b.map('word', ['to be', 'or not'], 'echo {item} > {job.out}')
        >>> text = b.new_job('text').command(f'cat {words.out}')

        Raises BatchException for an item that cannot stand in the command, or does not fit the function; then no job was made.
        """
        if isinstance(items, (str, bytes)):
            raise BatchException(f"map {name!r}: the items are {items!r}, one {type(items).__name__}; pass a list, such as [{items!r}]")
        if not isinstance(work, str) and not callable(work):
            raise TypeError(f"map {name!r} takes a command or a function, and {work!r} is a {type(work).__name__}")
        if isinstance(work, str) and (args or kwargs):
            raise TypeError(f"map {name!r}: only a function takes more arguments; put them into the items or into the text of the command")
        values = list(items)
        jobs = [self._new_job("bash" if isinstance(work, str) else "python", one, {"stage": name}, None, None) for one in stage_names(name, len(values))]
        self._staged.update({job.job_draft.uid: job for job in jobs})
        try:
            _describe(jobs, values, work, args, kwargs)
        except BaseException:
            for job in jobs:
                self._staged.pop(job.job_draft.uid)
            raise
        for job in jobs:
            self.place(job, None)
        self.stages[name] = JobStage(cast("Batch", self), name, jobs, values)
        return self.stages[name]

    def stage_of_uid(self) -> dict[int, JobStage[Any]]:
        """The stage of each job that belongs to one, by the job's uid."""
        return {job.job_draft.uid: stage for stage in self.stages.values() for job in stage}

    def put_stage(
        self, name: str, staged: Sequence[Job], items: Sequence[Any], outputs: Sequence[Outputs], replaces: Job | JobStage[Any] | None
    ) -> JobStage[Any]:
        """Put staged jobs into the batch as a stage, in the place of the job or stage that it replaces; gives the stage to go on with.

        Jobs replace those of the same index; further ones are added or dropped. A job that reads a file of all of the stage, or waits for
        all of it, does so with the new one.
        Raises GraphError when another job uses what is not made any more; then nothing has changed.
        """
        stage = replaces if isinstance(replaces, JobStage) else JobStage(cast("Batch", self), name, staged, items)
        placed = self._exchange(staged, outputs, replaces, stage)
        stage.adopt(placed, items)
        self.stages[name] = stage
        return stage

    def put_alone(self, job: Job, outputs: Outputs, replaces: JobStage[Any]) -> Job:
        """Put one staged job in the place of a stage, as `put_stage`."""
        (placed,) = self._exchange([job], [outputs], replaces, job)
        self.stages.pop(replaces.name, None)
        return placed

    def _exchange(self, staged: Sequence[Job], outputs: Sequence[Outputs], replaces: Job | JobStage[Any] | None, made: Any) -> list[Job]:
        before = {} if replaces is None else {job.job_draft.uid: job.job_draft for job in jobs_among([replaces]) if job.job_draft.uid in self.draft.jobs}
        drafts = {job.job_draft.uid: job.job_draft for job in staged}
        users = self._rewired_users(Shape(replaces, tuple(before)), Shape(made, tuple(drafts)))
        self._check_users(before, drafts, users)
        writes = [[self._output_of(job, name, dest) for name, dest in mine.items()] for job, mine in zip(staged, outputs, strict=True)]
        for draft, mine in zip(drafts.values(), writes, strict=True):
            draft.outputs = mine
        first = next(iter(before.values()), None)
        placed = [self.place(job, self.draft.jobs.get(job.job_draft.uid)) for job in staged]
        for uid in drafts.keys() - before.keys() if first is not None else ():
            self.carry_names(cast(JobDraft, first), drafts[uid])
        for uid, user in users.items():
            self.draft.jobs[uid] = user
            self._handles[uid].adopt(user)
        self._remove([uid for uid in before if uid not in drafts])
        return placed

    def _rewired_users(self, old: Shape, new: Shape) -> dict[int, JobDraft]:
        """The other jobs that have to be described anew, by uid."""
        if old.uids == new.uids and old.many == new.many:
            return {}
        uids = set(old.uids)
        users = [job for job in self.draft.jobs.values() if job.uid not in uids and _used_by(job) & uids]
        changed = {user.uid: rewired(user, old, new) for user in users}
        return {user.uid: changed[user.uid] for user in users if changed[user.uid] is not user}

    def _check_users(self, before: Mapping[int, JobDraft], drafts: Mapping[int, JobDraft], users: Mapping[int, JobDraft]) -> None:
        """Raise GraphError for a job that uses what the cell no longer makes."""
        first = next(iter(before.values()), None)
        gone: dict[str, JobDraft] = {}
        for uid, said in self.draft.jobs.items():
            if uid in before:
                continue
            user = users.get(uid, said)
            for ref in [ref for ref in user.reads if ref.made_by_job and ref.owner in drafts]:
                check_makes(before.get(ref.owner) or cast(JobDraft, first), drafts[ref.owner], ref, [user])
            gone.update({str(user): before[used] for used in _used_by(user) & before.keys() if used not in drafts})
        if gone:
            names = ", ".join(gone)
            lost = ", ".join(dict.fromkeys(map(str, gone.values())))
            raise GraphError(f"job {lost} would be dropped, which job {names} uses; change or drop {names} first")

    def _remove(self, uids: Sequence[int]) -> None:
        dropped = set(uids)
        for uid in uids:
            self.draft.jobs.pop(uid).dropped = True
            self._handles.pop(uid, None)
        if dropped:
            self.draft.outputs = {output: None for output in self.draft.outputs if output.ref.owner not in dropped or not output.ref.made_by_job}

    def drop_stage(self, stage: JobStage[Any]) -> None:
        """Take all jobs of a stage out of the batch; raises GraphError naming the jobs that use one of them."""
        uids = {job.job_draft.uid for job in stage}
        users = [job for job in self.draft.jobs.values() if job.uid not in uids and _used_by(job) & uids]
        if users:
            raise GraphError(f"stage {stage.name!r} is used by job {', '.join(map(str, users))}; drop those first")
        self._remove([uid for uid in uids if uid in self.draft.jobs])
        self.stages.pop(stage.name, None)

    def drop_job(self, job: Job, force: bool = False) -> None:
        """Take a job out of the batch, and out of its stage.

        Raises GraphError naming the jobs that use it; with `force` they stay, and must be described anew before the next run.
        """
        stage = self.stage_of_uid().get(job.job_draft.uid)
        super().drop_job(job, force)
        if stage is not None:
            kept = [(one, item) for one, item in zip(stage.jobs, stage.items, strict=True) if one is not job]
            stage.adopt([one for one, _ in kept], [item for _, item in kept])


def _used_by(job: JobDraft) -> set[int]:
    return {*job.depends_on, *[ref.owner for ref in job.reads if ref.made_by_job]}


def _describe(jobs: Sequence[Job], values: Sequence[Any], work: str | Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not jobs:
        return
    if isinstance(work, str):
        from hail_batch_jupyter.batch.item_text import filled, split_holes

        first = cast(BashJob, jobs[0])
        pieces: list[Any] = []
        for part in split_holes(work.strip()):
            pieces += first.resolved(part) if isinstance(part, str) else [part]
        for job, item in zip(jobs, values, strict=True):
            cast(BashJob, job).command(filled(pieces, job, item))
    else:
        for job, item in zip(jobs, values, strict=True):
            cast(PythonJob, job).call(work, item, *args, **kwargs)

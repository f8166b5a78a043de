"""Groups of jobs: counted, limited and cancelled together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from hail_batch_jupyter.core.draft import JobGroupDraft
from hail_batch_jupyter.errors import BatchException, UnitError

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.base_job import Job
    from hail_batch_jupyter.batch.bash_job import BashJob
    from hail_batch_jupyter.batch.batch import Batch
    from hail_batch_jupyter.batch.python_job import PythonJob
    from hail_batch_jupyter.batch.stage import JobStage

_J = TypeVar("_J", bound="Job")


class JobGroup:
    """A part of a batch; made by `Batch.new_group` and by `new_group` of another group.

    >>> from hail_batch_jupyter.batch import Batch
    >>> b = Batch()
    >>> shards = b.new_group('shards', at_most=10, cancel_after_n_failures=3)
    >>> j = shards.new_job(name='shard 1').command('echo 1')
    >>> [job.name for job in shards.jobs]
    ['shard 1']

    Of a run, `run.group('shards')` gives its counts and its cancel.
    """

    def __init__(self, batch: Batch, draft: JobGroupDraft) -> None:
        self._batch = batch
        self._draft = draft

    def __repr__(self) -> str:
        return f"<JobGroup {self.name!r}: {len(self.jobs)} jobs>"

    @property
    def name(self) -> str:
        """The name, which no other group of the batch has.

        >>> b.new_group('first wave').name
        'first wave'
        """
        return self._draft.name

    @property
    def attributes(self) -> dict[str, str]:
        """Free words about the group.

        >>> shards = b.new_group('some shards', attributes={'chromosome': '1'})
        >>> shards.attributes['build'] = '38'
        """
        return self._draft.attributes

    @property
    def jobs(self) -> list[Job]:
        """The jobs of the group and of the groups in it.

        >>> b = hb.Batch()
        >>> shards = b.new_group('shards')
        >>> j = shards.new_job(name='shard 1')
        >>> shards.jobs
        [<BashJob shard 1>]
        """
        chains = {0: frozenset({0})}
        for group in self._batch.draft.groups:
            chains[group.group_id] = chains[group.parent] | {group.group_id}
        return [job for job in self._batch.jobs if self._draft.group_id in chains[job.job_draft.group]]

    def new_bash_job(self, name: str | None = None, attributes: Mapping[str, str] | None = None, shell: str | None = None) -> BashJob:
        """A new job of shell commands in this group; see `Batch.new_bash_job`.

        >>> j = b.new_group('sorting').new_bash_job(name='sort').command('sort names.txt')
        """
        return self.take(self._batch.new_bash_job(name, attributes, shell))

    def new_job(self, name: str | None = None, attributes: Mapping[str, str] | None = None, shell: str | None = None) -> BashJob:
        """The same as `new_bash_job`.

        >>> j = b.new_group('counting').new_job(name='count').command('wc -l names.txt')
        """
        return self.take(self._batch.new_bash_job(name, attributes, shell))

    def new_python_job(self, name: str | None = None, attributes: Mapping[str, str] | None = None) -> PythonJob:
        """A new job of calls of Python functions in this group.

        >>> total = b.new_group('sums').new_python_job().call(sum, [1, 2, 3])
        """
        return self.take(self._batch.new_python_job(name, attributes))

    def map(self, name: str, items: Iterable[Any], work: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> JobStage[Any]:
        """One job of this group for each item; see `Batch.map`.

        >>> b = hb.Batch()
        >>> words = b.new_group('words', at_most=2)
        >>> stage = words.map('word', ['to be', 'or not'], 'echo {item} > {job.out}')
        >>> words.jobs
        [<BashJob word-0>, <BashJob word-1>]
        """
        stage = self._batch.map(name, items, work, *args, **kwargs)
        for job in stage:
            self.take(job)
        return stage

    def take(self, job: _J) -> _J:
        """Count a job of the batch in this group from now on, and in no other.

        >>> j = b.new_job(name='late')
        >>> b.new_group('helpers').take(j)
        <BashJob late>
        """
        job.job_draft.group = self._draft.group_id
        return job

    def new_group(
        self, name: str, attributes: Mapping[str, str] | None = None, cancel_after_n_failures: int | None = None, at_most: int | None = None
    ) -> JobGroup:
        """A group in this group: cancelled with it, and its jobs count here too.

        >>> b = hb.Batch()
        >>> study = b.new_group('study')
        >>> j = study.new_group('chromosome 1').new_job(name='chr1')
        >>> study.jobs
        [<BashJob chr1>]
        """
        return make_group(self._batch, name, self._draft.group_id, attributes, cancel_after_n_failures, at_most)

    def at_most(self, n: int | None) -> Self:
        """No more than n jobs of the group, and of the groups in it, run at once; None for no limit.

        >>> from hail_batch_jupyter.batch import Batch
        >>> Batch().new_group('downloads').at_most(4)
        <JobGroup 'downloads': 0 jobs>
        """
        self._draft.at_most = checked_count(n, "at_most")
        return self


def make_group(
    batch: Batch, name: str, parent: int, attributes: Mapping[str, str] | None, cancel_after_n_failures: int | None, at_most: int | None
) -> JobGroup:
    """A new group of the batch; `parent` is the number of the group around it, 0 for none.

    Raises BatchException for a name that is empty or taken, UnitError for a limit that is no number of jobs.
    """
    if not isinstance(name, str) or not name:
        raise BatchException(f"{name!r} cannot be the name of a group; write some text, such as 'shards'")
    if any(group.name == name for group in batch.draft.groups):
        raise BatchException(f"{batch.title} already has a group {name!r}; give this one another name")
    limits = checked_count(cancel_after_n_failures, "cancel_after_n_failures"), checked_count(at_most, "at_most")
    draft = JobGroupDraft(len(batch.draft.groups) + 1, name, parent, dict(attributes or {}), *limits)
    batch.draft.groups.append(draft)
    return JobGroup(batch, draft)


def group_named(batch: Batch, name: str) -> JobGroup:
    """The group of that name, made if there is none."""
    for draft in batch.draft.groups:
        if draft.name == name:
            return JobGroup(batch, draft)
    return make_group(batch, name, 0, None, None, None)


def checked_count(count: int | None, what: str) -> int | None:
    """The number, or None.

    Raises UnitError for anything but a whole number above zero.
    """
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
        raise UnitError(f"{what} {count!r} is not a number of jobs; use 1 or more, or None for no limit")
    return count

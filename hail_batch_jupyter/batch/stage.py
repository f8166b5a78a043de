"""Jobs that do the same for several items, and the files that they make, as one object each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, SupportsIndex, TypeVar, overload

from hail_batch_jupyter.batch.resource import Resource, ResourceGroup
from hail_batch_jupyter.errors import BatchException

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.base_job import Job
    from hail_batch_jupyter.batch.batch import Batch

J = TypeVar("J", bound="Job")


class StageFiles(list[Any]):
    """One file or result of each job of a stage, in the order of the items.

    In a command its text is all paths, joined by blanks; among the arguments of a call it is a list. `path()`, `result()`, `as_json()`
    and what else a file or result can do is done with each of them; a member of a group is `files.bed` or `files['bed']`.
    """

    def __init__(self, stage: JobStage[Any], name: str, member: str = "") -> None:
        super().__init__()
        self.stage = stage
        self.name = name
        self.member = member
        self.refresh()

    def refresh(self) -> None:
        """Take what the stage has now."""
        made = [job[self.name] for job in self.stage]
        self[:] = [one[self.member] for one in made] if self.member else made

    def __str__(self) -> str:
        return " ".join(map(str, self))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return StageFiles(self.stage, self.name, key)
        found = super().__getitem__(key)
        return _Part(found) if isinstance(key, slice) else found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not len(self):
            raise AttributeError(name)
        if isinstance(self[0], ResourceGroup):
            return self[name]
        if not callable(getattr(type(self[0]), name, None)) or hasattr(str, name):
            raise AttributeError(f"{self.name!r} of stage {self.stage.name!r} has no attribute {name!r}; one of its files is {self.stage.name}[0].{self.name}")

        def each(*args: Any, **kwargs: Any) -> Any:
            made = [getattr(one, name)(*args, **kwargs) for one in self]
            if all(isinstance(one, Resource) for one in made):
                return StageFiles(self.stage, made[0].file_ref.name)
            return made

        return each

    def __reduce_ex__(self, protocol: Any) -> Any:
        return list, (list(self),)


class _Part(list[Any]):
    """Some of a stage's files; in a command their paths, joined by blanks."""

    __str__ = StageFiles.__str__
    __format__ = StageFiles.__format__
    __reduce_ex__ = StageFiles.__reduce_ex__


class JobStage(Generic[J]):
    """Jobs that do the same for several items: a sequence of jobs, made by `Batch.map` and by cells with `--each`.

    >>> stage = b.map('square', range(3), lambda x: x * x)
    >>> first, last_two = stage[0], stage[-2:]

    `stage.out` and `stage['out']` are the files or results of that name, one a job. A setter, such as `stage.cpu(2)`, sets it for
    each job and gives the stage back.

    name   of the stage; its jobs are NAME-0, NAME-1 …, with leading zeros where there are more than ten
    items  what the jobs are for, one each
    """

    def __init__(self, batch: Batch, name: str, jobs: Sequence[J], items: Sequence[Any]) -> None:
        self.job_batch = batch
        self.name = name
        self.jobs = list(jobs)
        self.items = list(items)
        self._files: dict[str, StageFiles] = {}

    @property
    def results(self) -> StageFiles:
        """What the function of `Batch.map` gives for each item: results that other jobs can take; `.result()` are the values.

        >>> b = hb.Batch()
        >>> squares = b.map('square', range(3), pow, 2)
        >>> total = b.new_python_job('total').call(sum, squares.results)
        """
        calls = [call for job in self.jobs for call in job.job_draft.calls]
        return self["result1" if calls and not calls[0].named else "results"]

    def __len__(self) -> int:
        return len(self.jobs)

    def __iter__(self) -> Iterator[J]:
        return iter(self.jobs)

    def __contains__(self, job: object) -> bool:
        return job in self.jobs

    def __reversed__(self) -> Iterator[J]:
        return reversed(self.jobs)

    @overload
    def __getitem__(self, key: SupportsIndex) -> J: ...
    @overload
    def __getitem__(self, key: slice) -> JobStage[J]: ...
    @overload
    def __getitem__(self, key: str) -> StageFiles: ...
    def __getitem__(self, key: SupportsIndex | slice | str) -> J | JobStage[J] | StageFiles:
        if isinstance(key, str):
            if key not in self._files:
                self._files[key] = StageFiles(self, key)
            return self._files[key]
        if isinstance(key, slice):
            return JobStage(self.job_batch, self.name, self.jobs[key], self.items[key])
        try:
            return self.jobs[key]
        except IndexError:
            raise IndexError(f"stage {self.name!r} has {len(self)} jobs, and none at index {key}; the last is {self.name}[-1]") from None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("jobs", "items"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}; files of that name are stage[{name!r}]")
        if not self.jobs or not hasattr(type(self.jobs[0]), name):
            return self[name]
        if not callable(getattr(type(self.jobs[0]), name)):
            return [getattr(job, name) for job in self.jobs]

        def each(*args: Any, **kwargs: Any) -> Any:
            made = [getattr(job, name)(*args, **kwargs) for job in self.jobs]
            return self if all(one is job for one, job in zip(made, self.jobs, strict=True)) else made

        return each

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(dir(self.jobs[0]) if self.jobs else ())]

    def _ipython_key_completions_(self) -> list[str]:
        keys: list[str] = self.jobs[0]._ipython_key_completions_() if self.jobs else []
        return keys

    def __str__(self) -> str:
        return " ".join(map(str, self.jobs))

    def __repr__(self) -> str:
        return f"<JobStage {self.name}: {len(self)} jobs>"

    def adopt(self, jobs: Sequence[J], items: Sequence[Any]) -> None:
        """Be a stage of these jobs from now on; lists of files that people hold follow."""
        self.jobs, self.items = list(jobs), list(items)
        for files in self._files.values():
            files.refresh()

    def __copy__(self) -> JobStage[J]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> JobStage[J]:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise BatchException(f"stage {self.name!r} cannot be pickled; pass its files or results to a function instead, such as {self.name}.results")


Sequence.register(JobStage)  # not inherited: `count` and `index` stay free for files


def jobs_among(values: Sequence[Any]) -> list[Any]:
    """The values, with the jobs of a stage in its place."""
    return [job for value in values for job in (value.jobs if isinstance(value, JobStage) else [value])]


def stage_names(name: str, count: int) -> list[str]:
    """'fit-00' … 'fit-23': they sort in the order of the items."""
    width = len(str(max(count - 1, 0)))
    return [f"{name}-{index:0{width}d}" for index in range(count)]

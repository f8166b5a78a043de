"""Files, groups and results as they are written into commands and arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self

from hail_batch_jupyter.core.draft import Reference
from hail_batch_jupyter.core.files import FileRef
from hail_batch_jupyter.errors import BatchException, MissingMemberError

if TYPE_CHECKING:
    from pathlib import Path

    from hail_batch_jupyter.batch.base_job import Job
    from hail_batch_jupyter.batch.batch import Batch


class Resource(Reference):
    """A file, group or result of one batch; made by the batch and its jobs only."""

    __slots__ = ()

    from_batch: Batch

    @property
    def batch_serial(self) -> int:  # type: ignore[override]  # read only here, and the draft's layer has no batches
        """The number of the batch in this process."""
        return self.from_batch.draft.serial

    def source(self) -> Job | None:
        """The job that makes it, None for an input.

        >>> j = b.new_job(name='greet')
        >>> j.ofile.source()
        <BashJob greet>
        """
        return self.from_batch.job_of(self.file_ref.owner) if self.file_ref.made_by_job else None

    @property
    def _value(self) -> str | None:
        return self.file_ref.name or None

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(f"<{self.from_batch.describe(self.file_ref)}>")

    def __copy__(self) -> Resource:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Resource:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        name = self.from_batch.describe(self.file_ref)
        raise BatchException(f"{name} cannot be pickled with other objects; pass it to the function as an argument of its own, or in a list, tuple or dict")


class ResourceFile(Resource, str):
    """A file; its text is a token that a command replaces with the path."""

    __slots__ = ("file_ref", "from_batch")

    def __new__(cls, batch: Batch, ref: FileRef, token: str) -> Self:
        made = str.__new__(cls, token)
        made.from_batch = batch
        made.file_ref = ref
        return made


class InputResourceFile(ResourceFile):
    """A file, or folder, from outside the batch."""

    __slots__ = ()


class JobResourceFile(ResourceFile):
    """A file that a job makes."""

    __slots__ = ()

    def add_extension(self, extension: str) -> JobResourceFile:
        """Append `extension`, such as '.txt', to the file's name; before or after its use in commands.

        >>> j = b.new_job()
        >>> j = j.command(f'gzip -c names.txt > {j.names}')
        >>> file = j.names.add_extension('.txt.gz')

        Raises BatchException if it has one already.
        """
        self.from_batch.add_extension(self.file_ref, extension)
        return self

    def path(self, timeout_s: float | None = None) -> Path:
        """The file on this machine after the batch's last run; waits for the job that makes it.

        >>> b = hb.Batch()
        >>> j = b.new_job()
        >>> j = j.command(f'echo hello > {j.ofile}')
        >>> run = b.run(delete_scratch_on_exit=False)
        Batch completed successfully!
        >>> j.ofile.path().read_text().strip()
        'hello'

        Raises JobFailedError if that did not succeed, TimeoutError, or BatchException when there is no run or the file is gone.
        """
        return self.from_batch.fetch_path(self.file_ref, timeout_s)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        from hail_batch_jupyter.batch.mistakes import no_such_method

        raise TypeError(no_such_method(self.source(), self.file_ref.name))


class PythonResult(Resource, str):
    """What a call of a Python job gives."""

    __slots__ = ("file_ref", "from_batch")

    def __new__(cls, batch: Batch, ref: FileRef, token: str) -> Self:
        made = str.__new__(cls, token)
        made.from_batch = batch
        made.file_ref = ref
        return made

    def as_str(self) -> JobResourceFile:
        """A text file with `str(value)` and a line end.

        >>> b = hb.Batch()
        >>> total = b.new_python_job().call(sum, [1, 2, 3])
        >>> b.write_output(total.as_str(), 'total.txt')
        """
        return self.from_batch.result_as(self.file_ref, "str")

    def as_json(self) -> JobResourceFile:
        """A JSON file of the value; the job fails if it has no JSON form.

        >>> b = hb.Batch()
        >>> total = b.new_python_job().call(sum, [1, 2, 3])
        >>> b.write_output(total.as_json(), 'total.json')
        """
        return self.from_batch.result_as(self.file_ref, "json")

    def as_repr(self) -> JobResourceFile:
        """A text file with `repr(value)` and a line end.

        >>> b = hb.Batch()
        >>> total = b.new_python_job().call(sum, [1, 2, 3])
        >>> b.write_output(total.as_repr(), 'total.txt')
        """
        return self.from_batch.result_as(self.file_ref, "repr")

    def result(self, timeout_s: float | None = None) -> Any:
        """The value after the batch's last run; waits for the job.

        >>> b = hb.Batch()
        >>> total = b.new_python_job().call(sum, [1, 2, 3])
        >>> run = b.run(delete_scratch_on_exit=False)
        Batch completed successfully!
        >>> total.result()
        6

        Raises the exception of the function itself, its remote traceback as the cause; JobFailedError if the job failed otherwise,
        TimeoutError, or BatchException when there is no run or the file is gone.
        """
        __tracebackhide__ = True  # what the function raised is shown without our frames
        return self.from_batch.fetch_result(self.file_ref, timeout_s)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"result {self.file_ref.name!r} cannot be called; its value after the run is .result()")


class ResourceGroup(Resource):
    """Files that go together; a member is `group.identifier` or `group['identifier']`, and the text of the group is their common root."""

    __iter__ = None
    """Without it, `group[0]`, `group[1]`, … would be tried."""

    def __init__(self, batch: Batch, ref: FileRef, token: str, members: dict[str, ResourceFile]) -> None:
        self.from_batch = batch
        self.file_ref = ref
        self._token = token
        self._members = members

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._members]

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._members)

    def __getitem__(self, identifier: str) -> ResourceFile:
        if identifier not in self._members:
            known = ", ".join(map(repr, self._members)) or "none at all"
            name = self.from_batch.describe(self.file_ref)
            raise MissingMemberError(f"{identifier!r} not found in the resource group {name}; its members are {known}")
        return self._members[identifier]

    def __getattr__(self, name: str) -> ResourceFile:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __str__(self) -> str:
        return self._token

    def __add__(self, other: object) -> str:
        return self._token + other if isinstance(other, str) else NotImplemented

    def __radd__(self, other: object) -> str:
        return other + self._token if isinstance(other, str) else NotImplemented


ResourceType = PythonResult | ResourceFile | ResourceGroup
"""What may be written into a command or out of a batch."""

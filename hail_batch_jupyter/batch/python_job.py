"""Jobs whose work is calls of Python functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from hail_batch_jupyter.batch.base_job import Job
from hail_batch_jupyter.batch.resource import PythonResult, Resource
from hail_batch_jupyter.batch.stage import JobStage
from hail_batch_jupyter.compile.arguments import all_plain, hidden, leaves
from hail_batch_jupyter.core.draft import CallDraft, with_item
from hail_batch_jupyter.errors import BatchException, ForeignJobError

if TYPE_CHECKING:
    from hail_batch_jupyter.core.files import FileRef


class PythonJob(Job):
    """A job that calls Python functions, one after the other, each in an interpreter of its own."""

    @property
    def n_results(self) -> int:
        """How many calls were made with `call`.

        >>> j = b.new_python_job()
        >>> low, high = j.call(min, 1, 9), j.call(max, 1, 9)
        >>> j.n_results
        2
        """
        return sum(not call.named for call in self.job_draft.calls)

    def call(self, unapplied: Callable[..., Any], /, *args: Any, **kwargs: Any) -> PythonResult:
        """Call `unapplied(*args, **kwargs)` in the job; gives what stands for its value.

        Among the arguments, also in lists, tuples and values of dicts, a file becomes its path, a group a dict of paths, a result its value.
        The function and the arguments are pickled when the batch runs.

        >>> b = hb.Batch()
        >>> total = b.new_python_job().call(sum, [1, 2, 3])
        >>> double = b.new_python_job().call(pow, total, 2)
        >>> b.write_output(double.as_json(), 'double.json')

        Raises BatchException when the arguments do not fit the function, or hold a job or a file in another place.
        """
        name = f"result{self.n_results + 1}"
        self._add_call(unapplied, args, kwargs, (name,), named=False)
        result = self[name]
        assert isinstance(result, PythonResult)
        return result

    def call_named(self, function: Callable[..., Mapping[str, Any]], outputs: Sequence[str], /, *args: Any, **kwargs: Any) -> dict[str, PythonResult]:
        """Call a function that gives a mapping; each name in `outputs` is a result of the job.

        The job fails if a name is missing in the mapping.

        >>> results = b.new_python_job().call_named(dict, ['low', 'high'], low=1, high=9)
        >>> sorted(results)
        ['high', 'low']
        """
        names = tuple(outputs)
        if len(set(names)) != len(names):
            raise BatchException(f"job {self.job_draft}: the outputs {', '.join(names)} name one result twice; give each a name of its own")
        self._add_call(function, args, kwargs, names, named=True)
        return {name: self[name] for name in names}

    def _add_call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], results: tuple[str, ...], named: bool) -> None:
        self._check_open("call")
        if not callable(function) or isinstance(function, Resource):
            raise BatchException(f"unapplied must be a callable function, and {function!r} is a {type(function).__name__}; pass the function itself")
        for name in results:
            self._check_free(name)
        self._check_signature(function, args, kwargs)
        refs = self._files_among(function, args, kwargs)
        for ref in refs:
            self._mention(ref, warn_level=3)
        self.job_draft.calls = with_item(self.job_draft.calls, CallDraft(function, args, kwargs, results, named))
        for name in results:
            if self._resources:
                self._forget(name)

    def _check_free(self, name: str) -> None:
        draft = self.job_draft
        if name in draft.files or any(name in call.results for call in draft.calls):
            raise BatchException(f"job {draft} already has a file or result {name!r}; give it another name")

    def _check_signature(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        signature = _signature_of(function)
        if signature is None:
            return
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            name = function_name(function)
            raise BatchException(f"Cannot call {name} with the supplied arguments: {error}; it takes {name}{signature}") from error

    def _files_among(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[FileRef]:
        if all_plain(args, kwargs):
            return []
        name, refs = function_name(function), []
        for leaf in leaves(args, kwargs):
            if isinstance(leaf, Resource):
                if leaf.from_batch is not self.job_batch:
                    what = leaf.from_batch.describe(leaf.file_ref)
                    raise ForeignJobError(f"{name} cannot take {what} in {self.job_batch.title}: undefined resource, which must be from the same batch")
                refs.append(leaf.file_ref)
            elif self._is_handle(leaf):
                raise BatchException(f"arguments to {name} cannot be other job objects, and {leaf!r} is one; pass its files or results, such as job.ofile")
        place = hidden(args, kwargs, lambda part: isinstance(part, Resource) or self._is_handle(part))
        if place is not None:
            raise BatchException(
                f"an argument to {name} holds a file, result or job in {place}, where it is not found; pass it itself, or in a list, tuple or value of a dict"
            )
        return refs

    def _is_handle(self, value: Any) -> bool:
        return isinstance(value, (Job, JobStage, type(self.job_batch)))


_SIGNATURES: WeakKeyDictionary[Any, tuple[Any, Any, Any, inspect.Signature]] = WeakKeyDictionary()
"""Plain function -> what its signature follows from, and the signature: finding it takes longer than all else that a call does."""


def _signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """The parameters of the function, None where they cannot be known."""
    if type(function) is FunctionType and not function.__dict__:
        made_of = (function.__code__, function.__defaults__, function.__kwdefaults__)
        known = _SIGNATURES.get(function)
        if known is None or any(was is not now for was, now in zip(known, made_of, strict=False)):
            known = _SIGNATURES[function] = (*made_of, inspect.signature(function))
        return known[-1]
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):
        return None


def function_name(function: Any) -> str:
    """How people call the function."""
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__

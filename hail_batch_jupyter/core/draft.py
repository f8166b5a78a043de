"""What the user said: plain, mutable, without behaviour. `batch` writes it, `compile` reads it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, Union

from hail_batch_jupyter.core.files import FileRef
from hail_batch_jupyter.core.retry import Retry
from hail_batch_jupyter.core.spec import NOTHING
from hail_batch_jupyter.core.template import Template

_K = TypeVar("_K")
_V = TypeVar("_V")
_SLOTS: Any = {"slots": True} if sys.version_info >= (3, 10) else {}
"""Without a dict each: a batch of 100 000 jobs has a million of these objects."""
_FEW = 8
"""So many references are looked through as fast as a dict finds one, and take a quarter of its memory."""

Refs = Union["tuple[FileRef, ...]", "dict[FileRef, None]"]
"""Files, each once, in order: a tuple while there are few."""


def with_item(items: Sequence[_V], item: _V) -> Sequence[_V]:
    """The items and one more; nothing and a single item are tuples, a list grows in place."""
    if isinstance(items, list):
        items.append(item)
        return items
    return [*items, item] if items else (item,)


def with_entry(entries: Mapping[_K, _V], key: _K, value: _V) -> Mapping[_K, _V]:
    """The entries and one more; a dict grows in place, anything else is shared by jobs and stays as it is."""
    if isinstance(entries, dict):
        entries[key] = value
        return entries
    return {**entries, key: value}


def with_ref(refs: Refs, ref: FileRef) -> Refs:
    """The files and one more that is not among them."""
    if isinstance(refs, dict):
        refs[ref] = None
        return refs
    return (*refs, ref) if len(refs) < _FEW else dict.fromkeys((*refs, ref))


class Reference:
    """Anything that stands for a file of a batch where it may be mixed with ordinary values, as among the arguments of a call.

    file_ref      which file
    batch_serial  whose file: the number of its batch in this process
    """

    __slots__ = ()

    file_ref: FileRef
    batch_serial: int


class FileDraft(NamedTuple):
    """A file of a job; `defined` once the job's own command or arguments mentioned it."""

    name: str
    extension: str = ""
    defined: bool = False


@lru_cache(maxsize=1024)
def one_file(name: str) -> Mapping[str, FileDraft]:
    """The files of a job that has defined this one only: most jobs of a batch have the same, and share them."""
    return MappingProxyType({name: FileDraft(name, "", True)})


@dataclass(**_SLOTS)
class GroupDraft:
    """A declared group; `members` maps identifiers to names in which {root} stands for the group's keyword."""

    name: str
    members: dict[str, str]
    extensions: dict[str, str] = field(default_factory=dict)


@dataclass(**_SLOTS)
class InputDraft:
    """A file, folder or group read from outside; `members` is None for a single file.

    extension  what a single file's name gets at its end, in the place where jobs see it
    """

    uid: int
    path: str = ""
    members: dict[str, str] | None = None
    extension: str = ""


@dataclass(**_SLOTS)
class CallDraft:
    """One call of a Python job; files among the arguments stand there as References.

    The arguments are the user's own objects, so that what happens to them before the run is seen.

    named   the function gives a mapping whose values are the results of those names, instead of one value
    forms   result name -> texts asked for: 'str', 'json', 'repr'
    """

    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: tuple[str, ...]
    named: bool = False
    forms: dict[str, list[str]] = field(default_factory=dict)


class OutputDraft(NamedTuple):
    """A file, group or result to be written to `dest`."""

    ref: FileRef
    dest: str


def _nothing() -> Mapping[Any, Any]:
    return NOTHING


@dataclass(**_SLOTS)
class JobDraft:
    """One job as described so far.

    uid        stays when a notebook cell describes the job again; `job_id` is the number in the newest run, None before
    submitted  the job has had its run; a later run of the same batch leaves it out
    kept_in    scratch folder of that run, where its files still are; None when they were removed
    outputs    what the cell that describes the job writes out; replaced with it, unlike those of the batch
    source     the command as the user wrote it, where it is known better than from `commands`
    group      number of its group, 0 for the batch itself

    What is empty is shared, and grows by `with_item`, `with_entry` and `with_ref`: nine empty containers a job take more memory than its command.
    """

    uid: int
    kind: str
    name: str | None
    attributes: Mapping[str, str] = field(default_factory=_nothing)
    commands: Sequence[Template] = ()
    calls: Sequence[CallDraft] = ()
    files: Mapping[str, FileDraft] = field(default_factory=_nothing)
    groups: Mapping[str, GroupDraft] = field(default_factory=_nothing)
    reads: Refs = ()
    depends_on: Mapping[int, str] = field(default_factory=_nothing)
    outputs: Sequence[OutputDraft] = ()
    env: Mapping[str, str] = field(default_factory=_nothing)
    shell: str | None = None
    image: str | None = None
    cpu: str | None = None
    memory: str | None = None
    storage: str | None = None
    machine_type: str | None = None
    spot: bool | None = None
    regions: list[str] | None = None
    timeout_s: float | None = None
    always_run: bool = False
    always_copy_output: bool = False
    n_max_attempts: int = 20
    retry: Retry | None = None
    gpus: int = 0
    gpu_kind: str | None = None
    group: int = 0
    cloudfuse: Sequence[tuple[str, str, bool]] = ()
    source: str = ""
    job_id: int | None = None
    submitted: bool = False
    kept_in: str | None = None
    dropped: bool = False

    def __str__(self) -> str:
        """The name in quotes, or the number in order of making where there is none; for messages."""
        return repr(self.name) if self.name else f"number {self.uid}"


@dataclass(**_SLOTS)
class JobGroupDraft:
    """Jobs that belong together; `parent` is the number of the group around it, 0 for the batch."""

    group_id: int
    name: str
    parent: int
    attributes: dict[str, str]
    cancel_after_n_failures: int | None = None
    at_most: int | None = None


@dataclass(**_SLOTS)
class BatchDraft:
    """A batch as described so far; jobs in the order of their making.

    serial    number of the batch in this process: it tells files of different batches apart, and enters no spec
    outputs   what `write_output` said, in that order and each once
    finished  job id of earlier runs -> final state
    groups    in the order of their numbers, which begin with 1
    """

    serial: int
    name: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    jobs: dict[int, JobDraft] = field(default_factory=dict)
    inputs: dict[int, InputDraft] = field(default_factory=dict)
    outputs: dict[OutputDraft, None] = field(default_factory=dict)
    finished: dict[int, str] = field(default_factory=dict)
    lineage: str = ""
    requester_pays_project: str | None = None
    cancel_after_n_failures: int | None = None
    groups: list[JobGroupDraft] = field(default_factory=list)
    at_most: int | None = None

"""Joining many files by a tree of jobs, of which each joins a few."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from hail_batch_jupyter.batch.resource import ResourceFile, ResourceGroup
from hail_batch_jupyter.errors import BatchException, UnitError

if TYPE_CHECKING:
    from hail_batch_jupyter.batch.bash_job import BashJob
    from hail_batch_jupyter.batch.batch import Batch

__all__ = ["concatenate", "needs_tokens_mounted", "plink_merge"]

T = TypeVar("T")
_PLINK = ("bed", "bim", "fam")


def concatenate(b: Batch, files: list[ResourceFile], image: str | None = None, branching_factor: int = 100) -> ResourceFile:
    """One file with the contents of all files in their order; a single file is given back as it is.

    >>> import hail_batch_jupyter.batch as hb
    >>> b = hb.Batch()
    >>> whole = hb.concatenate(b, [b.read_input(path) for path in ('x.txt', 'y.txt')])

    branching_factor  how many files a job joins at most, 2 or more
    Raises BatchException for no files and for what is no file.
    """
    _check(files, ResourceFile, "concatenate needs at least one file", "all files must be resource files, as read_input and job.ofile give them")

    def join(name: str, group: Sequence[ResourceFile]) -> ResourceFile:
        job = _job(b, name, image)
        job.command(f"cat {' '.join(group)} > {job.ofile}")
        file: ResourceFile = job.ofile
        return file

    return _tree(list(files), "concatenate", branching_factor, join)


def plink_merge(b: Batch, bfiles: list[ResourceGroup], image: str | None = None, branching_factor: int = 100) -> ResourceGroup:
    """One binary PLINK fileset (a group of bed, bim, fam) with the samples and variants of all; a single one is given back as it is.

    The jobs need the program `plink` (1.9), on their machine or in `image`.

    branching_factor  how many filesets a job merges at most, 2 or more
    Raises BatchException for no filesets and for what is no group.
    """
    _check(bfiles, ResourceGroup, "plink_merge needs at least one binary PLINK file", "all bfiles must be resource groups, as read_input_group gives them")

    def merge(name: str, group: Sequence[ResourceGroup]) -> ResourceGroup:
        return group[0] if len(group) == 1 else _merged(_job(b, name, image), group)

    return _tree(list(bfiles), "plink-merge", branching_factor, merge)


def needs_tokens_mounted() -> bool:
    """Whether jobs of a service need its tokens mounted: everywhere but on Terra."""
    return "HAIL_TERRA" not in os.environ


def _merged(job: BashJob, group: Sequence[ResourceGroup]) -> ResourceGroup:
    """Merge filesets in one job.

    A merge list separates names by blanks and knows no quotes: so it holds names of links beside it, and the paths may hold blanks.
    """
    job.declare_resource_group(ofile={kind: f"{{root}}.{kind}" for kind in _PLINK})
    merge_list = job["merge-list"]
    job.command(f'cd "$(dirname {merge_list})"')
    for number, bfile in enumerate(group[1:], 1):
        links = "".join(f"ln -s {bfile[kind]} fileset-{number}.{kind}\n" for kind in _PLINK)
        job.command(f"{links}echo fileset-{number} >> {merge_list}")
    job.command(f"plink --bfile {group[0]} --merge-list {merge_list} --out {job.ofile}")
    merged: ResourceGroup = job.ofile
    return merged


def _check(given: Sequence[Any], kind: type, none: str, wrong: str) -> None:
    if not given:
        raise BatchException(f"{none}, and got none; name the files to join")
    for one in given:
        if not isinstance(one, kind):
            raise BatchException(f"{wrong}, and {one!r} is a {type(one).__name__}")


def _job(b: Batch, name: str, image: str | None) -> BashJob:
    job = b.new_job(name=name)
    return job if image is None else job.image(image)


def _tree(items: list[T], name: str, branching_factor: int, join: Callable[[str, Sequence[T]], T]) -> T:
    """Join neighbours, level by level, until one is left; jobs are called `name-LEVEL-NUMBER`, both from 0."""
    if not isinstance(branching_factor, int) or branching_factor < 2:
        raise UnitError(f"branching_factor {branching_factor!r} is not a number of files to join at once; use 2 or more")
    sizes = []
    size = len(items)
    while size > 1:
        size = -(-size // branching_factor)
        sizes.append(size)
    for level, size in enumerate(sizes):
        prefix = f"{name}-{_padded(level, len(sizes))}"
        groups = [items[at : at + branching_factor] for at in range(0, len(items), branching_factor)]
        items = [join(f"{prefix}-{_padded(number, size)}", group) for number, group in enumerate(groups)]
    return items[0]


def _padded(number: int, count: int) -> str:
    return str(number).zfill(len(str(count)))

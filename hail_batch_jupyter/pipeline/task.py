"""A bash job with the units of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from hail_batch_jupyter.batch.bash_job import BashJob

if TYPE_CHECKING:
    from hail_batch_jupyter.core.units import Quantity

__all__ = ["Task"]


class Task(BashJob):
    """A BashJob for which a number is an amount of memory in GB."""

    def memory(self, memory: Quantity | None) -> Self:
        """GB, a size such as '500Mi' or '3.75G', or 'lowmem', 'standard', 'highmem'.

        Raises UnitError for any other text.
        """
        return super().memory(gigabytes(memory))


def gigabytes(memory: Quantity | None) -> Quantity | None:
    """'5G' of 5 or '5'; what has a unit stays."""
    text = str(memory).strip()
    bare = memory is not None and text.replace(".", "", 1).removeprefix("+").isdecimal()
    return f"{text}G" if bare else memory

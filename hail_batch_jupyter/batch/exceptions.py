"""The exception of this package under the name that hailtop gives it; all others are in `hail_batch_jupyter.errors`."""

from __future__ import annotations

from hail_batch_jupyter.errors import BatchException

__all__ = ["BatchException"]

"""Describing and running batches: a drop-in for `hailtop.batch`.

>>> import hail_batch_jupyter.batch as hb
>>> b = hb.Batch()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.batch.backend import Backend
from hail_batch_jupyter.batch.batch import Batch
from hail_batch_jupyter.batch.exceptions import BatchException
from hail_batch_jupyter.batch.resource import PythonResult, Resource, ResourceFile, ResourceGroup
from hail_batch_jupyter.batch.stage import JobStage

if TYPE_CHECKING:
    from hail_batch_jupyter.backends.local import LocalBackend
    from hail_batch_jupyter.batch.batch_pool_executor import BatchPoolExecutor

__all__ = ["Backend", "Batch", "BatchException", "BatchPoolExecutor", "JobStage", "LocalBackend", "PythonResult", "Resource", "ResourceFile", "ResourceGroup"]


def __getattr__(name: str) -> Any:
    if name == "BatchPoolExecutor":
        from hail_batch_jupyter.batch.batch_pool_executor import BatchPoolExecutor

        return BatchPoolExecutor
    if name != "LocalBackend":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hail_batch_jupyter.core.registry import backend_class

    return backend_class("local")

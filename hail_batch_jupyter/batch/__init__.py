"""Describing and running batches: a drop-in for `hailtop.batch`.

>>> import hail_batch_jupyter.batch as hb
>>> b = hb.Batch()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.batch.backend import Backend
from hail_batch_jupyter.batch.batch import Batch
from hail_batch_jupyter.batch.docker import build_python_image
from hail_batch_jupyter.batch.exceptions import BatchException
from hail_batch_jupyter.batch.resource import PythonResult, Resource, ResourceFile, ResourceGroup
from hail_batch_jupyter.batch.stage import JobStage
from hail_batch_jupyter.batch.utils import concatenate, plink_merge

if TYPE_CHECKING:
    from hail_batch_jupyter.backends.local import LocalBackend
    from hail_batch_jupyter.backends.service.backend import ServiceBackend
    from hail_batch_jupyter.backends.slurm import SlurmBackend
    from hail_batch_jupyter.batch.batch_pool_executor import BatchPoolExecutor

__all__ = [
    "Backend",
    "Batch",
    "BatchException",
    "BatchPoolExecutor",
    "JobStage",
    "LocalBackend",
    "PythonResult",
    "Resource",
    "ResourceFile",
    "ResourceGroup",
    "ServiceBackend",
    "SlurmBackend",
    "build_python_image",
    "concatenate",
    "plink_merge",
]

_HOMES = {"BatchPoolExecutor": "batch_pool_executor", "LocalBackend": "backend", "ServiceBackend": "backend", "SlurmBackend": "backend"}
"""Name -> module of this package that has it; imported when first used."""

_MODULES = frozenset({"globals", "hail_genetics_images", "job"})
"""Modules of this package that nothing above imports, and that are names of it all the same."""


def __getattr__(name: str) -> Any:
    import importlib

    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

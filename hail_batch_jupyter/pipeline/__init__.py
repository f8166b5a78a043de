"""The former names of `hail_batch_jupyter.batch`, for scripts written for `hailtop.pipeline`: a pipeline is a batch, a task a bash job."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from hail_batch_jupyter.pipeline.backend import Backend, BatchBackend
from hail_batch_jupyter.pipeline.pipeline import Pipeline
from hail_batch_jupyter.pipeline.resource import InputResourceFile, Resource, ResourceFile, ResourceGroup, TaskResourceFile
from hail_batch_jupyter.pipeline.task import Task
from hail_batch_jupyter.pipeline.utils import PipelineException, concatenate, plink_merge

if TYPE_CHECKING:
    from hail_batch_jupyter.pipeline.backend import LocalBackend

__all__ = [
    "Backend",
    "BatchBackend",
    "InputResourceFile",
    "LocalBackend",
    "Pipeline",
    "PipelineException",
    "Resource",
    "ResourceFile",
    "ResourceGroup",
    "Task",
    "TaskResourceFile",
    "concatenate",
    "plink_merge",
]

warnings.warn("'hail_batch_jupyter.pipeline' holds former names; use 'hail_batch_jupyter.batch'", DeprecationWarning, stacklevel=2)


def __getattr__(name: str) -> Any:
    if name != "LocalBackend":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hail_batch_jupyter.pipeline import backend

    return backend.LocalBackend

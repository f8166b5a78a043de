"""The exception and the functions of pipelines, under the former names."""

from __future__ import annotations

from hail_batch_jupyter.batch.globals import arg_max
from hail_batch_jupyter.batch.utils import concatenate, plink_merge
from hail_batch_jupyter.errors import BatchException

__all__ = ["PipelineException", "arg_max", "concatenate", "plink_merge"]

PipelineException = BatchException

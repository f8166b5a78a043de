"""Jobs, under the module name that hailtop gives them."""

from __future__ import annotations

from hail_batch_jupyter.batch.base_job import Job
from hail_batch_jupyter.batch.bash_job import BashJob
from hail_batch_jupyter.batch.python_job import PythonJob

__all__ = ["BashJob", "Job", "PythonJob"]

"""Batches that run for real on this machine, and what they left."""

from __future__ import annotations

from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import pytest

from hail_batch_jupyter.batch import Batch, LocalBackend
from hail_batch_jupyter.errors import JobFailedError


def batch_in(folder: Path, **settings: Any) -> Batch:
    """An empty batch on a new local backend, whose scratch has a blank in its path."""
    return Batch(name="b", backend=LocalBackend(tmp_dir=f"{folder}/with blank/"), **settings)


def failure_of(b: Batch) -> JobFailedError:
    """What the run of a batch raises."""
    with pytest.raises(CalledProcessError) as caught:
        b.run()
    assert isinstance(caught.value, JobFailedError)
    return caught.value


def states(b: Batch) -> dict[str, str]:
    """Name of each job of the last run -> how it ended."""
    assert b.last_run is not None
    return {str(job["name"]): str(job["state"]) for job in b.last_run.jobs()}


def text_of(b: Batch, resource: Any, folder: Path) -> str:
    """What a file holds after a run."""
    b.write_output(resource, folder / "f")
    b.run()
    return (folder / "f").read_text(encoding="utf-8")

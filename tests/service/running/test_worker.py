"""What the service makes of posted jobs before they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.service.running.where import chosen
from hail_batch_jupyter.service.running.worker import Worker
from hail_batch_jupyter.service.store.rows import BatchRow, JobFacts, JobRow

BATCH = BatchRow(7, "ann", "lab", "token", {}, None, 0, False, False, None, 0, 0)


def spec(image: str, **fields: Any) -> dict[str, Any]:
    process = {"type": "docker", "image": image, "command": ["true"]}
    granted = {"req_memory": "1Gi", "memory_bytes": 1 << 30, "cores_mcpu": 1000}
    return {
        "process": process,
        "env": [],
        "resources": granted,
        "always_copy_output": False,
        **fields,
    }


@pytest.mark.parametrize(
    ("images", "posted"),
    [
        pytest.param(True, spec(""), id="no-image"),
        pytest.param(False, spec("ubuntu:24.04"), id="no-containers"),
        pytest.param(True, spec("ubuntu:24.04", input_files=[{"from": "file:///etc/shadow", "to": "/io/in"}]), id="input"),
        pytest.param(True, spec("ubuntu:24.04", output_files=[{"from": "/io/out", "to": "file:///etc/shadow"}]), id="output"),
    ],
)
def test_a_job_that_was_taken_for_an_account_of_its_own_never_runs_under_that_of_the_service(tmp_path: Path, images: bool, posted: dict[str, Any]) -> None:
    worker = Worker(tmp_path, "me", chosen(tmp_path, None, images=False)._replace(images=images))
    row = JobRow(1, JobFacts("j", False, 1, (), {}, "", 1000, 1 << 30), None, None, None, (), 0)
    try:
        assert worker.describe(BATCH._replace(user="me"), [row], [posted], {}).jobs[0].command == ("true",)
        with pytest.raises(SubmitError, match="job 1 of batch 7 is to run under the account of 'ann', and the service was started without --logins"):
            worker.describe(BATCH, [row], [posted], {})
    finally:
        worker.close()

from __future__ import annotations

import pytest

from hail_batch_jupyter.core.events import JobView
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe.failure import describe_end


@pytest.mark.parametrize(
    ("state", "exit_code", "reason", "words"),
    [
        pytest.param(JobState.FAILED, 3, "", "failed with exit code 3", id="exit code"),
        pytest.param(JobState.FAILED, 137, "", "failed with exit code 137 (SIGKILL)", id="signal"),
        pytest.param(JobState.FAILED, 139, "", "failed with exit code 139 (SIGSEGV)", id="another signal"),
        pytest.param(JobState.FAILED, 255, "", "failed with exit code 255", id="no signal of that number"),
        pytest.param(JobState.FAILED, 137, "out of memory", "failed (out of memory), exit code 137", id="reason"),
        pytest.param(JobState.ERROR, None, "timed out", "failed (timed out)", id="reason alone"),
        pytest.param(JobState.CANCELLED, None, "cancelled", "cancelled", id="the reason says no more"),
    ],
)
def test_the_end_of_a_job_is_told_in_words(state: JobState, exit_code: int | None, reason: str, words: str) -> None:
    assert describe_end(JobView(1, state, exit_code=exit_code, reason=reason)) == words

"""What every backend must do; jobs talk to the test by what they print and by states only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hail_batch_jupyter.core.events import BatchSnapshot
from hail_batch_jupyter.core.ports import Backend, SubmitOptions
from hail_batch_jupyter.core.spec import BatchSpec, Edge, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import BatchException, CapabilityError
from tests.conftest import wait_until
from tests.engine.jobs import HOLD, LONG_S, bash, batch, states

Run = Any


def begin(backend: Backend, *jobs: JobSpec, **settings: Any) -> Run:
    return backend.submit(batch(*jobs, **settings), SubmitOptions())


def ended(backend: Backend, *jobs: JobSpec, **settings: Any) -> Run:
    running = begin(backend, *jobs, **settings)
    running.wait(LONG_S)
    return running


def log(running: Run, job_id: int) -> str:
    return str(running.get_job_log(job_id)["main"])


def says(running: Run, job_id: int, word: str) -> None:
    """Wait until a job has printed the word."""
    wait_until(lambda: word in log(running, job_id), story=lambda: running.get_job(job_id))


@pytest.mark.parametrize(
    ("script", "state", "exit_code"),
    [
        ("true", "Success", 0),
        ("exit 1", "Failed", 1),
        ("exit 255", "Failed", 255),
        ("kill -KILL $$", "Failed", 137),
        ("no-such-program", "Failed", 127),
        ("false; true", "Failed", 1),
    ],
)
def test_state_and_exit_code_of_one_job(backend: Backend, script: str, state: str, exit_code: int) -> None:
    running = ended(backend, bash(1, script))

    job = running.get_job(1)
    assert (job["state"], job["exit_code"]) == (state, exit_code)
    assert running.status()["state"] == ("success" if state == "Success" else "failure")


def test_a_diamond_runs_in_its_order(backend: Backend) -> None:
    running = ended(backend, bash(1, ":"), bash(2, ":", [1]), bash(3, ":", [1]), bash(4, ":", [2, 3]))

    order = [event.job_id for event in running.events() if event.state is JobState.SUCCESS]
    starts = [event.job_id for event in running.events() if event.state is JobState.RUNNING and event.phase == "main"]
    assert states(running) == "SSSS"
    assert (order[0], order[-1]) == (1, 4)
    assert (starts[0], starts[-1]) == (1, 4)


def test_a_failed_parent_cancels_its_descendants_but_not_always_run(backend: Backend) -> None:
    jobs = [bash(1, "exit 1"), bash(2, ":", [1]), bash(3, ":", [2]), bash(4, "echo always", [2], always_run=True), bash(5, ":")]

    running = ended(backend, *jobs)

    assert states(running) == "FKKSS"
    assert log(running, 4) == "always\n"


def test_a_job_that_waits_for_an_end_runs_after_a_failure_or_is_refused(backend: Backend) -> None:
    jobs = [bash(1, "exit 1"), bash(2, ":", [Edge(1, "end")])]

    if backend.name == "service":  # its protocol has no such waiting
        with pytest.raises(CapabilityError, match="'job2' waits for the end of another job"):
            begin(backend, *jobs)
    else:
        assert states(ended(backend, *jobs)) == "FS"


def test_all_transitions_are_those_of_the_state_machine(backend: Backend) -> None:
    running = ended(backend, bash(1, "exit 1"), bash(2, ":", [1]), bash(3, ":"), bash(4, HOLD, timeout_s=0.5))

    events = running.events()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert BatchSnapshot.empty([1, 2, 3, 4]).after(events, strict=True) == running.snapshot()


def test_cancel_ends_running_ready_and_waiting_jobs(backend: Backend) -> None:
    running = begin(backend, *(bash(number, f"echo here; {HOLD}") for number in (1, 2)), bash(3, ":", [1]), bash(4, "echo still", [1], always_run=True))
    says(running, 1, "here")

    running.cancel()
    running.cancel()
    status = running.wait(LONG_S)

    assert states(running) == "KKKS"
    assert (status["state"], status["complete"], status["n_cancelled"]) == ("cancelled", True, 3)


def test_cancelling_an_ended_run_changes_nothing(backend: Backend) -> None:
    running = ended(backend, bash(1, ":"))

    running.cancel()

    assert running.status()["state"] == "success"


def test_a_timeout_is_an_error(backend: Backend) -> None:
    running = ended(backend, bash(1, HOLD, timeout_s=0.5), bash(2, ":", [1]))

    assert states(running) == "EK"
    assert running.get_job(1)["reason"] == "timed out"


def test_a_run_is_cancelled_after_so_many_failures(backend: Backend) -> None:
    running = ended(backend, bash(1, "exit 1"), bash(2, HOLD), bash(3, ":", [2]), cancel_after_n_failures=1)

    assert states(running) == "FKK"
    assert running.status()["state"] == "failure"


def test_logs_hold_both_outputs_and_can_be_read_in_parts(backend: Backend) -> None:
    running = ended(backend, bash(1, "echo out; echo err >&2; printf 0123456789"))

    assert log(running, 1) == "out\nerr\n0123456789"
    assert [running.log(1, start=start, length=length) for start, length in ((-10, None), (-10, 3), (0, 4), (8, 2))] == [b"0123456789", b"012", b"out\n", b"01"]
    assert running.log_tail(1, 1) == "0123456789"


def test_a_log_is_read_while_the_job_runs(backend: Backend) -> None:
    running = begin(backend, bash(1, f"echo here; {HOLD}"))
    says(running, 1, "here")

    assert not running.status()["complete"]
    running.cancel()
    running.wait(LONG_S)


def test_each_job_has_an_empty_directory_and_empty_input(backend: Backend) -> None:
    running = ended(backend, *(bash(number, "ls -A | wc -l; cat; echo x > file") for number in (1, 2, 3)))

    assert [log(running, number).split() for number in (1, 2, 3)] == [["0"]] * 3


def test_files_of_a_parent_are_there_for_its_child(backend: Backend) -> None:
    made = '"$BATCH_TMPDIR/d1/made"'
    running = ended(backend, bash(1, f"echo text > {made}", promises=("d1/made",)), bash(2, f"cat {made}", [1], needs=("d1/made",)))

    assert log(running, 2) == "text\n"


def test_a_promised_file_that_is_missing_fails_the_job(backend: Backend) -> None:
    running = ended(backend, bash(1, ":", promises=("d1/made",)), bash(2, ":", [1], needs=("d1/made",)))

    assert states(running)[:2] == "FK"


def test_env_reaches_the_job_and_no_answer(backend: Backend) -> None:
    running = ended(backend, bash(1, 'echo "${#TOKEN}"', env={"TOKEN": "a secret of 23 letters!"}, key="k"))

    assert log(running, 1) == "23\n"
    assert "a secret" not in str([running.status(), list(running.jobs()), running.snapshot(), running.events()])


def test_status_and_jobs_have_the_keys_of_the_service(backend: Backend) -> None:
    running = ended(backend, bash(1, ":", attributes={"a": "b"}), attributes={"c": "d"})

    status, job = running.status(), next(iter(running.jobs()))
    assert set(status) >= {
        "id",
        "state",
        "complete",
        "n_jobs",
        "n_completed",
        "n_succeeded",
        "n_failed",
        "n_cancelled",
        "time_created",
        "duration",
        "cost",
        "attributes",
    }
    assert set(job) >= {"batch_id", "job_id", "name", "state", "exit_code", "duration", "cost", "attributes", "always_run"}
    assert (job["name"], job["attributes"]) == ("job1", {"a": "b", "name": "job1"})
    assert status["attributes"] == {"c": "d", "name": "test"}
    json.dumps([status, job])


def test_waiting_has_a_time_and_can_be_for_some_jobs_only(backend: Backend) -> None:
    running = begin(backend, bash(1, ":"), bash(2, HOLD))
    running.wait(LONG_S, [1])

    assert running.get_job(1)["state"] == "Success"
    with pytest.raises(TimeoutError, match="it goes on"):
        running.wait(0.01)
    running.cancel()
    assert running.wait(LONG_S)["complete"]


def test_a_failed_run_has_an_error_that_shows_why(backend: Backend) -> None:
    running = ended(backend, bash(1, "echo because >&2; exit 7"), bash(2, ":"))

    error = running.error()
    assert error is not None
    assert error.returncode == 7
    assert "because" in str(error)
    assert "job1" in str(error)
    assert ended(backend, bash(1, ":")).error() is None


def test_a_number_that_is_no_job_is_refused(backend: Backend) -> None:
    running = ended(backend, bash(1, ":"))

    with pytest.raises(BatchException, match="has no job 9; its jobs are 1 to 1"):
        running.get_job(9)


def test_a_batch_without_jobs_succeeds(backend: Backend) -> None:
    running = backend.submit(BatchSpec("empty", ()), SubmitOptions())

    assert running.wait(LONG_S)["state"] == "success"


def test_a_listener_hears_of_the_end(backend: Backend) -> None:
    heard: list[BatchSnapshot] = []
    running = begin(backend, bash(1, ":"))

    stop = running.subscribe(heard.append)
    wait_until(lambda: heard and heard[-1].ended_ms is not None)
    stop()

    assert heard[-1].jobs[0].state is JobState.SUCCESS

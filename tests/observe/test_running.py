from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.core.events import BatchSnapshot, JobEvent
from hail_batch_jupyter.core.state import BatchState, JobState
from hail_batch_jupyter.errors import BatchException, JobFailedError, RunLostError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import attach, read_spec
from hail_batch_jupyter.observe.journal import JournalWriter
from hail_batch_jupyter.observe.local_port import LocalPort
from hail_batch_jupyter.observe.running import RunningBatch
from tests.conftest import wait_until
from tests.engine.jobs import HOLD, LONG_S, Gate, bash, batch, main_log, run, states, submit

BATCH_KEYS = {
    "id", "state", "complete", "closed", "n_jobs", "n_completed", "n_succeeded", "n_failed", "n_cancelled", "time_created", "time_closed",
    "time_completed", "duration_ms", "duration", "msec_mcpu", "cost", "cost_breakdown", "attributes",
}  # fmt: skip
JOB_KEYS = {"batch_id", "job_id", "name", "user", "state", "exit_code", "duration", "cost", "cost_breakdown", "always_run", "attributes", "job_group_id"}


def test_a_run_that_somebody_comes_back_to_says_how_it_ended() -> None:
    ended = run(batch(bash(1, "echo hi")))

    assert repr(attach(str(ended.id))) == f"<RunningBatch {ended.id} {BatchState.SUCCESS.value}>"


@pytest.fixture
def port(tmp_path: Path) -> LocalPort:
    (tmp_path / "logs").mkdir()
    return LocalPort(tmp_path)


def journal(directory: Path, *events: JobEvent) -> None:
    writer = JournalWriter(directory / "events.jsonl")
    for event in events:
        writer.write(event)
    writer.close()


@pytest.mark.parametrize(
    ("start", "length", "part"),
    [
        (0, None, b"0123456789"),
        (0, 3, b"012"),
        (4, None, b"456789"),
        (4, 2, b"45"),
        (10, None, b""),
        (99, 5, b""),
        (-3, None, b"789"),
        (-3, 2, b"78"),
        (-10, 1, b"0"),
        (-99, None, b"0123456789"),
        (0, 0, b""),
    ],
)
def test_any_part_of_a_log_can_be_read(port: LocalPort, start: int, length: int | None, part: bytes) -> None:
    (port.directory / "logs/1.1.main.log").write_bytes(b"0123456789")

    assert port.log(1, start=start, length=length) == part


def test_a_log_that_is_not_there_is_empty(port: LocalPort) -> None:
    assert port.log(1) == b""
    assert port.log(1, "input", attempt=3) == b""


def test_without_a_number_the_log_of_the_last_attempt_is_meant(port: LocalPort) -> None:
    for attempt in (1, 2):
        (port.directory / f"logs/1.{attempt}.main.log").write_text(f"attempt {attempt}")
    journal(port.directory, *(JobEvent(0, 0, 1, JobState.RUNNING, attempt=attempt, phase="main") for attempt in (1, 2)))

    assert port.log(1) == b"attempt 2"
    assert port.log(1, attempt=1) == b"attempt 1"


def test_each_reader_of_events_has_its_own_place(port: LocalPort) -> None:
    journal(port.directory, *(JobEvent(0, 0, job_id, JobState.READY) for job_id in (1, 2, 3)))

    assert [[event.seq for event in port.events(after, 0)] for after in (0, 2, 0, 3, 99)] == [[1, 2, 3], [3], [1, 2, 3], [], []]


def test_waiting_for_events_ends_as_soon_as_there_is_one(port: LocalPort) -> None:
    found: list[Any] = []
    reader = threading.Thread(target=lambda: found.extend(port.events(0, LONG_S)))
    reader.start()
    journal(port.directory, JobEvent(0, 0, 1, JobState.READY))
    reader.join(LONG_S)

    assert [event.job_id for event in found] == [1]


def test_many_readers_at_once_see_every_event_once(port: LocalPort) -> None:
    seen: list[list[int]] = [[] for _ in range(4)]

    def read(mine: list[int]) -> None:
        while len(mine) < 300:
            mine.extend(event.seq for event in port.events(len(mine), LONG_S))

    readers = [threading.Thread(target=read, args=(mine,)) for mine in seen]
    for reader in readers:
        reader.start()
    writer = JournalWriter(port.directory / "events.jsonl")
    for number in range(300):
        writer.write(JobEvent(0, 0, number, JobState.READY))
        writer.flush()
    writer.close()
    for reader in readers:
        reader.join(LONG_S)

    assert seen == [list(range(1, 301))] * 4


def test_wait_gives_the_status_of_the_ended_run() -> None:
    running = submit(bash(1, ":"))

    status = running.wait(LONG_S)

    assert (status["state"], status["complete"], status["n_jobs"], status["n_succeeded"]) == ("success", True, 1, 1)
    assert running.last_known_status() == status == running.status()


def test_wait_gives_up_after_its_time_and_the_run_goes_on(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, gate.shell))

    with pytest.raises(TimeoutError, match=rf"run {running.id} has not ended within 0.05 s; it goes on"):
        running.wait(0.05)
    with pytest.raises(TimeoutError, match="within 0 s"):
        running.wait(0)
    gate.let_through()

    assert running.wait(LONG_S)["state"] == "success"


def test_wait_for_some_jobs_does_not_wait_for_the_others(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, ":"), bash(2, gate.shell, [1]), bash(3, ":", [2]))

    status = running.wait(LONG_S, [1])

    assert not status["complete"]
    assert running.get_job(1)["state"] == "Success"
    gate.let_through()
    assert running.wait(LONG_S, [3, 2])["n_succeeded"] == 3


def test_a_status_has_the_keys_of_the_service() -> None:
    running = run(batch(bash(1, "exit 2", attributes={"colour": "blue"}), bash(2, ":", [1]), name="fit", attributes={"a": "b"}))

    status, job = running.status(), running.get_job(1)

    assert set(status) == BATCH_KEYS
    assert set(job) >= JOB_KEYS
    assert status["attributes"] == {"a": "b", "name": "fit"} == running.attributes
    assert (status["n_failed"], status["n_cancelled"], status["n_completed"]) == (1, 1, 2)
    assert status["duration_ms"] >= 0
    assert status["time_completed"] >= status["time_created"]
    assert job["attributes"] == {"colour": "blue", "name": "job1"}
    assert (job["state"], job["exit_code"], job["always_run"], job["batch_id"]) == ("Failed", 2, False, running.id)
    json.dumps([status, job])


def test_jobs_are_found_by_state_or_name() -> None:
    running = run(bash(1, "exit 1", name="align one"), bash(2, ":", name="align two"), bash(3, ":", name=None, key="k"))

    assert [[job["job_id"] for job in running.jobs(q)] for q in (None, "failed", "SUCCESS", "align", "Two", "none")] == [
        [1, 2, 3],
        [1],
        [2, 3],
        [1, 2],
        [2],
        [],
    ]


@pytest.mark.parametrize("job_id", [0, 3, -1])
def test_a_number_that_is_no_job_is_answered_with_those_that_are(job_id: int) -> None:
    running = run(bash(1, ":"), bash(2, ":"))

    with pytest.raises(BatchException, match=rf"run {running.id} has no job {job_id}; its jobs are 1 to 2"):
        running.get_job(job_id)


def test_the_log_of_a_job_is_there_while_it_runs(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, f"echo before; {gate.shell}; echo after"))
    gate.reached()

    assert running.get_job_log(1) == {"main": "before\n"}
    gate.let_through()
    running.wait(LONG_S)
    assert main_log(running) == "before\nafter\n"


def test_the_tail_of_a_log_is_its_last_lines() -> None:
    running = run(bash(1, "for i in {1..5000}; do echo line $i; done; printf last"), bash(2, ":"))

    assert running.log_tail(1, 3) == "line 4999\nline 5000\nlast"
    assert running.log_tail(1).count("\n") == 9
    assert running.log_tail(2) == ""


def test_a_run_without_failures_has_no_error() -> None:
    running = run(bash(1, ":"))

    assert running.error() is None


def test_an_error_says_what_failed_with_which_code_and_shows_the_log() -> None:
    running = run(bash(1, "echo why >&2; exit 3", name="fit"), bash(2, ":", [1]))

    error = running.error()

    assert isinstance(error, JobFailedError)
    assert str(error) == f"job 'fit' failed with exit code 3 in run {running.id}; %batch_log fit, or get_job_log(1), gives all that it printed\n    | why"
    assert (error.returncode, error.failed, error.logs) == (3, ((1, "fit", "Failed", 3),), {1: "why"})


def test_the_error_of_named_jobs_counts_cancelled_ones_and_no_others() -> None:
    running = run(bash(1, "echo why; exit 1"), bash(2, ":", [1]), bash(3, ":", [2]), bash(4, ":"))

    of_grandchild = running.error([3])

    words = "job 'job3' was cancelled ('job1', which it needs, failed)"
    assert str(of_grandchild) == f"{words} in run {running.id}; %batch_log job1, or get_job_log(1), gives all that it printed\n    | why"
    assert running.error([4]) is None


def test_the_error_of_a_timeout_has_the_code_of_timeouts() -> None:
    error = run(bash(1, HOLD, timeout_s=0.1)).error()

    assert error is not None
    assert error.returncode == 124
    assert "failed (timed out)" in str(error)


def test_a_cancelled_run_is_an_error_when_it_has_ended(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, gate.shell))
    gate.reached()
    before = running.error()
    running.cancel()
    running.wait(LONG_S)

    assert before is None
    assert "was cancelled" in str(running.error())


def test_a_file_that_is_gone_is_said_with_a_remedy() -> None:
    kept = run(bash(1, "echo x > made", promises=("d1/made",)), keep_files=True)
    dropped = run(bash(1, "echo x > made", promises=("d1/made",)))
    kept.file("d1/made").unlink()

    with pytest.raises(RunLostError, match=r"'d1/made' of run .* is not there: it was removed since; run the batch again"):
        kept.file("d1/made")
    with pytest.raises(RunLostError, match=r"intermediate files were removed when the run ended; use .*write_output"):
        dropped.file("d1/made")


def collect(running: RunningBatch) -> tuple[list[BatchSnapshot], Callable[[], None]]:
    seen: list[BatchSnapshot] = []
    return seen, running.subscribe(seen.append)


def test_a_listener_hears_of_news_and_of_the_end_and_never_goes_back(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, gate.shell), bash(2, ":", [1]))
    seen, stop = collect(running)
    wait_until(lambda: any(snapshot.jobs[0].state is JobState.RUNNING for snapshot in seen))
    gate.let_through()
    wait_until(lambda: seen[-1].ended_ms is not None)
    stop()

    numbers = [snapshot.seq for snapshot in seen]
    assert numbers == sorted(set(numbers))
    assert seen[-1].state is BatchState.SUCCESS


def test_a_listener_that_is_stopped_hears_no_more(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, gate.shell))
    others = set(threading.enumerate())
    seen, stop = collect(running)
    gate.reached()
    stop()
    count = len(seen)
    gate.let_through()
    running.wait(LONG_S)

    assert len(seen) == count
    assert not [thread for thread in set(threading.enumerate()) - others if "hail-batch-jupyter" in thread.name]


def test_a_listener_of_an_ended_run_hears_of_its_end_once() -> None:
    running = run(bash(1, ":"))
    seen, stop = collect(running)
    wait_until(lambda: seen)
    stop()

    assert [snapshot.ended_ms is not None for snapshot in seen] == [True]


def test_a_listener_may_stop_itself() -> None:
    running = run(bash(1, ":"))
    heard = threading.Event()
    stop: list[Callable[[], None]] = []

    def listen(snapshot: BatchSnapshot) -> None:
        del snapshot
        wait_until(lambda: stop)
        stop[0]()
        heard.set()

    stop.append(running.subscribe(listen))

    assert heard.wait(LONG_S)


def test_a_run_is_attached_by_its_id_while_it_goes_on_and_after(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, f"echo one; {gate.shell}", env={"TOKEN": "x"}), bash(2, ":", [1]))
    gate.reached()
    other = attach(str(running.id))
    assert other.alive()
    wait_until(lambda: states(other) in ("XP", "RP"))  # a start is written down right after it
    gate.let_through()

    other.wait(LONG_S)

    assert main_log(other) == "one\n"
    assert attach(str(running.id)).status() == running.status()
    assert dict(other.spec.jobs[0].env) == {"TOKEN": ""}


def test_one_handle_cancels_what_another_one_began(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, gate.shell))
    gate.reached()

    attach(str(running.id)).cancel()

    assert running.wait(LONG_S)["state"] == "cancelled"


def test_deleting_a_run_cancels_it_and_removes_everything(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, gate.shell), backend=LocalBackend(tmp_dir=str(tmp_path)))
    gate.reached()

    running.delete()

    assert running.directory is not None
    assert not running.directory.exists()
    wait_until(lambda: not list((tmp_path / f"batch-{os.getuid()}").iterdir()))
    assert rundir.list_runs() == []
    with pytest.raises(RunLostError, match="there is no run"):
        attach(str(running.id))


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 1}', None])
def test_a_run_whose_spec_cannot_be_read_is_refused_with_a_sentence(text: str | None) -> None:
    running = run(bash(1, ":"))
    assert running.directory is not None
    (running.directory / "spec.json").unlink()
    if text is not None:
        (running.directory / "spec.json").write_text(text)

    with pytest.raises(RunLostError, match=r"the description of run '.*' cannot be read \(.*\); it cannot be attached"):
        attach(str(running.id))


def test_the_spec_on_disk_is_the_spec_that_runs() -> None:
    spec = batch(bash(1, ":", attributes={"a": "b"}), bash(2, "exit 1", [1], timeout_s=5))
    running = run(spec)

    assert running.directory is not None
    assert read_spec(running.directory) == spec


def test_a_run_says_what_it_costs() -> None:
    assert run(bash(1, ":")).cost_text() == "no charge on this machine"

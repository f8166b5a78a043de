from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hail_batch_jupyter.core.events import BatchSnapshot, JobEvent
from hail_batch_jupyter.core.spec import BatchSpec, to_json
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe import owner, procfs, rundir, slurm_jobs
from hail_batch_jupyter.observe.attach import attach
from hail_batch_jupyter.observe.journal import JournalWriter, read_events
from hail_batch_jupyter.observe.recover import BEGINNING, LOST, close_dead_run
from hail_batch_jupyter.observe.sweep import sweep
from tests.core.graphs import node

P, R, X, OK, F, K = JobState.PENDING, JobState.READY, JobState.RUNNING, JobState.SUCCESS, JobState.FAILED, JobState.CANCELLED
START = JobEvent(0, 1, 0, phase="start")
SPEC = BatchSpec("dead", tuple(node(job_id)._replace(promises=(f"d{job_id}/made",) if job_id == 2 else ()) for job_id in range(1, 5)))


def events(job_id: int, *states: JobState, pid: int = 0, time_ms: int = 5) -> list[JobEvent]:
    """A history of one job in its first attempt."""
    return [
        JobEvent(0, time_ms, job_id, state, attempt=int(state is not R), phase="main" if state is X else "", pid=pid if state is X else 0) for state in states
    ]


def dead_run(*history: JobEvent, done: str = "") -> Path:
    """A run directory as a killed runner leaves it."""
    directory = rundir.create("dead", {"name": "dead", "lineage": "", "n_jobs": 4, "kept": True, "previous": None, "notebook": ""})
    described = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps({**described, "scratch": str(directory / "scratch")}))
    (directory / "spec.json").write_text(json.dumps(to_json(SPEC)))
    (directory / "scratch" / "d2").mkdir(parents=True)
    journal = JournalWriter(directory / "events.jsonl")
    for event in history:
        journal.write(event)
    journal.close()
    (directory / "done").write_text(done)
    owner.write_owner(directory, 2**22 + 1)
    return directory


def closed(directory: Path) -> BatchSnapshot:
    assert close_dead_run(directory, SPEC, directory / "scratch")
    return BatchSnapshot.empty([1, 2, 3, 4]).after(read_events(directory / "events.jsonl"), strict=True)


def letters(snapshot: BatchSnapshot) -> str:
    return "".join("K" if view.state is K else view.state.value[0] for view in snapshot.jobs)


def test_what_had_ended_stays_and_the_rest_is_cancelled_by_legal_steps() -> None:
    directory = dead_run(START, *events(1, R, X, OK), *events(2, R, X, F), *events(3, R), *events(4, R, X))

    snapshot = closed(directory)

    assert letters(snapshot) == "SFKK"
    assert {view.reason for view in snapshot.jobs[2:]} == {LOST}
    assert snapshot.ended_ms is not None
    assert (directory / "ended").exists()


def test_an_attempt_that_was_closed_as_a_failure_is_no_success_because_of_files_of_the_next() -> None:
    again = JobEvent(0, 5, 2, R, attempt=1, exit_code=1, reason="did not make 'made', which it promised", next_ms=5)
    directory = dead_run(START, *events(1, R, X, OK), *events(2, R, X), again, done="2.1\n")
    (directory / "scratch" / "d2" / "made").write_text("half of it")

    assert letters(closed(directory)) == "SKKK"


def test_an_attempt_that_was_begun_and_not_written_down_counts_as_one() -> None:
    again = JobEvent(0, 5, 1, R, attempt=1, exit_code=1, next_ms=5)
    for history, begun, counted in [
        ([], "2.1", [0, 1, 0, 0]),
        ([*events(1, R, X), again], "1.2", [2, 0, 0, 0]),
        ([*events(1, R, X, OK), *events(2, R)], "1.1", [1, 0, 0, 0]),
    ]:
        directory = dead_run(START, *history)
        (directory / BEGINNING).write_text(f"{begun:32}")
        os.utime(directory / BEGINNING, (3, 3))

        jobs = closed(directory).jobs

        assert [len(view.attempts) for view in jobs] == counted
        assert begun == "1.1" or {view.attempts[-1].started_ms for view in jobs if view.attempts} == {3000}


C = JobEvent(0, 4, 1, JobState.CREATING, attempt=1, reason="Slurm job 7_0")
FAILED_ONCE = [*events(1, R, X), JobEvent(0, 5, 1, R, attempt=1, exit_code=1, next_ms=5)]
BEGAN = {"1.1.began": "0 3000 n2"}


@pytest.mark.parametrize(
    ("history", "words", "kept", "starts_ms"),
    [
        ([*events(1, R), C], {}, "KKKK", []),
        ([*events(1, R), C], BEGAN, "KKKK", [3000]),
        ([*events(1, R), C], {"1.1.began": "0 4 n2"}, "KKKK", [5]),  # by a clock that is behind
        ([*events(1, R), C], {**BEGAN, "1.1.ended": "0 0 0 3000 4000 9 0.5 0 n2"}, "SKKK", [3000]),
        ([*events(1, R)], BEGAN, "KKKK", [3000]),
        ([*events(1, R, X)], BEGAN, "KKKK", [5]),
        (FAILED_ONCE, BEGAN, "KKKK", [5]),
        (FAILED_ONCE, {**BEGAN, "1.2.began": "0 4000 n2"}, "KKKK", [5, 4000]),
    ],
)
def test_what_a_job_of_a_cluster_said_and_nobody_heard_counts(history: list[JobEvent], words: dict[str, str], kept: str, starts_ms: list[int]) -> None:
    directory = dead_run(START, *history)
    folder = slurm_jobs.prepare(directory, {}) / slurm_jobs.WORDS
    for name, text in words.items():
        (folder / name).write_text(f"{text}\n")
    slurm_jobs.close_queue(directory)

    snapshot = closed(directory)

    assert (letters(snapshot), [attempt.started_ms for attempt in snapshot.jobs[0].attempts]) == (kept, starts_ms)


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ("", "the runner was killed"),
        ("the runner was killed by signal 9\n", "the runner was killed by signal 9"),
        ("Traceback\n  File x\nMemoryError: no\n", r"the runner ended: MemoryError: no \(all it said is in .*runner.log\)"),
    ],
)
def test_the_note_of_a_lost_run_says_how_its_runner_ended(said: str, note: str) -> None:
    directory = dead_run(START, *events(1, R))
    (directory / "runner.log").write_text("what the runner itself has to say\n" + said)

    snapshot = closed(directory)

    assert snapshot.lost
    assert re.fullmatch(note, snapshot.note)
    assert rundir.info(directory).outcome == "lost"


def test_a_job_that_is_noted_as_done_is_a_success_if_its_files_are_there() -> None:
    directory = dead_run(START, *events(1, R, X), *events(2, R, X), done="1.1\n2.1\n")
    (directory / "scratch/d2/made").write_text("text")

    snapshot = closed(directory)

    assert letters(snapshot) == "SSKK"
    assert snapshot.jobs[1].files[0][:2] == ("d2/made", 4)


def test_a_job_that_is_noted_as_done_without_its_files_is_cancelled() -> None:
    assert letters(closed(dead_run(START, *events(2, R, X), done="2.1\n"))) == "KKKK"


def test_the_note_of_an_earlier_attempt_does_not_count() -> None:
    again = [JobEvent(0, 6, 1, R, reason="lost"), JobEvent(0, 7, 1, X, attempt=2, phase="main")]

    assert letters(closed(dead_run(START, *events(1, R, X), *again, done="1.1\n11.1\n"))) == "KKKK"


def test_a_job_that_ended_before_its_start_was_written_down_is_a_success() -> None:
    assert letters(closed(dead_run(START, *events(1, R), *events(3, R), done="1.1\n"))) == "SKKK"


def test_a_half_written_note_and_line_do_no_harm() -> None:
    directory = dead_run(START, *events(1, R, X), *events(2, R), done="1.")
    with (directory / "events.jsonl").open("a") as journal:
        journal.write('{"seq":99,"time')

    assert letters(closed(directory)) == "KKKK"


def test_a_run_that_was_killed_before_its_first_event_is_closed() -> None:
    directory = dead_run()
    (directory / "events.jsonl").unlink()

    assert letters(closed(directory)) == "KKKK"


def test_a_run_is_closed_once() -> None:
    directory = dead_run(START)

    assert [close_dead_run(directory, SPEC, directory / "scratch") for _ in range(2)] == [True, False]


def test_a_living_run_is_not_closed() -> None:
    directory = dead_run(START)
    owner.write_owner(directory, os.getpid(), guard=os.getpid())

    assert not close_dead_run(directory, SPEC, directory / "scratch")


def test_a_run_whose_closing_was_itself_killed_is_closed_by_the_next() -> None:
    directory = dead_run(START, *events(1, R, X, OK))
    note = owner.take_over(directory)
    assert note is not None
    note.rename(directory / f"owner.dead.{procfs.host()}.{2**22 + 1}")

    running = attach(directory.name)

    assert letters(running.snapshot()) == "SKKK"
    assert running.complete


@pytest.fixture
def sleeper() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that the test starts; none outlives it."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def start(sleepers: list[subprocess.Popen[bytes]], *argv: str, **env: str) -> subprocess.Popen[bytes]:
    sleepers.append(subprocess.Popen(argv or ("/bin/sleep", "1000"), env=env, start_new_session=True))
    return sleepers[-1]


def journaled(process: subprocess.Popen[bytes], *, off_by_ms: int = 0) -> list[JobEvent]:
    """The start of a job whose leader is this process."""
    facts = procfs.stat(process.pid)
    assert facts is not None
    return events(1, R, X, pid=process.pid, time_ms=procfs.started_ms(facts) + off_by_ms)


def test_a_process_with_the_run_in_its_environment_is_ended(sleeper: list[subprocess.Popen[bytes]]) -> None:
    directory = dead_run(START)
    process = start(sleeper, **{procfs.RUN_VARIABLE: directory.name})
    other = start(sleeper, **{procfs.RUN_VARIABLE: directory.name + "x"})

    assert sweep(directory) == 1
    assert process.wait() == -signal.SIGTERM
    assert other.poll() is None


def test_a_process_of_a_journaled_session_is_ended_though_it_cleaned_its_environment(sleeper: list[subprocess.Popen[bytes]]) -> None:
    process = start(sleeper, "/bin/bash", "-c", "env -i /bin/sleep 1000 & wait")
    directory = dead_run(START, *journaled(process))

    assert sweep(directory) >= 1
    assert process.wait() in (-signal.SIGTERM, 0)  # its child may be ended first, and then it has nothing to wait for
    assert [pid for pid in procfs.pids() if (facts := procfs.stat(pid)) and facts.session == process.pid and not facts.zombie] == []


def test_a_process_that_ignores_the_word_to_end_is_killed(sleeper: list[subprocess.Popen[bytes]]) -> None:
    directory = dead_run(START)
    process = start(sleeper, "/bin/bash", "-c", "trap '' TERM; while :; do read -r -t 1000 _ <> <(:); done", **{procfs.RUN_VARIABLE: directory.name})

    sweep(directory)

    assert process.wait() in (-signal.SIGKILL, -signal.SIGTERM)


def test_a_stopped_process_is_ended_too(sleeper: list[subprocess.Popen[bytes]]) -> None:
    directory = dead_run(START)
    process = start(sleeper, **{procfs.RUN_VARIABLE: directory.name})
    process.send_signal(signal.SIGSTOP)

    sweep(directory)

    assert process.wait() == -signal.SIGTERM


def test_strangers_are_left_alone(sleeper: list[subprocess.Popen[bytes]]) -> None:
    stranger, reused = start(sleeper), start(sleeper)
    directory = dead_run(START, *journaled(reused, off_by_ms=-3_600_000))

    assert sweep(directory) == 0
    assert stranger.poll() is None
    assert reused.poll() is None


def test_a_session_whose_job_had_ended_is_left_alone(sleeper: list[subprocess.Popen[bytes]]) -> None:
    process = start(sleeper)

    assert sweep(dead_run(START, *journaled(process), *events(1, OK))) == 0
    assert process.poll() is None

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import attach
from hail_batch_jupyter.observe.rundir import RUNS_VARIABLE
from hail_batch_jupyter.observe.totals import Tally, Totals
from tests.conftest import wait_until
from tests.engine.jobs import HOLD, LONG_S, Gate, bash, batch, begun, events_per_state, exists, gone, main_log, pid_in, processes, run, states, submit
from tests.engine.killing import again, guard_pid, kill_runner, lines, maker, nothing_left, runner_pid
from tests.small_disks import mounted


def test_a_killed_runner_leaves_no_process_and_its_finished_jobs_are_finished(tmp_path: Path) -> None:
    jobs = [
        bash(1, f"echo 1 >> {tmp_path}/ran"),
        bash(2, f"echo $$ > {tmp_path}/pid; (setsid sleep 1000 &); sleep 1000 & {HOLD}", [1]),
        bash(3, ":", [2]),
        bash(4, ":", [2], always_run=True),
    ]
    running = submit(*jobs, keep_files=True)
    leader = pid_in(tmp_path / "pid")

    kill_runner(running)
    closed = attach(str(running.id))

    assert gone(leader)
    assert states(closed) == "SKKK"
    assert closed.complete
    assert closed.get_job(2)["reason"] == "the runner was killed"
    assert closed.status()["state"] == "cancelled"
    info = rundir.info(rundir.find(str(running.id)))
    assert (info.state, info.outcome) == ("ended", "lost")
    assert info.totals == Totals({JobState.SUCCESS: 1, JobState.CANCELLED: 3}) == Tally(info.directory, 4).read()


def test_the_next_run_runs_only_what_is_missing(tmp_path: Path) -> None:
    hold = f"[ -e {tmp_path}/free ] || {{ echo $$ > {tmp_path}/pid; {HOLD}; }}"
    scripts = ["", "", f"{hold};", ""]
    parents: list[list[int]] = [[], [1], [2], [3]]
    spec = batch(*(bash(n, f"{scripts[n - 1]} echo {n} >> {tmp_path}/ran; echo {n} > made", parents[n - 1], promises=(f"d{n}/made",)) for n in range(1, 5)))
    first = submit(spec, keep_files=True)
    pid_in(tmp_path / "pid")
    kill_runner(first)
    (tmp_path / "free").touch()

    second = run(again(spec, attach(str(first.id))), keep_files=True)

    assert states(second) == "SSSS"
    assert lines(tmp_path / "ran") == ["1", "2", "3", "4"]
    assert [view.reused for view in second.snapshot().jobs] == [True, True, False, False]
    directory = rundir.find(str(second.id))
    assert rundir.info(directory).totals == Totals({JobState.SUCCESS: 2}, reused=2) == Tally(directory, 4).read()


def test_a_job_that_ended_while_the_runner_was_stopped_is_known_as_finished(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    spec = batch(bash(1, f"{gate.shell}; echo 1 >> {tmp_path}/ran; echo x > made", promises=("d1/made",)))
    first = submit(spec, keep_files=True)
    gate.reached()
    leader = wait_until(lambda: first.snapshot().jobs[0].pid)
    os.kill(runner_pid(first), signal.SIGSTOP)
    gate.let_through()
    wait_until(lambda: gone(leader))

    kill_runner(first)
    closed = attach(str(first.id))

    assert states(closed) == "S"
    assert closed.snapshot().jobs[0].files[0][:2] == ("d1/made", 2)
    assert states(run(again(spec, closed), keep_files=True)) == "S"
    assert lines(tmp_path / "ran") == ["1"]


@pytest.mark.parametrize("script", ["true; {gate}; {say}", "{gate}; trap 'exit 0' TERM; {say}", "trap 'echo bye' EXIT; {gate}; {say}"])
def test_a_job_that_is_ended_by_the_guard_is_not_taken_for_finished(tmp_path: Path, script: str) -> None:
    gate = Gate(tmp_path / "gate")
    hold = Gate(tmp_path / "hold")
    first = submit(bash(1, script.format(gate=gate.shell, say=hold.shell)), keep_files=True)
    gate.let_through()
    hold.reached()

    kill_runner(first)

    assert states(attach(str(first.id))) == "K"


def test_a_job_that_failed_is_failed_after_its_runner_was_killed(tmp_path: Path) -> None:
    first = submit(bash(1, "exit 3"), bash(2, f": > {tmp_path}/here; {HOLD}"), backend=LocalBackend(cores=2))
    exists(tmp_path / "here")
    first.wait(LONG_S, [1])

    kill_runner(first)
    closed = attach(str(first.id))

    assert states(closed) == "FK"
    assert closed.status()["state"] == "failure"


def test_waiting_for_a_run_whose_runner_is_killed_ends_with_a_remedy(tmp_path: Path) -> None:
    running = submit(bash(1, ":"), bash(2, f": > {tmp_path}/here; {HOLD}", [1]), keep_files=True)
    exists(tmp_path / "here")
    os.kill(runner_pid(running), signal.SIGKILL)

    with pytest.raises(RunLostError, match=rf"the runner of {running.id} is gone.*; 1 of 2 jobs had finished: run the batch again to do the rest"):
        running.wait(LONG_S)

    assert running.complete
    assert states(running) == "SK"
    nothing_left(running)


def test_attaching_twice_closes_a_dead_run_once(tmp_path: Path) -> None:
    running = submit(bash(1, f": > {tmp_path}/here; {HOLD}"), keep_files=True)
    exists(tmp_path / "here")
    kill_runner(running)

    closed = [attach(str(running.id)) for _ in range(3)]

    assert {states(handle) for handle in closed} == {"K"}
    assert events_per_state(running)[(1, "Cancelled")] == 1


def test_when_guard_and_runner_are_killed_attaching_ends_the_processes(tmp_path: Path) -> None:
    running = submit(bash(1, f"echo $$ > {tmp_path}/pid; (setsid sleep 1000 &); sleep 1000 & {HOLD}"), keep_files=True)
    leader = pid_in(tmp_path / "pid")
    guard, runner = guard_pid(running), runner_pid(running)
    os.kill(guard, signal.SIGKILL)
    os.kill(runner, signal.SIGKILL)
    wait_until(lambda: gone(guard) and gone(runner))
    assert not gone(leader)

    closed = attach(str(running.id))

    assert not processes(running)
    assert gone(leader)
    assert states(closed) == "K"


def test_a_runner_that_is_asked_to_end_cancels_its_run(tmp_path: Path) -> None:
    running = submit(bash(1, f": > {tmp_path}/here; {HOLD}"), bash(2, ":", [1]))
    exists(tmp_path / "here")

    os.kill(runner_pid(running), signal.SIGTERM)
    running.wait(LONG_S)

    assert states(running) == "KK"
    assert running.snapshot().note == "the runner was asked to end"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_interrupts_and_hangups_do_not_touch_a_run(tmp_path: Path, number: signal.Signals) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, gate.shell))
    gate.reached()

    os.kill(runner_pid(running), number)
    os.kill(guard_pid(running), number)
    gate.let_through()
    running.wait(LONG_S)

    assert states(running) == "S"


def test_a_tied_run_ends_when_its_maker_is_killed(tmp_path: Path) -> None:
    with maker(f"bash(1, ': > {tmp_path}/here; ' + HOLD), bash(2, ':', [1])", detach=False) as (process, running):
        exists(tmp_path / "here")
        process.kill()
        running.wait(LONG_S)

    assert states(running) == "KK"
    assert running.snapshot().note == "the process that ran the batch ended"
    nothing_left(running)


def test_a_detached_run_goes_on_when_its_maker_is_killed(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    with maker(f"bash(1, {gate.shell!r}), bash(2, 'echo end', [1])", detach=True) as (process, running):
        gate.reached()
        process.kill()
        process.wait()
        gate.let_through()
        running.wait(LONG_S)

    assert states(running) == "SS"
    assert main_log(running, 2) == "end\n"


def test_a_detached_run_goes_on_when_the_group_of_its_maker_is_interrupted(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    with maker(f"bash(1, {gate.shell!r})", detach=True) as (process, running):
        gate.reached()
        process.send_signal(signal.SIGINT)
        process.wait()
        gate.let_through()
        running.wait(LONG_S)

    assert states(running) == "S"


def test_two_runs_of_one_maker_do_not_touch_each_other(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    one = submit(bash(1, f": > {tmp_path}/here; {HOLD}"))
    other = submit(bash(1, gate.shell))
    exists(tmp_path / "here")
    gate.reached()
    one.cancel()
    one.wait(LONG_S)
    nothing_left(one)
    begun(other, 1)

    assert states(other) == "X"
    gate.let_through()
    other.wait(LONG_S)
    assert states(other) == "S"


def fill_journal(running_pid: int, journal: Path) -> None:
    """From now on the runner can write a few more events into its journal and no more."""
    size = journal.stat().st_size
    resource.prlimit(running_pid, resource.RLIMIT_FSIZE, (size + 300, size + 300))


def test_a_journal_that_cannot_be_written_ends_the_run_with_a_clear_sentence_and_loses_nothing(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    say = f">> {tmp_path}/ran"
    # So many before the gate that their journal is longer than the runner's last words, which the limit must not cut.
    before = [bash(number, f"echo {number} {say}") for number in range(1, 61)]
    after = [bash(number, f"echo {number} {say}", [number - 1]) for number in range(62, 91)]
    spec = batch(*before, bash(61, f"{gate.shell}; echo 61 {say}", range(1, 61)), *after)
    first = submit(spec, keep_files=True)
    gate.reached()
    assert first.directory is not None
    fill_journal(runner_pid(first), first.directory / "events.jsonl")
    gate.let_through()

    with pytest.raises(RunLostError, match=r"the runner of .* is gone .*File too large.*jobs had finished: run the batch again to do the rest"):
        first.wait(LONG_S)
    nothing_left(first)
    closed = attach(str(first.id))
    running = states(closed).index("K") + 1  # when it was killed it may have said its line and not yet ended
    second = run(again(spec, closed), keep_files=True)
    ran = list(map(int, lines(tmp_path / "ran")))

    assert states(second) == "S" * 90
    assert sorted(ran) in (list(range(1, 91)), sorted([*range(1, 91), running]))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB that can be filled; the journal that cannot be written is tested without, too."""
    with mounted(tmp_path / "small", "256k") as folder:
        yield folder


def test_a_full_disk_ends_the_run_with_a_clear_sentence_and_loses_nothing(tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUNS_VARIABLE, str(small_disk))
    gate = Gate(tmp_path / "gate")
    fill = f"head -c 1000000 /dev/zero > {small_disk}/filler || :"
    jobs = [
        bash(1, f"echo 1 >> {tmp_path}/ran; echo x > made", promises=("d1/made",)),
        bash(2, f"{gate.shell}; [ -e {tmp_path}/freed ] || {{ {fill}; }}", [1], key="2"),
    ]
    spec = batch(*jobs, *(bash(number, f"echo {number} >> {tmp_path}/ran", [number - 1]) for number in range(3, 60)))
    first = submit(spec, keep_files=True)
    gate.let_through()

    with pytest.raises(RunLostError, match=r"the runner of .* is gone \(.*No space left on device.*\); 1?\d of 59 jobs had finished: .*free space"):
        first.wait(LONG_S)
    (small_disk / "filler").unlink()
    (tmp_path / "freed").touch()
    closed = attach(str(first.id))
    done_before = [int(line) for line in lines(tmp_path / "ran")]
    second = submit(again(spec, closed), keep_files=True)
    if closed.get_job(2)["state"] != "Success":
        gate.let_through()
    second.wait(LONG_S)

    assert closed.complete
    assert 1 in done_before
    assert states(second) == "S" * 59
    assert sorted(map(int, lines(tmp_path / "ran"))) == [1, *range(3, 60)]

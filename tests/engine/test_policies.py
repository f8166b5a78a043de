"""Retries, groups and limits with real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.core.retry import Retry
from hail_batch_jupyter.core.spec import Edge, GroupSpec, Request
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import BatchException, RunLiveError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import attach
from hail_batch_jupyter.observe.running import RunningBatch
from tests.at_once import two
from tests.conftest import wait_until
from tests.engine.jobs import HOLD, LONG_S, Gate, bash, batch, begun, exists, main_log, run, states, submit
from tests.engine.killing import again, kill_runner, lines, maker

LITTLE = Request(cpu_mcpu=50)
FAR_S = 3_000.0
"""A delay that no test waits for."""


def flaky(folder: Path, times: int, exit_code: int = 3) -> str:
    """A script that fails so often, and says each time which attempt it is and what its directory holds."""
    count = folder / "count"
    return f"echo x >> {count}; n=$(wc -l < {count}); echo attempt $n sees $(ls); touch left; [ $n -gt {times} ] || exit {exit_code}"


def waits_again(running: RunningBatch, job_id: int = 1) -> None:
    """Wait until the job has failed once and waits for its next attempt."""
    wait_until(lambda: running.attempts(job_id) and running.snapshot().jobs[job_id - 1].state is JobState.READY, story=lambda: states(running))


def when(running: RunningBatch, phase: str) -> int:
    """The time of an event of the whole run, in ms since the epoch."""
    return next(event.time_ms for event in running.events() if event.phase == phase and not event.job_id)


def test_a_job_that_fails_is_tried_again_in_an_empty_directory_with_a_log_of_its_own(tmp_path: Path) -> None:
    running = run(bash(1, flaky(tmp_path, 2), retry=Retry(3)))

    assert states(running) == "S"
    assert running.get_job(1)["attempt"] == 3
    assert [running.log(1, attempt=number).decode() for number in (1, 2, 3)] == [f"attempt {number} sees\n" for number in (1, 2, 3)]
    assert [(one.number, one.exit_code) for one in running.attempts(1)] == [(1, 3), (2, 3), (3, 0)]
    assert all(one.started_ms is not None and one.ended_ms is not None and one.usage is not None for one in running.attempts(1))


def test_the_empty_folder_of_a_failed_attempt_goes_to_nobody_else(tmp_path: Path) -> None:
    silent = f"[ -e {tmp_path}/second ] || {{ : > {tmp_path}/second; exit 3; }}; pwd"

    running = run(bash(1, silent, retry=Retry(2, delay_s=0.5)))

    assert states(running) == "S"
    assert main_log(running).endswith("/d1\n")


def test_the_last_attempt_decides(tmp_path: Path) -> None:
    running = run(bash(1, flaky(tmp_path, 9), retry=Retry(2)), bash(2, ":", [1]))

    assert states(running) == "FK"
    assert running.get_job(1)["exit_code"] == 3
    assert len(running.attempts(1)) == 2


@pytest.mark.parametrize(
    ("retry", "tried"),
    [
        pytest.param(Retry(5, (), (75, 3)), 5, id="given-code"),
        pytest.param(Retry(5, (), (75,)), 1, id="other-code"),
        pytest.param(Retry(5, ("timeout",)), 1, id="other-cause"),
        pytest.param(None, 1, id="no-policy"),
    ],
)
def test_only_the_named_causes_are_tried_again(tmp_path: Path, retry: Retry | None, tried: int) -> None:
    running = run(bash(1, flaky(tmp_path, 9), retry=retry))

    assert len(running.attempts(1)) == tried
    assert states(running) == "F"


def test_attempts_are_never_more_than_n_max_attempts(tmp_path: Path) -> None:
    assert len(run(bash(1, flaky(tmp_path, 9), retry=Retry(5), n_max_attempts=2)).attempts(1)) == 2


def test_a_job_that_took_too_long_is_tried_again(tmp_path: Path) -> None:
    script = f"[ -e {tmp_path}/second ] || {{ : > {tmp_path}/second; {HOLD}; }}"

    running = run(bash(1, script, retry=Retry(20), timeout_s=0.5))

    reasons = [one.reason for one in running.attempts(1)]
    assert states(running) == "S"
    assert (set(reasons[:-1]), reasons[-1]) == ({"timed out"}, "")  # on a busy machine half a second may pass before a shell has begun


def test_a_job_that_did_not_make_its_file_is_tried_again(tmp_path: Path) -> None:
    script = f"[ ! -e {tmp_path}/second ] || echo made > out; : > {tmp_path}/second"

    assert states(run(bash(1, script, retry=Retry(2), promises=("d1/out",)))) == "S"


def test_waiting_for_the_next_attempt_holds_no_cores_and_cancel_ends_it(tmp_path: Path) -> None:
    jobs = [bash(1, "exit 3", retry=Retry(2, delay_s=FAR_S)), bash(2, "exit 0"), bash(3, ":", [1], always_run=True)]
    running = submit(*jobs, backend=LocalBackend(cores=1))
    waits_again(running)
    running.wait(LONG_S, [2])

    assert states(running) == "RSP"
    assert running.get_job(1)["reason"] == "exit code 3; tried again after 50 min 00 s"
    running.cancel()
    running.wait(LONG_S)
    assert states(running) == "KSS"


def test_a_cancelled_job_is_not_tried_again_when_its_waiting_is_over(tmp_path: Path) -> None:
    for delay_s in (1.0, 5.0, 25.0):  # so that it is cancelled before, also by a runner that is late
        jobs = [bash(1, "exit 3", retry=Retry(2, delay_s=delay_s)), bash(2, f"sleep {delay_s + 0.5}", always_run=True)]
        running = submit(*jobs, backend=LocalBackend(cores=2))
        waits_again(running)
        running.cancel()
        running.wait(LONG_S)
        if when(running, "cancel") < max(event.next_ms for event in running.events()):
            break

    assert states(running) == "KS"
    assert len(running.attempts(1)) == 1


def test_a_failure_that_is_tried_again_does_not_count_as_one(tmp_path: Path) -> None:
    running = run(batch(bash(1, flaky(tmp_path, 1), retry=Retry(2)), bash(2, ":", [1]), cancel_after_n_failures=1))

    assert states(running) == "SS"


def test_a_run_that_is_killed_while_a_retry_waits_goes_on_right_in_the_next_run(tmp_path: Path) -> None:
    script = f"echo 1 >> {tmp_path}/ran; [ -e {tmp_path}/fixed ] || {{ echo half > out; exit 3; }}; echo whole > out"
    spec = batch(
        bash(1, script, retry=Retry(3, delay_s=FAR_S), promises=("d1/out",)), bash(2, f"echo 2 >> {tmp_path}/ran"), bash(3, 'cat "$BATCH_TMPDIR/d1/out"', [1])
    )
    first = submit(spec, keep_files=True)
    waits_again(first)
    first.wait(LONG_S, [2])
    kill_runner(first)
    closed = attach(str(first.id))
    (tmp_path / "fixed").touch()

    second = run(again(spec, closed), keep_files=True)

    assert states(closed) == "KSK"
    assert [one.exit_code for one in closed.attempts(1)] == [3]
    assert states(second) == "SSS"
    assert sorted(lines(tmp_path / "ran")) == ["1", "1", "2"]
    assert main_log(second, 3) == "whole\n"


# at most so many at once


@pytest.mark.parametrize("limited", ["batch", "group", "group around"])
def test_at_most_so_many_jobs_run_at_once(tmp_path: Path, limited: str) -> None:
    gates = [Gate(tmp_path / f"gate{number}") for number in range(5)]
    groups = (GroupSpec(1, "outer", at_most=2 if limited == "group around" else None), GroupSpec(2, "inner", 1, at_most=2 if limited == "group" else None))
    jobs = [bash(number, gate.shell, request=LITTLE, group=2) for number, gate in enumerate(gates, 1)]
    spec = batch(*jobs, bash(6, ":", request=LITTLE), groups=groups, at_most=2 if limited == "batch" else None)
    running = submit(spec, backend=LocalBackend(cores=4))
    for gate in gates[:2]:
        gate.reached()
    if limited != "batch":
        running.wait(LONG_S, [6])

    wait_until(lambda: states(running) == ("XXRRRR" if limited == "batch" else "XXRRRS"), story=lambda: states(running))
    gates[1].let_through()
    gates[2].reached()
    begun(running, 3)
    running.wait(LONG_S, [2])
    assert states(running)[:5] == "XSXRR"
    for gate in (gates[0], *gates[2:]):
        gate.let_through()
    running.wait(LONG_S)
    assert states(running) == "SSSSSS"


def test_a_job_that_waits_for_its_next_attempt_lets_others_of_its_group_run() -> None:
    jobs = [bash(1, "exit 3", retry=Retry(2, delay_s=FAR_S), group=1), bash(2, ":", group=1)]
    running = submit(batch(*jobs, groups=(GroupSpec(1, "one by one", at_most=1),)))
    waits_again(running)
    running.wait(LONG_S, [2])

    assert states(running) == "RS"
    running.cancel()
    running.wait(LONG_S)


# groups

GROUPS = (GroupSpec(1, "outer"), GroupSpec(2, "inner", 1), GroupSpec(3, "other"))


def test_a_group_has_its_own_counts_with_those_of_the_groups_in_it() -> None:
    running = run(batch(bash(1, ":", group=1), bash(2, "exit 1", group=2), bash(3, ":", group=3), bash(4, ":"), groups=GROUPS))

    counts = {group.name: (group.status()["n_jobs"], group.status()["n_failed"], group.status()["state"]) for group in running.groups}
    assert counts == {"outer": (2, 1, "failure"), "inner": (1, 1, "failure"), "other": (1, 0, "success")}
    assert [job["job_id"] for job in running.group("outer").jobs()] == [1, 2]
    assert running.get_job(2)["job_group_id"] == 2
    with pytest.raises(BatchException, match="no group 'shards'; its groups are 'outer', 'inner', 'other'"):
        running.group("shards")


def test_cancelling_a_group_ends_its_jobs_and_those_of_groups_in_it_and_no_others(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    jobs = [
        bash(1, f": > {tmp_path}/here; {HOLD}", group=1, request=LITTLE),
        bash(2, ":", [1], group=2),
        bash(3, gate.shell, group=3, request=LITTLE),
        bash(4, "echo always", [1], group=1, always_run=True),
        bash(5, ":", [Edge(1, "end"), 3]),
    ]
    running = submit(batch(*jobs, groups=GROUPS), backend=LocalBackend(cores=2))
    exists(tmp_path / "here")
    gate.reached()

    running.group("outer").cancel()
    running.wait(LONG_S, [1, 2, 4])

    assert states(running) == "KKXSP"
    assert running.get_job(1)["reason"] == "its group 'outer' was cancelled"
    assert running.group("outer").status()["state"] == "cancelled"
    gate.let_through()
    running.wait(LONG_S)
    assert states(running) == "KKSSS"
    assert not running.snapshot().cancelled


def test_failures_of_a_group_cancel_that_group_only(tmp_path: Path) -> None:
    groups = (GroupSpec(1, "shards", cancel_after_n_failures=2), GroupSpec(2, "inner", 1))
    jobs = [bash(1, "exit 1", group=1), bash(2, "exit 1", [Edge(1, "end")], group=2), bash(3, ":", [Edge(2, "end")], group=2), bash(4, ":", [Edge(2, "end")])]

    running = run(batch(*jobs, groups=groups))

    assert states(running) == "FFKS"
    assert running.snapshot().cancelled_groups == {1}


def test_a_failure_in_one_group_does_not_count_in_another() -> None:
    groups = (GroupSpec(1, "one", cancel_after_n_failures=2), GroupSpec(2, "two", cancel_after_n_failures=2))
    jobs = [bash(1, "exit 1", group=1), bash(2, "exit 1", group=2), bash(3, ":", [Edge(1, "end"), Edge(2, "end")], group=1)]

    assert states(run(batch(*jobs, groups=groups))) == "FFS"


def test_single_jobs_are_cancelled_whatever_they_do(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    jobs = [
        bash(1, f": > {tmp_path}/here; {HOLD}", request=LITTLE, always_run=True),
        bash(2, gate.shell, request=LITTLE),
        bash(3, ":", [2]),
        bash(4, ":", [2]),
        bash(5, ":", [3]),
    ]
    running = submit(*jobs, backend=LocalBackend(cores=2))
    exists(tmp_path / "here")
    gate.reached()
    running.cancel(jobs=[1, 3])
    running.wait(LONG_S, [1])
    gate.let_through()
    running.wait(LONG_S)

    assert states(running) == "KSKSK"
    assert running.get_job(3)["reason"] == "cancelled by the user"
    with pytest.raises(BatchException, match="has no job 6; its jobs are 1 to 5"):
        running.cancel(jobs=[6])


# retrying a run


def test_retry_runs_again_what_failed_and_what_follows_and_names_its_predecessor(tmp_path: Path) -> None:
    def made(number: int, more: str = "") -> str:
        return f"echo {number} >> {tmp_path}/ran; {more} echo {number} > made"

    jobs = [
        bash(1, made(1), promises=("d1/made",)),
        bash(2, made(2, f"[ -e {tmp_path}/fixed ];"), [1]),
        bash(3, made(3, 'cat "$BATCH_TMPDIR/d1/made";'), [1, 2], needs=("d1/made",), env={"TOKEN": "t0psecret"}),
        bash(4, made(4)),
    ]
    first = run(*jobs, keep_files=True)
    assert states(first) == "SFKS"
    (tmp_path / "fixed").touch()

    second = first.retry()
    second.wait(LONG_S)

    assert states(second) == "SSSS"
    assert [view.reused for view in second.snapshot().jobs] == [True, False, False, True]
    assert sorted(lines(tmp_path / "ran")) == ["1", "2", "2", "3", "4"]
    assert second.previous == first.id
    assert main_log(second, 3) == "1\n"


def test_a_single_job_is_retried_with_what_depends_on_it_and_the_rest_stays(tmp_path: Path) -> None:
    def made(number: int, more: str = "") -> str:
        return f"echo {number} >> {tmp_path}/ran; {more} echo {number} > made"

    fails = f"[ -e {tmp_path}/fixed ];"
    jobs = [
        bash(1, made(1), promises=("d1/made",)),
        bash(2, made(2, fails), [1]),
        bash(3, made(3, fails), [1]),
        bash(4, made(4), [2]),
        bash(5, made(5), [2, 3]),
        bash(6, made(6), [3], always_run=True),
        bash(7, made(7), env={"TOKEN": "t0psecret"}),
    ]
    first = run(*jobs, keep_files=True)
    assert states(first) == "SFFKKSS"
    (tmp_path / "fixed").touch()

    second = first.retry([2])
    second.wait(LONG_S)

    assert states(second) == "SSKSKSS"
    assert [view.reused for view in second.snapshot().jobs] == [True, False, False, False, False, True, True]
    assert [second.get_job(number)["reason"] for number in (3, 5)] == ["left out of this retry", "a job that it needs did not succeed"]
    assert sorted(lines(tmp_path / "ran")) == ["1", "2", "2", "3", "4", "6", "7"]
    assert "3 to run: job2 (failed before), job4 (follows job2), job5 (follows job2)" in second.snapshot().note

    third = attach(str(second.id)).retry([5])
    third.wait(LONG_S)

    assert states(third) == "SSSSSSS"
    assert [view.reused for view in third.snapshot().jobs] == [True, True, False, True, False, False, True]
    with pytest.raises(BatchException, match="job 'job1' of run .* succeeded, so there is nothing to retry of it"):
        first.retry([1])
    with pytest.raises(BatchException, match="has no job 9; its jobs are 1 to 7"):
        first.retry([9])


def test_values_that_only_the_first_process_had_are_asked_for_before_a_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFERENCE", "grch38")
    first = run(bash(1, "echo $REFERENCE; exit 1", promises=("d1/made",)), keep_files=True)
    assert "grch38" not in (first.directory / "run.json").read_text()  # type: ignore[operator]  # a run of this machine
    monkeypatch.delenv("REFERENCE")

    with pytest.raises(BatchException, match="was made with REFERENCE set in its notebook or script, which is not set here"):
        attach(str(first.id)).retry()
    monkeypatch.setenv("REFERENCE", "grch38")
    again = attach(str(first.id)).retry()
    again.wait(LONG_S)

    assert main_log(again) == "grch38\n"


def test_retry_works_in_another_process_too_where_nothing_secret_is_needed(tmp_path: Path) -> None:
    failing = bash(1, f"[ -e {tmp_path}/fixed ]")
    first = attach(str(run(failing, keep_files=True, backend=LocalBackend(cores=1, shared_directory=True)).id))
    secret = attach(str(run(bash(1, "exit 1", env={"TOKEN": "t0psecret"})).id))
    (tmp_path / "fixed").touch()

    second = first.retry()
    second.wait(LONG_S)

    assert states(second) == "S"
    with pytest.raises(BatchException, match=r"job 'job1' needs values of TOKEN, which are never written down; run the batch again with run\(resume=True\)"):
        secret.retry()


def test_there_is_nothing_to_retry_in_a_success_or_in_a_live_run(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    live = submit(bash(1, gate.shell))
    gate.reached()

    with pytest.raises(RunLiveError, match=r"is still going on; wait\(\) for its end or cancel\(\) it"):
        live.retry()
    gate.let_through()
    live.wait(LONG_S)
    with pytest.raises(BatchException, match="nothing to retry: all of its 1 jobs succeeded"):
        live.retry()


RETRIES = """
from hail_batch_jupyter.errors import RunLiveError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import attach
def act(run_id):
    try:
        return attach(run_id, detach=True).retry().id
    except RunLiveError as error:
        return str(error)
"""


def test_two_processes_that_retry_a_run_at_the_same_moment_retry_it_once(tmp_path: Path) -> None:
    script = f"[ -e {tmp_path}/again ] || exit 1; until [ -e {tmp_path}/gate ]; do sleep 0.02; done"
    with maker(f"batch(bash(1, {script!r}))", detach=True) as (_, first):
        first.wait(LONG_S)
    (tmp_path / "again").touch()

    with two(RETRIES) as both:
        words = both.act(str(first.id))
    (made,) = [one.run_id for one in rundir.list_runs() if one.previous == first.id]
    (tmp_path / "gate").touch()

    words = [line.partition("; ")[0] for line in words]
    live = f"run {made} does the same jobs again already, and is still going on"
    assert sorted(words) == sorted([made, live])
    assert attach(made).wait(LONG_S)["state"] == "success"


def test_two_jobs_of_a_run_are_retried_beside_one_another(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    first = run(bash(1, f"[ -e {tmp_path}/again ] || exit 1; {gate.shell}"), bash(2, "exit 2"), keep_files=True)
    (tmp_path / "again").touch()
    one = first.retry([1])
    gate.reached()

    other = first.retry([2])
    other.wait(LONG_S)
    with pytest.raises(RunLiveError, match=rf"run {one.id} does the same jobs again already"):
        first.retry()

    gate.let_through()
    assert [running.wait(LONG_S)["n_succeeded"] for running in (one, other)] == [1, 0]

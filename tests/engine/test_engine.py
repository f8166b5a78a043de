from __future__ import annotations

from pathlib import Path

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.core.events import BatchSnapshot
from hail_batch_jupyter.core.spec import Edge, Request
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe.journal import read_events
from hail_batch_jupyter.observe.running import RunningBatch
from tests.engine.jobs import HOLD, LONG_S, Gate, bash, batch, begun, exists, main_log, run, states, submit


def meeting(folder: Path) -> tuple[str, str]:
    """Two scripts of which neither ends unless both run at the same time."""
    Gate(folder / "meeting")
    return f"echo hello > '{folder}/meeting'", f"read -r word < '{folder}/meeting'; [ $word = hello ]"


def look(folder: Path, name: str) -> str:
    """A script that writes the names of all jobs that run beside it to `seen`."""
    marks = folder / "marks"
    marks.mkdir(exist_ok=True)
    mark = f"'{marks}'"
    return f"cd {mark}; : > {name}; echo * >> '{folder}/seen'; for i in {{1..3000}}; do :; done; echo * >> '{folder}/seen'; rm {name}"


def seen(folder: Path) -> list[set[str]]:
    return [set(line.split()) for line in (folder / "seen").read_text().splitlines()]


def test_jobs_that_wait_for_each_other_both_end_so_they_run_at_the_same_time(tmp_path: Path) -> None:
    one, two = meeting(tmp_path)

    running = run(bash(1, one, timeout_s=20), bash(2, two, timeout_s=20), backend=LocalBackend(cores=2))

    assert states(running) == "SS"


def test_never_more_cores_are_taken_than_there_are(tmp_path: Path) -> None:
    jobs = [bash(number, look(tmp_path, f"j{number}")) for number in range(1, 13)]

    running = run(*jobs, backend=LocalBackend(cores=2))

    assert states(running) == "S" * 12
    assert max(len(names) for names in seen(tmp_path)) == 2


def test_half_cores_let_four_jobs_run_on_two(tmp_path: Path) -> None:
    names = [f"{tmp_path}/{number}" for number in range(4)]
    all_here = " && ".join(f"[ -e {name} ]" for name in names)
    script = f"until {all_here}; do :; done"
    jobs = [bash(number, f": > {names[number - 1]}; {script}", request=Request(cpu_mcpu=500), timeout_s=20) for number in range(1, 5)]

    running = run(*jobs, backend=LocalBackend(cores=2))

    assert states(running) == "SSSS"


def test_never_more_memory_is_taken_than_there_is(tmp_path: Path) -> None:
    request = Request(cpu_mcpu=100, memory_bytes=600 << 20)
    jobs = [bash(number, look(tmp_path, f"j{number}"), request=request) for number in range(1, 7)]

    running = run(*jobs, backend=LocalBackend(cores=4, memory="1Gi"))

    assert states(running) == "S" * 6
    assert all(len(names) == 1 for names in seen(tmp_path))


def test_unset_memory_counts_as_nothing(tmp_path: Path) -> None:
    one, two = meeting(tmp_path)
    all_of_it = Request(memory_bytes=1 << 30)

    running = run(bash(1, one, request=all_of_it, timeout_s=20), bash(2, two, timeout_s=20), backend=LocalBackend(cores=2, memory="1Gi"))

    assert states(running) == "SS"


@pytest.mark.parametrize("request_", [Request(cpu_mcpu=64_000), Request(memory_bytes=1 << 50)], ids=["cores", "memory"])
def test_a_job_larger_than_the_machine_runs_alone(tmp_path: Path, request_: Request) -> None:
    jobs = [bash(number, look(tmp_path, f"j{number}")) for number in (1, 2, 4, 5)]
    large = bash(3, look(tmp_path, "large"), request=request_)

    with pytest.warns(UserWarning, match="job 'job3' asks for .* where there are"):
        running = run(jobs[0], jobs[1], large, jobs[2], jobs[3], backend=LocalBackend(cores=2))

    assert states(running) == "SSSSS"
    assert [names for names in seen(tmp_path) if "large" in names] == [{"large"}, {"large"}]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(Request(cpu_mcpu=500), Request(cpu_mcpu=2000), id="all-cores"),
        pytest.param(Request(cpu_mcpu=1500), Request(cpu_mcpu=600), id="a-little-too-much"),
        pytest.param(Request(cpu_mcpu=100, memory_bytes=600 << 20), Request(cpu_mcpu=100, memory_bytes=600 << 20), id="memory"),
        pytest.param(Request(cpu_mcpu=500), Request(cpu_mcpu=64_000), id="more-cores-than-there-are"),
        pytest.param(Request(cpu_mcpu=500), Request(cpu_mcpu=100, memory_bytes=1 << 50), id="more-memory-than-there-is"),
    ],
)
@pytest.mark.filterwarnings("ignore:job 'job2' asks for:UserWarning")
def test_a_job_that_does_not_fit_waits_and_a_smaller_one_passes_it(tmp_path: Path, first: Request, second: Request) -> None:
    gate = Gate(tmp_path / "gate")
    jobs = [bash(1, gate.shell, request=first), bash(2, ":", request=second), bash(3, ":", request=Request(cpu_mcpu=500))]
    running = submit(*jobs, backend=LocalBackend(cores=2, memory="1Gi"))
    gate.reached()
    running.wait(LONG_S, [3])

    assert states(running) == "XRS"
    gate.let_through()
    running.wait(LONG_S)
    assert states(running) == "SSS"


def test_with_parallelism_1_jobs_run_one_by_one_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    order = tmp_path / "order"
    graph: dict[int, list[int | Edge]] = {1: [], 2: [], 3: [2], 4: [3], 5: [], 6: [1]}
    jobs = [bash(number, f"echo {number} begins >> {order}; echo {number} ends >> {order}", parents) for number, parents in graph.items()]

    run(*jobs, backend=LocalBackend(cores=4, parallelism=1))

    assert order.read_text().splitlines() == [f"{number} {word}" for number in graph for word in ("begins", "ends")]


def test_parallelism_limits_jobs_that_ask_for_little(tmp_path: Path) -> None:
    little = Request(cpu_mcpu=10)
    gates = [Gate(tmp_path / f"gate{number}") for number in range(3)]
    jobs = [bash(number, gate.shell, request=little) for number, gate in enumerate(gates, 1)]
    running = submit(*jobs, bash(4, ":", request=little), backend=LocalBackend(cores=4, parallelism=3))
    for gate in gates:
        gate.reached()
    begun(running, 1, 2, 3)

    assert states(running) == "XXXR"
    for gate in gates:
        gate.let_through()
    running.wait(LONG_S)
    assert states(running) == "SSSS"


def test_a_failed_parent_cancels_its_children_but_not_always_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    jobs = [
        bash(1, "exit 3"),
        bash(2, f"echo child >> {ran}", [1]),
        bash(3, f"echo grandchild >> {ran}", [2]),
        bash(4, f"echo always >> {ran}", [2], always_run=True),
        bash(5, f"echo stranger >> {ran}"),
        bash(6, f"echo end only >> {ran}", [Edge(1, "end")]),
        bash(7, f"echo after always >> {ran}", [4]),
    ]

    running = run(*jobs)

    assert states(running) == "FKKSSSS"
    assert sorted(ran.read_text().splitlines()) == ["after always", "always", "end only", "stranger"]
    assert running.get_job(2)["reason"] == "a job that it needs did not succeed"
    assert running.status()["state"] == "failure"


def test_a_child_waits_for_all_its_parents_even_after_one_has_failed(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, "exit 1"), bash(2, gate.shell), bash(3, ":", [1, 2]), bash(4, ":", [1, 2], always_run=True), backend=LocalBackend(cores=2))
    gate.reached()
    running.wait(LONG_S, [1])

    assert states(running) == "FXPP"
    gate.let_through()
    running.wait(LONG_S)
    assert states(running) == "FSKS"


def test_cancel_ends_what_runs_and_what_is_ready_and_lets_always_run_run(tmp_path: Path) -> None:
    started = tmp_path / "started"
    jobs = [bash(1, f": > {started}; {HOLD}"), bash(2, ":"), bash(3, ":", [1]), bash(4, f"echo still > {tmp_path}/always", [1], always_run=True)]
    running = submit(*jobs, backend=LocalBackend(cores=1))
    exists(started)

    running.cancel()
    running.cancel()
    running.wait(LONG_S)

    assert states(running) == "KKKS"
    assert (tmp_path / "always").read_text() == "still\n"
    assert running.status()["state"] == "cancelled"
    assert running.status()["complete"]
    assert [running.get_job(job_id)["reason"] for job_id in (1, 2)] == ["cancelled", "cancelled"]


def test_cancel_leaves_a_running_always_run_job_alone(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, gate.shell, always_run=True), bash(2, HOLD), bash(3, ":", [1]), backend=LocalBackend(cores=2))
    gate.reached()

    running.cancel()
    running.wait(LONG_S, [2])
    assert states(running) == "XKP"

    gate.let_through()
    running.wait(LONG_S)
    assert states(running) == "SKK"


def test_a_run_is_cancelled_after_so_many_failures(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    jobs = [bash(1, f"{gate.shell}; exit 1"), bash(2, HOLD), *(bash(number, "exit 1" if number == 3 else ":", [1]) for number in range(3, 7))]
    spec = batch(*jobs, bash(7, ":", [2], always_run=True), cancel_after_n_failures=1)
    running = submit(spec, backend=LocalBackend(cores=2))

    gate.let_through()
    running.wait(LONG_S)

    assert states(running) == "FKKKKKS"
    assert running.snapshot().note == "1 jobs failed, the limit is 1"


def test_fewer_failures_than_the_limit_cancel_nothing() -> None:
    jobs = [bash(1, "exit 1"), bash(2, "exit 1", [Edge(1, "end")]), bash(3, ":", [Edge(2, "end")])]

    assert states(run(batch(*jobs, cancel_after_n_failures=3))) == "FFS"


def test_a_timeout_is_an_error_and_the_children_are_cancelled() -> None:
    running = run(bash(1, HOLD, timeout_s=0.2), bash(2, ":", [1]), bash(3, ":", timeout_s=20))

    assert states(running) == "EKS"
    assert running.get_job(1)["reason"] == "timed out"
    assert running.get_job(1)["exit_code"] is None


def test_a_batch_without_jobs_is_a_success() -> None:
    running = run(batch())

    assert running.status()["state"] == "success"
    assert running.status()["complete"]


def test_jobs_of_a_later_update_know_earlier_ones_by_their_states(tmp_path: Path) -> None:
    spec = batch(bash(5, ":", [1]), bash(6, ":", [2]), bash(7, f": > {tmp_path}/x", [2], always_run=True), done={1: "Success", 2: "Failed"})

    running = run(spec)

    assert states(running) == "SKS"
    assert (tmp_path / "x").exists()


def strict_fold(running: RunningBatch) -> BatchSnapshot:
    assert running.directory is not None
    return BatchSnapshot.empty([job.job_id for job in running.spec.jobs]).after(read_events(running.directory / "events.jsonl"), strict=True)


def test_every_transition_in_the_journal_is_legal_and_numbered_without_gaps(tmp_path: Path) -> None:
    started = tmp_path / "started"
    jobs = [bash(1, "exit 2"), bash(2, ":", [1]), bash(3, ":"), bash(4, HOLD, timeout_s=0.1), bash(5, f"cd {tmp_path}; : > started; {HOLD}"), bash(6, ":", [5])]
    running = submit(*jobs, backend=LocalBackend(cores=8))
    exists(started)
    running.wait(LONG_S, [1, 2, 3, 4])
    running.cancel()
    running.wait(LONG_S)

    snapshot = strict_fold(running)

    assert states(running) == "FKSEKK"
    assert snapshot == running.snapshot()
    assert running.directory is not None
    assert [event.seq for event in read_events(running.directory / "events.jsonl")] == list(range(1, snapshot.seq + 1))


def test_hundreds_of_jobs_in_layers_all_run_once_after_their_parents(tmp_path: Path) -> None:
    log = tmp_path / "log"
    jobs = [bash(number, f"echo {number} >> {log}", [number - 50] if number > 50 else []) for number in range(1, 301)]

    running = run(*jobs)

    order = [int(line) for line in log.read_text().split()]
    place = {number: index for index, number in enumerate(order)}
    assert states(running) == "S" * 300
    assert sorted(order) == list(range(1, 301))
    assert all(place[number - 50] < place[number] for number in range(51, 301))


@pytest.mark.parametrize("n_failed", [1, 7])
def test_the_error_of_a_run_shows_the_last_lines_of_failed_jobs(n_failed: int) -> None:
    running = run(*(bash(number, f"echo reason {number} >&2; exit 4") for number in range(1, n_failed + 1)), bash(n_failed + 1, ":"))

    error = running.error()

    assert error is not None
    assert error.returncode == 4
    assert [row[1:] for row in error.failed] == [(f"job{number}", "Failed", 4) for number in range(1, n_failed + 1)]
    assert "    | reason 1" in str(error)
    assert ("… and 2 more" in str(error)) is (n_failed == 7)


def test_standard_output_and_error_stay_in_order_in_one_log() -> None:
    running = run(bash(1, "echo 1; echo 2 >&2; echo 3"))

    assert main_log(running) == "1\n2\n3\n"
    assert JobState.SUCCESS.value == running.get_job(1)["state"]

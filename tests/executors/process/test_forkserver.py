from __future__ import annotations

import os
import pickle
import signal
import sys
from pathlib import Path

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.executors.process.forkserver import ONE_THREAD
from hail_batch_jupyter.observe.attach import attach
from tests.conftest import wait_until
from tests.engine.jobs import LONG_S, bash, events_per_state, exists, gone, main_log, pid_in, processes, run, states, submit, timed_out
from tests.engine.killing import kill_runner
from tests.engine.python_jobs import Result, mixed, python, value

FACTS = """
def work():
    import os, sys
    numbers = {"pid": os.getpid(), "parent": os.getppid(), "session": os.getsid(0)}
    return {**numbers, "cwd": os.getcwd(), "files": os.listdir(), "stdin": sys.stdin.read(), "env": dict(os.environ)}
"""
HOLD = """
def work(folder):
    import os, subprocess, threading
    children = [subprocess.Popen(["sleep", "1000"]), subprocess.Popen(["sleep", "1000"], start_new_session=True)]
    for index, child in enumerate(children):
        open(f"{folder}/child{index}", "w").write(str(child.pid))
    open(f"{folder}/pid", "w").write(str(os.getpid()))
    threading.Event().wait()
"""


def test_a_value_comes_back_and_goes_on_to_the_next_job() -> None:
    first = python(1, "def work(a, b): return {'sum': a + b}", 2, 3)
    second = python(2, "def work(known): return known['sum'] * 10", Result(1), after=[1])

    running = run(mixed(first, second), keep_files=True)

    assert states(running) == "SS"
    assert [value(running, job_id) for job_id in (1, 2)] == [{"sum": 5}, 50]


def test_each_job_is_a_fresh_process_in_a_session_and_an_empty_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_KERNEL", "1")
    running = run(mixed(*(python(job_id, FACTS, env={"OWN": str(job_id)}) for job_id in (1, 2))), keep_files=True)

    facts = [value(running, job_id) for job_id in (1, 2)]
    assert len({fact["pid"] for fact in facts}) == 2
    assert len({fact["parent"] for fact in facts}) == 1, "both come from one warm server"
    assert all(fact["session"] == fact["pid"] for fact in facts)
    assert [(fact["files"], fact["stdin"]) for fact in facts] == [([], "")] * 2
    assert [fact["cwd"] for fact in facts] == [f"{running.scratch}/d1", f"{running.scratch}/d2"]
    assert [fact["env"]["OWN"] for fact in facts] == ["1", "2"]
    assert all(fact["env"]["FROM_KERNEL"] == "1" and fact["env"]["BATCH_TMPDIR"] == str(running.scratch) for fact in facts)
    assert [view.pid for view in running.snapshot().jobs] == [fact["pid"] for fact in facts]


def test_a_python_job_runs_with_the_interpreter_of_the_kernel() -> None:
    running = run(mixed(python(1, "def work():\n    import sys\n    return sys.executable, sys.version_info[:2]")), keep_files=True)

    assert value(running) == (sys.executable, sys.version_info[:2])


def test_nothing_that_one_job_does_to_its_interpreter_is_seen_by_the_next() -> None:
    spoil = """
    def work():
        import builtins, os, random, sys
        builtins.spoiled = sys.spoiled = True
        sys.path.clear()
        os.environ["SPOILED"] = "1"
        random.seed(7)
    """
    look = """
    def work():
        import builtins, os, sys
        return hasattr(builtins, "spoiled"), hasattr(sys, "spoiled"), bool(sys.path), os.environ.get("SPOILED")
    """
    running = run(mixed(python(1, spoil), python(2, look, after=[1])), keep_files=True)

    assert value(running, 2) == (False, False, True, None)


def test_random_numbers_of_two_jobs_differ() -> None:
    source = "def work(_):\n    import random\n    return random.random()"
    running = run(mixed(*(python(job_id, source, job_id) for job_id in range(1, 5))), keep_files=True)

    assert len({value(running, job_id) for job_id in range(1, 5)}) == 4


def test_an_exception_is_in_the_log_and_comes_back_as_an_object() -> None:
    running = run(mixed(python(1, "def work(): return 1 / 0"), python(2, "def work(): return 'fine'")), keep_files=True)

    assert states(running) == "FS"
    assert running.get_job(1)["exit_code"] == 1
    assert main_log(running).rstrip().endswith("ZeroDivisionError: division by zero")
    error, lines = value(running)
    assert isinstance(error, ZeroDivisionError)
    assert "division by zero" in "".join(lines)
    assert "ZeroDivisionError" in str(running.error())


@pytest.mark.parametrize(
    ("body", "exit_code"),
    [
        pytest.param("import os; os._exit(7)", 7, id="os._exit"),
        pytest.param("import os; os._exit(0)", 1, id="os._exit-0-without-its-result"),
        pytest.param("import sys; sys.exit(9)", 9, id="sys.exit"),
        pytest.param("import ctypes; ctypes.string_at(0)", 139, id="segmentation-fault"),
        pytest.param("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137, id="killed"),
        pytest.param("import os; os.abort()", 134, id="abort"),
    ],
)
def test_a_job_that_ends_hard_fails_alone(body: str, exit_code: int) -> None:
    others = [python(job_id, f"def work(): return {job_id}", after=[1] if job_id == 3 else [], always_run=True) for job_id in (2, 3)]

    running = run(mixed(python(1, f"def work(): {body}"), *others), keep_files=True)

    assert states(running) == "FSS"
    assert running.get_job(1)["exit_code"] == exit_code
    assert [value(running, job_id) for job_id in (2, 3)] == [2, 3]


def test_a_segmentation_fault_shows_where_it_happened() -> None:
    running = run(mixed(python(1, "def work():\n    import ctypes\n    ctypes.string_at(0)")))

    assert "Segmentation fault" in main_log(running)


def test_output_of_the_job_and_of_its_programs_is_in_the_log_in_order() -> None:
    source = """
    def work():
        import os, subprocess, sys
        print("one")
        subprocess.run(["echo", "two"])
        print("three", file=sys.stderr)
        os.write(1, b"four\\n")
        print("five", end="")
    """
    assert main_log(run(mixed(python(1, source)))) == "one\ntwo\nthree\nfour\nfive"


def test_threads_and_exit_functions_of_a_job_have_their_time(tmp_path: Path) -> None:
    source = """
    def work(folder):
        import atexit, threading
        go = threading.Event()
        def late():
            go.wait()
            open(f"{folder}/thread", "w").write("x")
        threading.Thread(target=late).start()
        atexit.register(lambda: open(f"{folder}/exit", "w").write("x"))
        threading.Timer(0.01, go.set).start()
    """
    running = run(mixed(python(1, source, str(tmp_path))))

    assert states(running) == "S"
    assert (tmp_path / "thread").exists()
    assert (tmp_path / "exit").exists()


def test_an_edited_module_is_read_anew_by_every_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "edited_by_hand.py").write_text("WORD = 'first'\n")
    source = """
    def work(path, word):
        import edited_by_hand, os
        seen = edited_by_hand.WORD
        open(path, "w").write(f"WORD = {word!r}\\n")
        os.utime(path, (len(word) * 1000, len(word) * 1000))
        return seen
    """
    path = str(tmp_path / "edited_by_hand.py")
    running = run(mixed(python(1, source, path, "next"), python(2, source, path, "the last", after=[1])), keep_files=True)

    assert [value(running, job_id) for job_id in (1, 2)] == ["first", "next"]


def test_an_installed_package_that_a_job_needed_is_warm_for_the_next() -> None:
    source = """
    def work():
        import sys
        before = "pluggy" in sys.modules
        import pluggy
        return before
    """
    running = run(mixed(python(1, source), python(2, source, after=[1]), python(3, source, after=[2])), keep_files=True)

    assert [value(running, job_id) for job_id in (1, 3)] == [False, True]


@pytest.mark.parametrize(("mcpu", "threads"), [(None, "1"), (1000, "1"), (2000, None)])
def test_libraries_of_a_job_of_one_core_use_one_thread_unless_the_user_says_otherwise(
    mcpu: int | None, threads: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ONE_THREAD:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    source = "def work():\n    import os\n    return os.environ.get('OMP_NUM_THREADS'), os.environ.get('MKL_NUM_THREADS')"
    running = run(mixed(python(1, source, request=Request(cpu_mcpu=mcpu))), keep_files=True, backend=LocalBackend(cores=2))

    assert value(running) == ("3", threads)


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_a_python_job_is_ended_with_all_its_children(tmp_path: Path, how: str) -> None:
    if how == "timeout":
        running = timed_out(lambda timeout_s: mixed(python(1, HOLD, str(tmp_path), timeout_s=timeout_s)), tmp_path / "pid")
    else:
        running = submit(mixed(python(1, HOLD, str(tmp_path))))
        exists(tmp_path / "pid")
        running.cancel()
        running.wait(LONG_S)

    assert states(running) == {"cancel": "K", "timeout": "E"}[how]
    assert gone(pid_in(tmp_path / "pid"))
    wait_until(lambda: all(gone(pid_in(tmp_path / f"child{index}")) for index in (0, 1)), story=lambda: processes(running))


def test_a_daemon_that_a_python_job_forked_does_not_outlive_the_run(tmp_path: Path) -> None:
    source = """
    def work(path):
        import os, threading
        if not os.fork():
            os.setsid()
            open(path, "w").write(str(os.getpid()))
            threading.Event().wait()
        while not (os.path.exists(path) and open(path).read()):
            pass
    """
    running = run(mixed(python(1, source, f"{tmp_path}/pid")))

    assert states(running) == "S"
    wait_until(lambda: gone(pid_in(tmp_path / "pid")), story=lambda: processes(running))
    wait_until(lambda: not processes(running), story=lambda: processes(running))


def test_a_job_whose_server_is_killed_is_tried_again(tmp_path: Path) -> None:
    source = """
    def work(folder):
        import os, threading
        if os.path.exists(f"{folder}/server"):
            return "second"
        open(f"{folder}/pid", "w").write(str(os.getpid()))
        open(f"{folder}/server", "w").write(str(os.getppid()))
        threading.Event().wait()
    """
    running = submit(mixed(python(1, source, str(tmp_path))), keep_files=True)
    os.kill(pid_in(tmp_path / "server"), signal.SIGKILL)
    running.wait(LONG_S)

    assert states(running) == "S"
    assert value(running) == "second"
    assert running.get_job(1)["attempt"] == 2
    assert events_per_state(running)[(1, "Ready")] == 2
    assert gone(pid_in(tmp_path / "pid"))


def test_python_and_bash_jobs_run_side_by_side_and_use_each_other_s_files() -> None:
    first = bash(1, "echo 41 > made", promises=("d1/made",))
    second = python(2, "def work():\n    import os\n    return int(open(os.environ['BATCH_TMPDIR'] + '/d1/made').read()) + 1", after=[1])
    third = bash(3, 'test -s "$BATCH_TMPDIR/d2/value"', [2])

    running = run(mixed(first, second, third), keep_files=True)

    assert states(running) == "SSS"
    assert value(running, 2) == 42


def test_a_killed_runner_leaves_no_python_process_and_keeps_what_was_finished(tmp_path: Path) -> None:
    running = submit(mixed(python(1, "def work(): return 'kept'"), python(2, HOLD, str(tmp_path), after=[1])), keep_files=True)
    exists(tmp_path / "pid")

    kill_runner(running)
    closed = attach(str(running.id))

    assert gone(pid_in(tmp_path / "pid"))
    assert states(closed) == "SK"
    assert value(closed) == "kept"


def test_a_hundred_python_jobs_all_give_their_values() -> None:
    running = run(mixed(*(python(job_id, "def work(number): return number ** 2", job_id) for job_id in range(1, 101))), keep_files=True)

    assert states(running) == "S" * 100
    assert [value(running, job_id) for job_id in range(1, 101)] == [job_id**2 for job_id in range(1, 101)]


def test_a_value_that_cannot_be_pickled_fails_the_job_and_says_so() -> None:
    running = run(mixed(python(1, "def work():\n    import threading\n    return threading.Lock(), (i for i in ())")), keep_files=True)

    assert states(running) == "F"
    assert "pickle" in main_log(running)
    assert isinstance(pickle.loads(running.file("d1/value").read_bytes())[0], Exception)

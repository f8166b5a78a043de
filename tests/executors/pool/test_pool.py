from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.core.ports import Pool, PoolFunction, PoolOutcome, PoolRequest
from hail_batch_jupyter.executors.pool.pool import WorkerPool
from hail_batch_jupyter.executors.pool.worker import remember
from tests.conftest import wait_until
from tests.executors.pools import alive, facts, hold, increment, kill_self, pids_in, wait_for


class Call:
    """A call whose outcome the test waits for."""

    numbers: dict[Any, int] = {}  # noqa: RUF012 - one for the process, as the numbers are

    def __init__(self, function: Any, *args: Any) -> None:
        number = self.numbers.setdefault(function, len(self.numbers) + 1)
        self.function = PoolFunction(number, pickle.dumps(function), function.__name__)
        self.arguments = pickle.dumps((args, {}))
        self.begun = threading.Event()
        self.ended = threading.Event()
        self.outcome = PoolOutcome("none")

    def begin(self) -> bool:
        self.begun.set()
        return True

    def end(self, outcome: PoolOutcome) -> None:
        self.outcome = outcome
        self.ended.set()

    def value(self) -> Any:
        assert self.ended.wait(90)
        assert self.outcome.kind == "value", self.outcome
        return pickle.loads(self.outcome.data)

    def reason(self) -> str:
        assert self.ended.wait(90)
        assert self.outcome.kind == "lost", self.outcome
        return self.outcome.reason


def made(backend: LocalBackend | None = None, **words: Any) -> Pool:
    return (backend or LocalBackend(cores=2)).open_pool(PoolRequest("test", None, {"OWN": "1"}, **words))


@pytest.fixture
def pool() -> Iterator[Pool]:
    opened = made()
    yield opened
    opened.close(now=True)
    assert opened.wait(90)


def called(pool: Pool, function: Any, *args: Any) -> Call:
    call = Call(function, *args)
    pool.submit(call)
    return call


def test_a_worker_has_a_session_of_its_own_and_the_folder_and_environment_of_the_program(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = called(pool, facts).value()

    assert found["session"] == found["pid"] != os.getpid()
    assert (found["cwd"], found["stdin"], found["env"]["OWN"]) == (os.getcwd(), "", "1")
    assert found["env"]["PATH"].split(os.pathsep)[0] == os.path.dirname(sys.executable)


def test_workers_are_made_when_calls_wait_and_none_is_free(pool: Pool, tmp_path: Path) -> None:
    pids = {called(pool, facts).value()["pid"] for _ in range(10)}
    assert len(pids) == 1, "one is enough for one call after the other"

    held = called(pool, wait_for, str(tmp_path / "go"))
    pids |= {called(pool, facts).value()["pid"] for _ in range(10)}
    (tmp_path / "go").touch()

    assert held.value() == str(tmp_path / "go")
    assert len(pids) == 2


def test_an_idle_worker_that_was_killed_is_replaced(pool: Pool) -> None:
    pid = called(pool, os.getpid).value()

    os.kill(pid, signal.SIGKILL)

    assert [called(pool, increment, number).value() for number in range(5)] == [1, 2, 3, 4, 5]
    wait_until(lambda: not alive(pid))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGKILL, r"was killed by SIGKILL \(it had .* at its peak\), as the system does when memory runs out; .* a larger cpus_per_job"),
        (signal.SIGTERM, r"was ended by SIGTERM; call it again"),
        (signal.SIGABRT, r"crashed \(SIGABRT\) in compiled code"),
    ],
)
def test_a_call_whose_worker_is_killed_is_told_how_and_what_helps(pool: Pool, number: int, words: str) -> None:
    import re

    assert re.search(words, called(pool, kill_self, int(number)).reason())


def test_a_killed_server_takes_its_workers_along_and_the_next_call_gets_another(pool: Pool, tmp_path: Path) -> None:
    held, server = called(pool, hold, str(tmp_path)), called(pool, os.getppid).value()
    wait_until((tmp_path / "held").exists)

    os.kill(server, signal.SIGKILL)

    assert "the Python server ended" in held.reason()
    wait_until(lambda: not alive(pids_in(tmp_path / "held")[0]))
    assert called(pool, os.getppid).value() != server
    for pid in pids_in(tmp_path / "held")[1:]:  # whoever kills the server itself leaves what its workers started
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_what_a_call_started_ends_with_the_pool(tmp_path: Path) -> None:
    opened = made()
    held = called(opened, hold, str(tmp_path))
    wait_until((tmp_path / "held").exists)
    pids = pids_in(tmp_path / "held")

    opened.close(now=True)
    assert opened.wait(90)

    assert "the pool was closed" in held.reason()
    wait_until(lambda: not any(map(alive, pids)))


def test_a_closing_pool_makes_the_calls_that_it_has_and_takes_no_more(tmp_path: Path) -> None:
    opened = made()
    calls = [called(opened, wait_for, str(tmp_path / "go")) for _ in range(5)]
    opened.close(now=False)

    with pytest.raises(RuntimeError, match="takes no more calls"):
        called(opened, increment, 1)
    assert not opened.wait(0)
    (tmp_path / "go").touch()

    assert [call.value() for call in calls] == [str(tmp_path / "go")] * 5
    assert opened.wait(90)
    assert not Path(opened.directory).exists()


def test_a_pool_leaves_no_descriptor_and_no_zombie_behind() -> None:
    gc.collect()  # what tests before this one left to the collector, it closes now and not meanwhile
    before, children = sorted(os.listdir("/proc/self/fd")), children_of_this_process()
    for _ in range(3):
        opened = made()
        assert called(opened, increment, 1).value() == 2
        called(opened, os._exit, 3).reason()
        opened.close(now=False)
        assert opened.wait(90)

    assert sorted(os.listdir("/proc/self/fd")) == before
    assert children_of_this_process() <= children


def children_of_this_process() -> set[str]:
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has ended since
            found.update((task / "children").read_text().split())
    return found


def test_a_worker_that_cannot_start_fails_its_call_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    opened = made()
    (tmp_path / "gone").rmdir()

    reason = called(opened, increment, 1).reason()

    assert "exit code 1" in reason and "FileNotFoundError" in reason and f"{tmp_path}/gone" in reason
    opened.close(now=True)
    assert opened.wait(90)


def test_a_server_that_cannot_start_fails_the_calls_with_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dill.py").write_text("raise ImportError('this dill is broken')")
    monkeypatch.syspath_prepend(str(tmp_path))
    opened = made()

    reason = called(opened, increment, 1).reason()

    assert "the Python server ended" in reason and "this dill is broken" in reason
    opened.close(now=True)
    assert opened.wait(90)


def test_a_process_that_was_forked_from_the_program_holds_nothing_of_the_pool(pool: Pool) -> None:
    called(pool, increment, 1).value()
    assert isinstance(pool, WorkerPool)
    fds = [worker.fd for worker in pool._workers.values()]
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        try:
            pool.submit(Call(increment, 1))
        except RuntimeError:
            os.write(writes, str([fd for fd in fds if os.path.exists(f"/proc/self/fd/{fd}")]).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writes)
    said = os.read(reads, 1000)
    os.close(reads)

    assert said == b"[]"
    assert called(pool, increment, 2).value() == 3


def test_both_ends_forget_the_same_functions() -> None:
    here: dict[int, None] = {}
    there: dict[int, str] = {}
    for number in [*range(40), 9, *range(100, 131), 9, 5]:
        known = number in here
        assert known == (number in there)
        remember(here, number, None)
        remember(there, number, "function")

    assert list(here) == list(there)
    assert len(here) == 32 and 9 in here


def test_more_functions_than_a_worker_keeps_are_sent_again(pool: Pool) -> None:
    space: dict[str, Any] = {}
    functions = []
    for number in range(50):
        exec(f"def f{number}(): return {number}", space)
        functions.append(space[f"f{number}"])

    from hail_batch_jupyter.compile.pool_calls import PoolPacker

    packer = PoolPacker()
    for _ in range(2):
        calls = []
        for function in functions:
            call = Call(increment)
            call.function = packer.function(function)
            pool.submit(call)
            calls.append(call)
        assert [call.value() for call in calls] == list(range(50))

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import gc
import operator
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, Future, as_completed
from pathlib import Path
from typing import Any

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.batch.batch_pool_executor import BatchPoolExecutor, BatchPoolFuture, chunk, cpu_spec_to_float
from hail_batch_jupyter.batch.pool_batches import caller
from hail_batch_jupyter.compile.pool_calls import PoolPacker
from hail_batch_jupyter.core.ports import PoolRequest
from hail_batch_jupyter.errors import BatchException, SubmitError, UnitError
from hail_batch_jupyter.observe import rundir
from tests.conftest import wait_until
from tests.executors.pools import alive, crash, facts, fail, hold, increment, leave, pids_in, wait_for
from tests.requirements import ROOT

LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class NoPool(hb.LocalBackend):
    """A backend without warm processes: each call is a batch."""

    def open_pool(self, request: PoolRequest) -> None:  # type: ignore[override]  # what a backend without them gives
        return None


@pytest.fixture(params=["warm processes", "batches"])
def pool(request: pytest.FixtureRequest) -> Iterator[BatchPoolExecutor]:
    """An executor of two calls at a time, on both ways."""
    backend = hb.LocalBackend(cores=2) if request.param == "warm processes" else NoPool(cores=2)
    with BatchPoolExecutor(backend=backend) as made:
        yield made
        made.shutdown(cancel_futures=True, wait=False)
        for future in made.futures:
            future.cancel()


@pytest.fixture
def warm() -> Iterator[BatchPoolExecutor]:
    """An executor with two warm processes at most."""
    with BatchPoolExecutor(backend=hb.LocalBackend(cores=2)) as made:
        yield made
        for future in made.futures:
            future.cancel()


# what it is


def test_executor_and_future_are_those_of_the_standard_library(pool: BatchPoolExecutor) -> None:
    future = pool.submit(increment, 1)

    assert isinstance(pool, Executor) and isinstance(future, Future) and isinstance(future, BatchPoolFuture)
    assert hb.BatchPoolExecutor is BatchPoolExecutor
    assert future.result() == 2


def test_the_public_attributes_say_what_was_asked_for(tmp_path: Path) -> None:
    backend = hb.LocalBackend(tmp_dir=str(tmp_path))
    with BatchPoolExecutor(name="mine", backend=backend, cpus_per_job="500m", wait_on_exit=False, cleanup_bucket=False) as pool:
        future = pool.submit(increment, 1)
        assert future.result() == 2

        assert (pool.name, pool.backend, pool.image, pool.cpus_per_job) == ("mine", backend, None, "500m")
        assert (pool.wait_on_exit, pool.cleanup_bucket, pool.batches, pool.futures, pool.finished_future_count) == (False, False, [], [future], 1)
        assert pool.directory.startswith(f"{tmp_path}/mine-") and pool.directory.endswith("/")
        assert (pool.inputs, pool.outputs) == (f"{pool.directory}inputs/", f"{pool.directory}outputs/")
    pool.shutdown()
    assert Path(pool.directory).is_dir(), "cleanup_bucket=False keeps it"


def test_a_pool_without_a_name_gets_one_of_its_own() -> None:
    names = {BatchPoolExecutor().name for _ in range(5)}

    assert len(names) == 5
    assert all(name.startswith("BatchPoolExecutor-") and len(name) == 22 for name in names)


def test_the_folder_is_removed_when_all_has_ended(warm: BatchPoolExecutor) -> None:
    warm.submit(increment, 1).result()
    assert Path(warm.directory).is_dir()

    warm.shutdown()

    assert not Path(warm.directory).exists()


def test_an_unused_pool_starts_nothing_and_leaves_nothing() -> None:
    with BatchPoolExecutor(backend=hb.LocalBackend()) as pool:
        pass

    assert not Path(pool.directory).exists()


def test_project_is_deprecated() -> None:
    with pytest.warns(UserWarning, match="'project' is deprecated"):
        BatchPoolExecutor(project="p")


@pytest.mark.parametrize(("spec", "cores"), [(2, 2.0), ("250m", 0.25), ("1.5", 1.5)])
def test_cores_as_a_number(spec: Any, cores: float) -> None:
    assert cpu_spec_to_float(spec) == cores


def test_chunk_makes_a_function_of_lists() -> None:
    assert chunk(operator.add)([1, 2, 3], [10, 20, 30]) == [11, 22, 33]


# submit


def doubled(number: int) -> int:
    return 2 * number


async def later(number: int) -> int:
    await asyncio.sleep(0)
    return number * 3


class Adder:
    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, number: int) -> int:
        return number + self.by

    def method(self, number: int) -> int:
        return number - self.by


def test_anything_that_can_be_called_is_called(pool: BatchPoolExecutor) -> None:
    base = 40
    calls = [lambda x: x + base, functools.partial(operator.add, 3), Adder(5), Adder(5).method, later, len, doubled]
    arguments: list[Any] = [2, 4, 1, 1, 2, "four", 4]

    futures = [pool.submit(function, argument) for function, argument in zip(calls, arguments, strict=True)]

    assert [future.result() for future in futures] == [42, 7, 6, -4, 6, 4, 8]


def test_positional_and_keyword_arguments_arrive_also_those_named_like_our_own(pool: BatchPoolExecutor) -> None:
    assert pool.submit(lambda *args, **kwargs: (args, kwargs), 1, 2, fn=3, self=4).result() == ((1, 2), {"fn": 3, "self": 4})


def test_a_function_is_called_as_it_is_when_the_call_is_made(warm: BatchPoolExecutor) -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("scale = 2\nitems = [1]\ndef inner(x): return x * scale\ndef f(x): return inner(x) + sum(items)", space)

    found = [warm.submit(space["f"], 10).result()]
    space["scale"] = 3
    found.append(warm.submit(space["f"], 10).result())
    space["items"].append(100)
    found.append(warm.submit(space["f"], 10).result())
    exec("def inner(x): return -x", space)
    found.append(warm.submit(space["f"], 10).result())

    assert found == [21, 31, 131, 91]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        pytest.param(lambda pool: pool.submit(increment, (x for x in ())), "a call of 'increment' cannot be sent: argument 1 is a generator", id="argument"),
        pytest.param(lambda pool: pool.submit(increment, number=(x for x in ())), "argument 'number' is a generator", id="keyword"),
        pytest.param(lambda pool: pool.map(increment, [1, (x for x in ())]), "argument 1 is a generator", id="map"),
        pytest.param(lambda pool: pool.submit(with_generator()), "its closure variable 'numbers' is a generator.*make it inside the function", id="closure"),
        pytest.param(lambda pool: pool.submit(increment(1)), "2 cannot be called, because it is a int; pass the function itself", id="no function"),
        pytest.param(lambda pool: pool.submit(increment, hb.Batch().new_job().ofile), "a call of 'increment' cannot be sent.*'ofile'", id="file of a batch"),
    ],
)
def test_what_cannot_be_pickled_is_named_at_the_call_and_the_pool_goes_on(warm: BatchPoolExecutor, bad: Any, words: str) -> None:
    with pytest.raises(BatchException, match=words):
        bad(warm)

    assert warm.submit(increment, 1).result() == 2


def with_generator() -> Any:
    numbers = (x for x in ())
    return lambda: list(numbers)


def test_a_failing_call_gives_a_value_error_with_the_remote_traceback_and_its_own_exception(pool: BatchPoolExecutor) -> None:
    future = pool.submit(fail, "the key")

    with pytest.raises(ValueError, match=r"(?s)^submitted job failed:.*Traceback.*in fail\n.*KeyError: 'the key'") as caught:
        future.result()
    assert isinstance(caught.value.__cause__, KeyError) and caught.value.__cause__.args == ("the key",)
    assert future.exception() is caught.value, "it is given, not raised"
    assert future.done() and not future.cancelled() and not future.running()


def test_an_exception_that_cannot_travel_keeps_its_text(warm: BatchPoolExecutor) -> None:
    class Odd(Exception):
        def __init__(self, a: int, b: int) -> None:
            super().__init__(f"odd {a} {b}")

    def odd() -> None:
        raise Odd(1, 2)

    with pytest.raises(ValueError, match=r"(?s)submitted job failed:.*Odd: odd 1 2"):
        warm.submit(odd).result()


def test_a_value_that_cannot_be_pickled_fails_its_call_and_says_so(warm: BatchPoolExecutor) -> None:
    with pytest.raises(ValueError, match=r"(?s)submitted job failed:.*cannot pickle 'generator' object"):
        warm.submit(lambda: (x for x in ())).result()


def test_sys_exit_is_a_failure_of_the_call_and_not_of_its_process(warm: BatchPoolExecutor) -> None:
    with pytest.raises(ValueError, match="SystemExit: 2") as caught:
        warm.submit(sys.exit, 2).result()

    assert isinstance(caught.value.__cause__, SystemExit)


def test_a_process_that_dies_fails_its_own_call_in_words_and_is_replaced(warm: BatchPoolExecutor) -> None:
    before = [warm.submit(increment, number) for number in range(20)]
    crashed, left = warm.submit(crash), warm.submit(leave, 3)
    after = [warm.submit(increment, number) for number in range(20)]

    assert [future.result() for future in [*before, *after]] == [*range(1, 21), *range(1, 21)]
    with pytest.raises(ValueError, match=r"(?s)submitted job failed: 'crash': its worker process crashed \(SIGSEGV\).*Segmentation fault.*in crash"):
        crashed.result()
    with pytest.raises(ValueError, match=r"(?s)'leave': its worker process ended with exit code 3; .*\nabout to leave"):
        left.result()


def test_a_job_whose_process_dies_fails_its_own_call() -> None:
    with BatchPoolExecutor(backend=NoPool()) as pool:
        with pytest.raises(ValueError, match=r"(?s)submitted job failed: 'leave': .*exit code 3"):
            pool.submit(leave, 3).result()

        assert pool.submit(increment, 1).result() == 2


def test_what_a_call_prints_is_in_its_log(pool: BatchPoolExecutor) -> None:
    def speak(words: str) -> None:
        print(words)
        sys.stderr.write("and aside\n")
        os.system("echo from a child")

    first, second = pool.submit(speak, "one"), pool.submit(speak, "two")
    first.result()
    second.result()

    assert [sorted(future.log().splitlines()) for future in (first, second)] == [
        ["and aside", "from a child", "one"],
        ["and aside", "from a child", "two"],
    ]
    assert pool.submit(increment, 1).log() == ""


def test_large_arguments_and_values_go_through(warm: BatchPoolExecutor) -> None:
    data = os.urandom(20_000_000)

    assert warm.submit(lambda both: both[::-1], data).result() == data[::-1]


def test_thousands_of_calls_in_any_order_give_each_its_own_value(warm: BatchPoolExecutor) -> None:
    futures = {warm.submit(increment, number): number for number in range(2000)}

    assert {futures[future]: future.result() for future in as_completed(futures)} == {number: number + 1 for number in range(2000)}


def test_threads_may_share_a_pool(warm: BatchPoolExecutor) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda start=start: found.extend(warm.map(increment, range(start, start + 200)))) for start in range(0, 1000, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == list(range(1, 1001))


# futures


def test_callbacks_are_called_with_the_future_also_when_it_is_done_already_and_may_submit(warm: BatchPoolExecutor) -> None:
    chain: list[Any] = []
    ended = threading.Event()

    def on(future: Future[int]) -> None:
        chain.append(future.result())
        if future.result() < 5:
            warm.submit(increment, future.result()).add_done_callback(on)
        else:
            ended.set()

    first = warm.submit(increment, 0)
    first.result()
    first.add_done_callback(on)

    assert ended.wait(90)
    assert chain == [1, 2, 3, 4, 5]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_raises_harms_neither_the_pool_nor_other_calls(warm: BatchPoolExecutor, tmp_path: Path) -> None:
    held = warm.submit(wait_for, str(tmp_path / "go"))
    for error in (ValueError("mine"), SystemExit(3), KeyboardInterrupt()):
        held.add_done_callback(functools.partial(throw, error))
        (tmp_path / "go").touch()
        assert held.result() == str(tmp_path / "go")
        held = warm.submit(wait_for, str(tmp_path / "go"))

    assert warm.submit(increment, 1).result() == 2
    wait_until(lambda: warm.finished_future_count == 5)


def throw(error: BaseException, future: Future[Any]) -> None:
    raise error


def test_a_timeout_leaves_the_call_going(pool: BatchPoolExecutor, tmp_path: Path) -> None:
    future = pool.submit(wait_for, str(tmp_path / "go"))
    with pytest.raises(TimeoutError):
        future.result(timeout=0.01)
    with pytest.raises(TimeoutError):
        future.exception(timeout=0.01)
    wait_until(future.running)

    (tmp_path / "go").touch()

    assert future.result() == str(tmp_path / "go")
    assert not future.running()


def test_a_running_call_can_be_cancelled_once_with_all_its_processes(pool: BatchPoolExecutor, tmp_path: Path) -> None:
    future = pool.submit(hold, str(tmp_path))
    wait_until((tmp_path / "held").exists)

    assert [future.cancel(), future.cancel()] == [True, False]

    assert future.cancelled() and future.done() and not future.running()
    for ask in (future.result, future.exception):
        with pytest.raises(CancelledError):
            ask()
    assert concurrent.futures.wait([future], timeout=0).done == {future}
    wait_until(lambda: not any(map(alive, pids_in(tmp_path / "held")[:2])))
    assert pool.submit(increment, 1).result() == 2


def test_cancelling_what_has_ended_changes_nothing(pool: BatchPoolExecutor) -> None:
    good, bad = pool.submit(increment, 1), pool.submit(fail, "x")
    concurrent.futures.wait([good, bad])

    assert [good.cancel(), bad.cancel()] == [False, False]
    assert good.result() == 2
    assert isinstance(bad.exception(), ValueError)


def test_a_waiting_call_that_is_cancelled_is_never_made(tmp_path: Path) -> None:
    with BatchPoolExecutor(backend=hb.LocalBackend(parallelism=1)) as pool:
        first = pool.submit(wait_for, str(tmp_path / "go"))
        second = pool.submit(Path.touch, tmp_path / "never")
        wait_until(first.running)

        assert not second.running() and second.cancel()
        (tmp_path / "go").touch()
        first.result()
        assert pool.submit(increment, 1).result() == 2
    assert not (tmp_path / "never").exists()


def test_a_call_is_counted_before_anybody_is_told_of_its_end(warm: BatchPoolExecutor, tmp_path: Path) -> None:
    counted: list[int] = []
    held = [warm.submit(wait_for, str(tmp_path / name)) for name in ("go", "never")]
    for future in held:
        future.add_done_callback(lambda _: counted.append(warm.finished_future_count))

    (tmp_path / "go").touch()
    held[0].result()
    held[1].cancel()

    wait_until(lambda: len(counted) == 2)
    assert counted == [1, 2]


# map


def test_map_over_seven_in_chunks_of_three_keeps_the_order(pool: BatchPoolExecutor) -> None:
    assert list(pool.map(lambda x, y: (x, y, os.getpid()) and x * y, range(7), range(7), chunksize=3)) == [0, 1, 4, 9, 16, 25, 36]


@pytest.mark.parametrize(("n_items", "chunksize", "sizes"), [(7, 3, [2, 2, 3]), (4, 2, [2, 2]), (5, 9, [5]), (3, 0, [1, 1, 1]), (2, -1, [1, 1])])
def test_chunks_are_nearly_equal(warm: BatchPoolExecutor, n_items: int, chunksize: int, sizes: list[int]) -> None:
    assert list(warm.map(increment, range(n_items), chunksize=chunksize)) == list(range(1, n_items + 1))
    assert warm.finished_future_count == len(sizes)


def test_map_without_iterables_or_items_gives_nothing(warm: BatchPoolExecutor) -> None:
    assert [list(warm.map(increment)), list(warm.map(increment, [])), list(warm.map(increment, [], chunksize=5))] == [[], [], []]


def test_map_stops_at_the_shortest_and_chunks_need_equal_lengths(warm: BatchPoolExecutor) -> None:
    assert list(warm.map(operator.add, [1, 2, 3], [10, 20])) == [11, 22]
    with pytest.raises(ValueError, match="the iterables have 3, 2 items; make them equally long"):
        warm.map(operator.add, [1, 2, 3], [10, 20], chunksize=2)


def test_map_makes_all_calls_at_once(warm: BatchPoolExecutor, tmp_path: Path) -> None:
    values = warm.map(Path.touch, [tmp_path / str(number) for number in range(5)])

    wait_until(lambda: len(list(tmp_path.iterdir())) == 5)
    assert list(values) == [None] * 5


@pytest.mark.parametrize("chunksize", [1, 2])
def test_the_first_failure_ends_a_map_and_cancels_the_rest(pool: BatchPoolExecutor, tmp_path: Path, chunksize: int) -> None:
    go = str(tmp_path / "never")
    values = pool.map(lambda n: fail("third") if n == 2 else wait_for(go) if n > 3 else n, range(8), chunksize=chunksize)

    assert [next(values), next(values)] == [0, 1]
    with pytest.raises(ValueError, match="(?s)submitted job failed:.*KeyError: 'third'"):
        next(values)
    assert list(values) == [], "the generator is finished"
    wait_until(lambda: all(future.done() for future in pool.futures), story=lambda: pool)
    assert pool.submit(increment, 1).result() == 2


def test_closing_the_generator_cancels_the_rest(warm: BatchPoolExecutor, tmp_path: Path) -> None:
    values = warm.map(lambda n: n if n == 0 else wait_for(str(tmp_path / "never")), range(6))
    assert next(values) == 0
    futures = [future for future in warm.futures if not future.done()]

    values.close()

    assert [future.cancelled() for future in futures] == [True] * 5


def test_the_timeout_of_map_counts_for_each_value(warm: BatchPoolExecutor, tmp_path: Path) -> None:
    assert warm.submit(increment, 1).result() == 2
    values = warm.map(lambda n: n if n == 0 else wait_for(str(tmp_path / "never")), range(2), timeout=2)
    assert next(values) == 0

    with pytest.raises(TimeoutError):
        next(values)
    wait_until(lambda: warm.finished_future_count == 3)


# the end


def test_after_shutdown_there_are_no_calls_and_shutdown_may_be_repeated(pool: BatchPoolExecutor) -> None:
    future = pool.submit(increment, 1)
    pool.shutdown()
    pool.shutdown()

    assert future.result() == 2
    with pytest.raises(RuntimeError, match="already been shutdown"):
        pool.submit(increment, 1)
    with pytest.raises(RuntimeError, match="already been shutdown"):
        pool.map(increment, [1])


def test_leaving_with_waits_and_swallows_no_error_of_the_block_and_raises_none_of_a_call() -> None:
    with BatchPoolExecutor() as pool:
        futures = [pool.submit(increment, 1), pool.submit(fail, "x")]
    assert [future.done() for future in futures] == [True, True]

    with pytest.raises(KeyError, match="own"), BatchPoolExecutor():
        raise KeyError("own")


def test_shutdown_without_waiting_lets_calls_end_and_then_closes_the_backend(tmp_path: Path) -> None:
    closed = threading.Event()

    class Noted(hb.LocalBackend):
        def close(self) -> None:
            closed.set()

    with BatchPoolExecutor(backend=Noted(), wait_on_exit=False) as pool:
        future = pool.submit(wait_for, str(tmp_path / "go"))
    assert not future.done() and not closed.is_set()

    (tmp_path / "go").touch()

    assert future.result() == str(tmp_path / "go")
    assert closed.wait(90)
    assert not Path(pool.directory).exists()


def test_shutdown_can_cancel_what_has_not_begun(tmp_path: Path) -> None:
    pool = BatchPoolExecutor(backend=hb.LocalBackend(parallelism=1))
    running, waiting = pool.submit(wait_for, str(tmp_path / "go")), [pool.submit(increment, 1) for _ in range(3)]
    wait_until(running.running)

    pool.shutdown(wait=False, cancel_futures=True)
    (tmp_path / "go").touch()

    assert running.result() == str(tmp_path / "go")
    assert [future.cancelled() for future in waiting] == [True] * 3
    pool.shutdown()


def test_a_pool_that_nobody_holds_ends_when_its_calls_have(tmp_path: Path) -> None:
    pool = BatchPoolExecutor()
    directory, future = Path(pool.directory), pool.submit(wait_for, str(tmp_path / "go"))
    del pool
    gc.collect()
    (tmp_path / "go").touch()

    assert future.result() == str(tmp_path / "go")
    wait_until(lambda: not directory.exists())


def test_an_interrupted_wait_leaves_the_pool_usable(tmp_path: Path) -> None:
    script = f"""
        import os, signal, threading
        from hail_batch_jupyter.batch import BatchPoolExecutor
        from tests.executors.pools import increment, wait_for
        with BatchPoolExecutor() as pool:
            future = pool.submit(wait_for, {str(tmp_path / "go")!r})
            while not future.running():
                pass
            threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            try:
                future.result()
            except KeyboardInterrupt:
                print("interrupted")
            print(pool.submit(increment, 1).result())
            open({str(tmp_path / "go")!r}, "w").close()
            print(future.result() == {str(tmp_path / "go")!r})
    """
    assert python(script) == "interrupted\n2\nTrue\n"


def python(script: str) -> str:
    """What a script prints that succeeds."""
    import textwrap

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_program_ends_when_its_calls_have(tmp_path: Path) -> None:
    script = f"""
        from hail_batch_jupyter.batch import BatchPoolExecutor
        pool = BatchPoolExecutor()
        for number in range(20):
            pool.submit(lambda number: open({str(tmp_path)!r} + f"/{{number}}", "w").close(), number)
    """
    python(script)

    assert len(list(tmp_path.iterdir())) == 20


def test_classes_of_a_script_keep_their_identity() -> None:
    script = """
        from dataclasses import dataclass
        from hail_batch_jupyter.batch import BatchPoolExecutor
        @dataclass
        class Point:
            x: int
        class Wrong(Exception): pass
        def moved(point): return Point(point.x + 1)
        def wrong(): raise Wrong("no")
        with BatchPoolExecutor() as pool:
            print(list(pool.map(moved, [Point(1), Point(2)])) == [Point(2), Point(3)])
            print(type(pool.submit(wrong).exception().__cause__) is Wrong)
    """
    assert python(script) == "True\nTrue\n"


@pytest.mark.parametrize("end", ["kill -9 of the program", "kill -9 of its process group"])
def test_no_process_outlives_a_killed_program(tmp_path: Path, end: str) -> None:
    script = (
        "from hail_batch_jupyter.batch import BatchPoolExecutor, LocalBackend\nfrom tests.executors.pools import hold\n"
        f"pool = BatchPoolExecutor(backend=LocalBackend(cores=2, tmp_dir={str(tmp_path)!r}))\n"
        f"[pool.submit(hold, {str(tmp_path)!r}, name) for name in 'ab'][0].result()"
    )
    program = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True)
    wait_until(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
    pids = [*pids_in(tmp_path / "a"), *pids_in(tmp_path / "b")]
    assert all(map(alive, pids))

    (os.killpg if "group" in end else os.kill)(program.pid, signal.SIGKILL)
    program.wait()

    wait_until(lambda: not any(map(alive, pids)), story=lambda: [pid for pid in pids if alive(pid)])
    wait_until(lambda: not list(tmp_path.glob("BatchPool*")), story=lambda: list(tmp_path.iterdir()))


# backends


def test_calls_share_the_cores_of_the_backend(tmp_path: Path) -> None:
    def together(number: int) -> None:
        (tmp_path / f"in-{number}").touch()
        wait_for(str(tmp_path / "go"))

    with BatchPoolExecutor(backend=hb.LocalBackend(cores=3), cpus_per_job=1) as pool:
        futures = [pool.submit(together, number) for number in range(5)]
        wait_until(lambda: len(list(tmp_path.glob("in-*"))) == 3)
        assert sum(future.running() for future in futures) == 3
        (tmp_path / "go").touch()


@pytest.mark.parametrize(("cpus", "limit"), [(None, "1"), ("250m", "1"), (2, "2"), ("2.5", "2")])
def test_numerical_libraries_keep_to_the_cores_of_a_call(cpus: Any, limit: str) -> None:
    with BatchPoolExecutor(backend=hb.LocalBackend(cores=4), cpus_per_job=cpus) as pool:
        env = pool.submit(facts).result()["env"]

    assert [env[name] for name in LIMITS] == [limit] * 5


def test_more_cores_than_there_are_are_refused_or_make_one_call_at_a_time() -> None:
    with pytest.raises(SubmitError, match="each call of 'big' asks for 64 cores where there are 2"):
        BatchPoolExecutor(name="big", backend=hb.LocalBackend(cores=2, strict=True), cpus_per_job=64)
    with pytest.warns(UserWarning, match="one call is made at a time"):
        pool = BatchPoolExecutor(backend=hb.LocalBackend(cores=2), cpus_per_job=64)
    with pool:
        assert pool.submit(increment, 1).result() == 2


def test_a_malformed_number_of_cores_is_refused_at_once() -> None:
    with pytest.raises(UnitError, match="lots"):
        BatchPoolExecutor(cpus_per_job="lots")


def test_without_warm_processes_each_call_is_a_batch_of_one_job(runs: Path) -> None:
    with BatchPoolExecutor(name="mine", backend=NoPool(), cpus_per_job="500m") as pool:
        assert [pool.submit(increment, 1).result(), pool.submit(lambda: 7).result()] == [2, 7]

        assert sorted(str(batch.name)[: len("mine-increment")] for batch in pool.batches) == ["mine-<lambda>-", "mine-increment"]
        jobs = [batch.last_run.spec.jobs for batch in pool.batches if batch.last_run is not None]
        assert [(len(specs), specs[0].request.cpu_mcpu, specs[0].env["OMP_NUM_THREADS"]) for specs in jobs] == [(1, 500, "1")] * 2
        assert pool.directory.endswith("batch-pool-executor/mine/")
    assert rundir.list_runs() == [], "nothing of them is kept"


def test_what_a_backend_refuses_is_told_by_the_future() -> None:
    with BatchPoolExecutor(backend=hb.LocalBackend(extra_docker_run_flags="--no-such-flag"), image="no.such/image:0") as pool:
        error = pool.submit(increment, 1).exception()

    assert isinstance(error, ValueError)
    assert str(error).startswith("submitted job failed: 'increment': ")
    assert "no.such/image:0" in str(error)


# coroutines


def test_coroutines_submit_map_wait_and_cancel_in_their_own_loop(pool: BatchPoolExecutor, tmp_path: Path) -> None:
    async def work() -> list[Any]:
        future = await pool.async_submit(increment, 1)
        values = [value async for value in await pool.async_map(operator.add, [range(5), range(5)], chunksize=2)]
        held = await pool.async_submit(wait_for, str(tmp_path / "go"))
        with pytest.raises(TimeoutError):
            await held.async_result(timeout=0.05)
        cancelled = [await held.async_cancel(), await held.async_cancel()]
        with pytest.raises(CancelledError):
            await held.async_result()
        return [await future.async_result(), values, cancelled, await asyncio.wrap_future(pool.submit(increment, 5))]

    assert asyncio.run(work()) == [2, [0, 2, 4, 6, 8], [True, False], 6]


def test_the_blocking_methods_work_inside_a_running_loop_and_leave_it_alone(pool: BatchPoolExecutor) -> None:
    async def cell() -> list[int]:
        loop = asyncio.get_running_loop()
        with BatchPoolExecutor(backend=pool.backend) as own:
            found = [own.submit(increment, 1).result(), *own.map(increment, [1, 2])]
        assert asyncio.get_running_loop() is loop and type(loop).__module__.startswith("asyncio")
        return found

    assert asyncio.run(cell()) == [2, 2, 3]
    assert "nest_asyncio" not in sys.modules


def test_a_failure_ends_an_async_map_and_cancels_the_rest(warm: BatchPoolExecutor, tmp_path: Path) -> None:
    async def work() -> None:
        async for _ in await warm.async_map(lambda n: fail("x") if n == 0 else wait_for(str(tmp_path / "never")), [range(4)]):
            pass

    with pytest.raises(ValueError, match="KeyError"):
        asyncio.run(work())
    wait_until(lambda: warm.finished_future_count == 4)


def test_what_runs_a_call_in_a_job_needs_dill_and_not_this_package() -> None:
    packer = PoolPacker()
    call = [packer.function(caller()).data, packer.function(chunk(operator.add)).data, packer.arguments(chunk, ([1, 2], [3, 4]), {})]
    script = f"""
        import sys
        sys.modules["hail_batch_jupyter"] = None
        import dill
        call, function, arguments = {call!r}
        print(dill.loads(call)(function, arguments))
    """

    assert python(script) == "[4, 6]\n"


def test_several_threads_may_submit_batches_at_once() -> None:
    with BatchPoolExecutor(backend=NoPool()) as pool:
        assert list(pool.map(increment, range(24))) == list(range(1, 25))

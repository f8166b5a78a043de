from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dill
import pytest

from hail_batch_jupyter.compile import call_runner


class Running:
    """Calls that stand alone: their files are in one folder, as they are in scratch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[dict[str, Any]] = []

    def call(self, function: Callable[..., Any], *args: Any, names: list[str] | None = None, forms: Any = (), **more: Any) -> None:
        number = len(self.calls) + 1
        (self.folder / f"f{number}").write_bytes(dill.dumps(function, recurse=True))
        self.calls.append(
            {
                "function": f"f{number}",
                "arguments": dill.dumps((args, {})),
                "results": [f"job/{name}" for name in names or [f"result{number}"]],
                "named": names is not None,
                "names": names or [f"result{number}"],
                "forms": list(forms),
                "title": "function",
                **more,
            }
        )

    def run(self) -> subprocess.CompletedProcess[str]:
        (self.folder / "calls").write_bytes(pickle.dumps(self.calls))
        argv = [sys.executable, call_runner.__file__, str(self.folder / "calls"), str(self.folder)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        return subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)

    def value(self, name: str) -> Any:
        return dill.loads((self.folder / "job" / name).read_bytes())


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """Calls to be made in the test's own folder."""
    return Running(tmp_path)


def test_a_value_is_a_pickle_that_dill_reads(running: Running) -> None:
    running.call(lambda x: {"x": x}, 5)

    assert (running.run().returncode, running.value("result1")) == (0, {"x": 5})


def test_a_function_is_a_value_too(running: Running) -> None:
    running.call(lambda n: lambda x: x + n, 5)
    running.run()

    assert running.value("result1")(2) == 7


def test_forms_are_text_with_one_line_end(running: Running) -> None:
    running.call(lambda: "é", forms=[(0, "str", "job/s"), (0, "json", "job/j"), (0, "repr", "job/r")])
    running.run()

    assert [(running.folder / "job" / name).read_text("utf-8") for name in "sjr"] == ["é\n", '"\\u00e9"\n', "'é'\n"]


@pytest.mark.parametrize(
    ("leave", "status"),
    [
        pytest.param("raise ValueError('boom')", 1, id="exception"),
        pytest.param("raise SystemExit(3)", 3, id="exit-status"),
        pytest.param("raise SystemExit", 1, id="exit-without-status"),
        pytest.param("raise KeyboardInterrupt", 1, id="interrupt"),
    ],
)
def test_what_ends_the_function_is_its_result_and_its_status(running: Running, leave: str, status: int) -> None:
    space: dict[str, Any] = {}
    exec(f"def fail():\n    {leave}", space)
    running.call(space["fail"])
    done = running.run()
    error, lines = running.value("result1")

    assert status == done.returncode
    assert type(error).__name__ in leave
    assert "".join(lines) == done.stderr


def test_an_exception_that_cannot_travel_keeps_its_text(running: Running) -> None:
    def fail() -> None:
        class OddError(Exception):
            def __init__(self, one: str, two: str) -> None:
                super().__init__(f"{one} and {two}")

        raise OddError("a", "b")

    running.call(fail)
    running.run()
    error, lines = running.value("result1")

    assert (type(error).__name__, str(error)) == ("RuntimeError", "OddError: a and b")
    assert "OddError" in lines[-1]


def test_a_value_that_cannot_be_pickled_fails_the_call(running: Running) -> None:
    running.call(lambda: (n for n in [1]))
    done = running.run()

    assert done.returncode == 1
    assert "generator" in done.stderr


def test_a_step_that_fails_or_is_killed_ends_the_rest(running: Running) -> None:
    running.call(os.getpid)
    running.call(lambda number: os.kill(os.getpid(), number), int(signal.SIGTERM))
    running.call(os.getpid)

    assert running.run().returncode == 128 + signal.SIGTERM
    assert [(running.folder / "job" / f"result{n}").exists() for n in (1, 2, 3)] == [True, False, False]


def test_steps_are_processes_of_their_own_and_a_single_one_is_not(running: Running) -> None:
    running.call(os.getpid)
    running.call(os.getpid)
    running.run()

    assert running.value("result1") != running.value("result2")


def test_threads_of_a_step_come_to_their_end(running: Running) -> None:
    def start(path: str) -> None:
        import threading
        from pathlib import Path

        threading.Timer(0.05, lambda: Path(path).write_text("done")).start()

    running.call(start, str(running.folder / "mark"))
    running.call(print)
    running.run()

    assert (running.folder / "mark").read_text() == "done"


def test_the_runner_needs_nothing_of_this_package(running: Running) -> None:
    running.call(lambda: sorted(name for name in __import__("sys").modules if "hail" in name))
    running.run()

    assert running.value("result1") == []


HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.mark.parametrize(
    ("made_with", "status", "words"),
    [
        pytest.param(
            {"python": "3.1", "dill": dill.__version__},
            1,
            f"this job was described with Python 3.1 and runs with Python {HERE} ({sys.executable}), which cannot read its functions; "
            f"use an image with Python 3.1, or describe the batch with Python {HERE}\n",
            id="another-python",
        ),
        pytest.param(
            {"python": HERE, "dill": "0.0.1"},
            0,
            f"this job was described with dill 0.0.1 and runs with dill {dill.__version__}; if it fails, use the same in both\n",
            id="another-dill",
        ),
        pytest.param({"python": HERE, "dill": dill.__version__}, 0, "", id="the-same"),
    ],
)
def test_versions_that_differ_are_said_in_one_sentence(running: Running, made_with: dict[str, str], status: int, words: str) -> None:
    running.call(lambda: 1, made_with=made_with)

    done = running.run()

    assert (done.returncode, done.stderr) == (status, words)


def test_a_python_without_dill_says_what_to_install(running: Running) -> None:
    running.call(lambda: 1, made_with={"python": HERE, "dill": "0.4.0"})
    (running.folder / "calls").write_bytes(pickle.dumps(running.calls))

    done = subprocess.run([sys.executable, "-I", "-S", call_runner.__file__, "calls", str(running.folder)], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == f"this job needs the package dill, which {sys.executable} does not have; install it where the job runs: pip install dill==0.4.0\n"

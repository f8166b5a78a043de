"""Reading and searching logs that are too large to be read whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.jupyter.live import joblog

Told = Callable[..., tuple[Any, Any]]
STEP = 4 << 20


@pytest.fixture
def logged(told_run: Told, tmp_path: Path) -> Callable[..., Any]:
    """Makes a run of one job whose log is a file of these bytes."""

    def make(data: bytes, attempt: int = 1, container: str = "main") -> Any:
        run, port = told_run(("a", ()))
        port.tell(1, JobState.RUNNING, attempt, phase="main")
        run.directory = tmp_path
        (tmp_path / "logs").mkdir(exist_ok=True)
        (tmp_path / "logs" / f"1.{attempt}.{container}.log").write_bytes(data)
        return run

    return make


def find(run: Any, text: str, start: int, **words: Any) -> tuple[Any, Any]:
    content, _ = joblog.find(run, {"job": 0, "text": text, "start": start, **words}, clock=lambda: 0.0)
    return content["at"], content["until"]


def test_a_text_is_found_forwards_and_backwards_whatever_its_case(logged: Callable[..., Any]) -> None:
    run = logged(b"one Error\ntwo error\nthree\n")

    assert [find(run, "error", start)[0] for start in (0, 4, 5, 15)] == [4, 4, 14, None]
    assert [find(run, "error", start, back=True)[0] for start in (26, 14, 4)] == [14, 4, None]
    assert find(run, "Error", 5) == (None, 26)
    assert find(run, "one", 0, back=True) == (None, 0)


def test_a_text_that_lies_across_two_readings_is_found(logged: Callable[..., Any]) -> None:
    run = logged(b"." * (STEP - 3) + b"needle" + b"." * STEP)

    assert find(run, "needle", 0)[0] == STEP - 3
    assert find(run, "needle", 2 * STEP + 3, back=True)[0] == STEP - 3


def test_a_search_stops_in_time_and_goes_on_where_it_stopped(logged: Callable[..., Any]) -> None:
    run = logged(b"." * 2 * STEP + b"needle")
    times = iter([0.0, 1.0, 2.0])

    content, _ = joblog.find(run, {"job": 0, "text": "needle", "start": 0}, clock=lambda: next(times))

    assert (content["at"], content["until"]) == (None, STEP)
    assert find(run, "needle", content["until"])[0] == 2 * STEP


def test_logs_of_every_attempt_and_container_are_read(logged: Callable[..., Any]) -> None:
    logged(b"first", 1)
    logged(b"copying", 2, "input")
    run = logged(b"second", 2)

    def text(**words: Any) -> bytes:
        return joblog.part(run, {"job": 0, "start": 0, "length": 99, **words})[1]

    assert (text(), text(attempt=1), text(attempt=2, container="input"), text(container="output")) == (b"second", b"first", b"copying", b"")
    assert joblog.names(run, 1) == {1: ["main"], 2: ["input", "main"]}


@pytest.mark.parametrize(
    "asked", [{"job": 4}, {"job": "a"}, {"job": 0, "container": "../spec"}, {"job": 0, "attempt": "../1"}, {"job": 0, "attempt": 0}, {"job": 0, "text": ""}]
)
def test_what_there_cannot_be_is_refused(logged: Callable[..., Any], asked: dict[str, Any]) -> None:
    run = logged(b"x")

    with pytest.raises(ValueError, match=r"no job|no log|cannot be searched"):
        joblog.find(run, {"text": "x" * 201, "start": 0, **asked})


def test_a_large_log_is_opened_at_its_end_without_being_read(logged: Callable[..., Any], tmp_path: Path) -> None:
    run = logged(b"")
    with (tmp_path / "logs" / "1.1.main.log").open("r+b") as file:
        file.truncate(1 << 40)

    content, data = joblog.part(run, {"job": 0, "start": -1000, "length": 10**9})

    assert (content["start"], content["size"], len(data)) == ((1 << 40) - 1000, 1 << 40, 1000)

from __future__ import annotations

import json
import threading
import time
import zlib
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.core.events import Usage
from hail_batch_jupyter.core.spec import GroupSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.cost.card import card_data, load_card
from hail_batch_jupyter.jupyter.live import answers, deeds
from hail_batch_jupyter.jupyter.live.feed import Feed
from tests.conftest import wait_until

READY, RUNNING, SUCCESS = JobState.READY, JobState.RUNNING, JobState.SUCCESS
Told = Callable[..., tuple[Any, Any]]


def columns(run: Any, *names: str, **where: Any) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """The answer, and its columns by name."""
    content, buffer = answers.answer(run, {"kind": "columns", "request": 7, "names": list(names), **where})
    body = zlib.decompress(buffer or b"") if content["deflate"] else buffer or b""
    read = {}
    for index, name in enumerate(content["names"]):
        code = "I" if name in answers.TIMES else answers.COLUMNS[name].code
        size = 4 * content["count"]
        read[name] = array(code, body[index * size : (index + 1) * size]).tolist()
    return content, read


def test_columns_tell_the_phases_and_the_use_of_each_job(told_run: Told) -> None:
    run, port = told_run(("a", ()), ("b", (1,)))
    port.tell(1, READY)
    port.tell(1, RUNNING, 1, phase="input")
    port.tell(1, RUNNING, 1, phase="main", slot=3)
    port.tell(1, RUNNING, 1, phase="output", slot=3)
    port.tell(1, SUCCESS, 1, exit_code=0, usage=Usage(2048 * 1024, 1.5, at_most=True))

    content, read = columns(run, "ready", "started", "main", "output", "ended", "slot", "exit", "rss", "cpu", first=0, count=2)

    none = answers.NO_TIME
    assert (content["request"], content["count"], content["base_ms"]) == (7, 2, 1_000_000)
    assert [read[name] for name in answers.TIMES] == [[0, none], [100, none], [200, none], [300, none], [400, none]]
    assert [read[name] for name in ("slot", "exit", "rss", "cpu")] == [[3, -1], [0, -1], [-2048, 0], [1.5, -1.0]]


def test_the_cost_of_a_job_that_runs_is_told_until_now(told_run: Told) -> None:
    run, port = told_run(("a", ()), ("b", ()), ("c", ()))
    run.spec = run.spec._replace(card=card_data(load_card("core-hours:1")))
    port.tell(1, RUNNING, 1, phase="main")
    port.tell(2, RUNNING, 1, phase="main")
    port.tell(2, SUCCESS, 1, exit_code=0, cost_usd=0.25)

    _, read = columns(run, "cost", first=0, count=3)

    since_hours = (time.time() - 1000) / 3600  # the test's events are of the year 1970
    assert read["cost"] == [pytest.approx(since_hours, rel=1e-4), 0.25, 0]


def test_another_attempt_has_phases_of_its_own(told_run: Told) -> None:
    run, port = told_run(("a", ()))
    port.tell(1, RUNNING, 1, phase="main")
    port.tell(1, RUNNING, 1, phase="output")
    port.tell(1, RUNNING, 2, phase="input")

    _, read = columns(run, "started", "main", "output", first=0, count=1)

    assert read == {"started": [0], "main": [answers.NO_TIME], "output": [answers.NO_TIME]}


def test_columns_of_single_jobs_come_in_the_order_asked(told_run: Told) -> None:
    run, port = told_run(("a", ()), ("b", ()), ("c", ()))
    port.tell(3, RUNNING, 5)

    content, read = columns(run, "attempt", jobs=[2, 99, 0])

    assert (content["count"], read) == (2, {"attempt": [5, 0]})


def test_an_answer_holds_no_more_jobs_than_fit_into_its_bytes(told_run: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_COLUMNS_BYTES", 24)
    run, _ = told_run(*[(f"job-{number}", ()) for number in range(10)])

    content, read = columns(run, "slot", "exit", first=2, count=10)

    assert (content["count"], len(read["slot"])) == (3, 3)


def test_fifty_thousand_jobs_answer_in_a_megabyte(told_run: Told) -> None:
    run, _ = told_run(*[(f"job-{number}", ()) for number in range(50_000)])

    content, buffer = answers.answer(run, {"kind": "columns", "request": 1, "names": list(answers.TIMES), "first": 0, "count": 50_000})

    assert content["count"] == 50_000
    assert len(buffer or b"") + len(json.dumps(content)) <= 1_000_000


def test_a_log_is_read_in_parts_from_its_end(told_run: Told, tmp_path: Path) -> None:
    run, _ = told_run(("a", ()))
    run.directory = tmp_path
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "1.1.main.log").write_bytes(b"0123456789")

    end = answers.answer(run, {"kind": "log", "request": 1, "job": 0, "start": -4, "length": 100})
    middle = answers.answer(run, {"kind": "log", "request": 2, "job": 0, "start": 2, "length": 3})

    assert end == ({"kind": "log", "request": 1, "job": 0, "start": 6, "size": 10}, b"6789")
    assert middle == ({"kind": "log", "request": 2, "job": 0, "start": 2, "size": 10}, b"234")


def test_a_log_that_lies_elsewhere_is_asked_of_the_run(told_run: Told) -> None:
    run, port = told_run(("a", ()))
    port.logs[1] = b"hello"

    assert answers.answer(run, {"kind": "log", "request": 1, "job": 0, "start": -3, "length": 2})[1] == b"ll"


def test_what_cannot_be_answered_gets_a_sentence(told_run: Told) -> None:
    run, _ = told_run(("a", ()))

    asked: list[dict[str, Any]] = [
        {"kind": "columns", "names": ["colour"], "first": 0, "count": 1},
        {"kind": "columns", "names": ["slot"]},
        {"kind": "log", "job": 5, "start": 0, "length": 1},
    ]

    for question in asked:
        content, buffer = answers.answer(run, {**question, "request": 3})
        assert (content["kind"], content["request"], content["ok"], buffer) == ("answer", 3, False, None)
        assert content["text"]


@pytest.mark.requires("built front end")
def test_the_module_of_the_views_is_sent_with_its_style_sheet(told_run: Told) -> None:
    run, _ = told_run(("a", ()))

    content, buffer = answers.answer(run, {"kind": "views", "request": 1})

    body = zlib.decompress(buffer or b"")
    assert body[: content["script"]] == answers.VIEWS_JS.read_bytes()
    assert body[content["script"] :] == answers.VIEWS_CSS.read_bytes()


def test_the_feed_answers_on_a_thread_of_its_own(told_run: Told) -> None:
    run, _ = told_run(("a", ()))
    heard: list[dict[str, Any]] = []
    feed, snapshot, go_on = Feed(run, lambda content, _buffer: heard.append(content)), run.snapshot, threading.Event()
    run.snapshot = lambda: go_on.wait(90) and snapshot()

    feed.receive({"kind": "columns", "request": 1, "names": ["slot"], "first": 0, "count": 1})

    assert heard == []
    go_on.set()
    wait_until(lambda: len(heard) == 1, story=lambda: heard)
    assert heard[0]["kind"] == "columns"


def test_groups_are_named_with_those_around_them(told_run: Told) -> None:
    run, _ = told_run(("a", ()), ("b", ()))
    jobs = (run.spec.jobs[0], run.spec.jobs[1]._replace(group=2))
    run.spec = run.spec._replace(jobs=jobs, groups=(GroupSpec(1, "models"), GroupSpec(2, "slow", 1)))

    assert answers.answer(run, {"kind": "groups", "request": 3})[0]["groups"] == [{"name": "models", "parent": 0}, {"name": "slow", "parent": 1}]
    assert columns(run, "group", first=0, count=2)[1] == {"group": [0, 2]}
    assert answers.answer(run, {"kind": "job", "request": 4, "job": 1})[0]["detail"]["groups"] == ["models", "slow"]


def test_a_deed_that_is_about_nothing_is_refused_with_a_sentence(told_run: Told) -> None:
    run, port = told_run(("a", ()))
    port.tell(1, RUNNING, 1, phase="main")

    def said(**words: Any) -> tuple[bool, str]:
        answer = answers.carry_out(run, {"request": 1, **words}, deeds.retry)
        return answer["ok"], answer["text"]

    assert said(kind="cancel", job_ids=[]) == (False, "job_ids [] are not the numbers of jobs; write [3] for job 3")
    assert said(kind="cancel", group="slow")[1].startswith("the run has no group 'slow'")
    assert said(kind="cancel", job_ids=[2])[1].endswith("has no job 2; its jobs are 1 to 1")
    assert said(kind="retry")[1].endswith("this machine does not do a part of a batch again; run the batch again")

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.jupyter.live.graph import graph_of
from hail_batch_jupyter.jupyter.static import LIMIT_BYTES, run_html

READY, RUNNING, SUCCESS, FAILED = JobState.READY, JobState.RUNNING, JobState.SUCCESS, JobState.FAILED
Told = Callable[..., tuple[Any, Any]]


class Tags(HTMLParser):
    """The names of all elements, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.open.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def html_of(run: Any) -> str:
    return run_html(run, run.snapshot(), graph_of(run.spec))


def test_the_state_counts_stages_and_failures_are_shown(told_run: Told) -> None:
    run, port = told_run(("load", ()), ("fit1", (1,)), ("fit2", (1,)), ("gather", (2, 3)), name="study")
    port.logs[2] = b"one\ntwo\n"
    for state in (READY, RUNNING, SUCCESS):
        port.tell(1, state, 1)
    for state in (READY, RUNNING, FAILED):
        port.tell(2, state, 1, exit_code=3)

    html = html_of(run)

    text = Tags(html).text
    assert "▶ Failing · study · 1 of 4 jobs done after" in text
    assert "fit \N{MULTIPLICATION SIGN}2" in text
    assert "✗ fit1: failed with exit code 3one\ntwo" in text
    assert f"%batch_attach {run.id}" in text
    assert {"svg", "circle", "line", "table"} <= Tags(html).seen


def test_text_of_users_is_escaped_and_nothing_is_active(told_run: Told) -> None:
    run, port = told_run(("<script>alert(1)</script>", ()), ("<img src=x onerror=y>", (1,)), name='"><b>name')
    port.logs[1] = b"</pre><script>steal()</script>"
    for state in (READY, RUNNING, FAILED):
        port.tell(1, state, 1, exit_code=1, reason="<i>")

    tags = Tags(html_of(run))

    assert not tags.seen & {"script", "style", "img", "i", "iframe", "a"}
    assert tags.open == []
    assert "<script>alert(1)</script>" in tags.text


@pytest.mark.parametrize("count", [1, 300, 20_000])
def test_it_stays_small_at_any_size(told_run: Told, count: int) -> None:
    names = ["".join(chr(ord("a") + (number // 26**place) % 26) for place in range(4)) * 30 for number in range(count)]
    run, port = told_run(*[(name, (1,) if number else ()) for number, name in enumerate(names)])
    for job in range(1, count + 1):
        port.logs[job] = "é".encode() * 3000
        for state in (READY, RUNNING, FAILED):
            port.tell(job, state, 1, exit_code=1)

    html = html_of(run)

    assert len(html.encode()) <= LIMIT_BYTES
    assert "failed with exit code 1" in html


def test_a_run_that_has_ended_does_not_speak_of_attaching(told_run: Told) -> None:
    run, port = told_run(("a", ()))
    port.tell(0, phase="end")

    assert "%batch_attach" not in html_of(run)


def test_the_words_of_stages_are_those_of_the_head(told_run: Told) -> None:
    run, port = told_run(("load", ()), ("fit1", (1,)), ("fit2", (1,)))
    for state in (READY, RUNNING, SUCCESS):
        port.tell(1, state, 1, reused=state is SUCCESS)
    for state in (READY, RUNNING, JobState.ERROR):
        port.tell(2, state, 1)
    port.tell(3, READY)

    text = Tags(html_of(run)).text

    assert "1 of 3 jobs done after" in text
    assert "; 1 reused, 1 failed, 1 waiting" in text
    assert "↻ load1 reused" in text
    assert "1 failed, 1 waiting" in text.partition("fit ")[2]


def test_without_dependencies_there_is_no_picture(told_run: Told) -> None:
    run, _ = told_run(("load", ()), ("check", ()))

    assert "circle" not in Tags(html_of(run)).seen


def test_a_run_whose_runner_ended_before_it_is_not_called_cancelled(told_run: Told) -> None:
    run, port = told_run(("a", ()))
    port.tell(0, phase="lost", reason="the runner ended: MemoryError")
    port.tell(0, phase="end")

    text = Tags(html_of(run)).text

    assert "! Stopped · told" in text
    assert "the runner ended: MemoryError; %batch_run runs what is missing" in text
    assert "Cancelled" not in text

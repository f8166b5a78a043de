from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.jupyter.words import COLORS, GLYPHS, STATE_WORDS, WORDS, progress_text, run_word, urgent_word

READY, RUNNING, SUCCESS, FAILED = JobState.READY, JobState.RUNNING, JobState.SUCCESS, JobState.FAILED
Told = Callable[..., tuple[Any, Any]]


def brightness(color: str) -> float:
    """Relative luminance. Source: WCAG 2.1."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])
def test_signs_stand_out_from_light_and_dark_ground(ground: str) -> None:
    for color in COLORS.values():
        dark, light = sorted([brightness(color), brightness(ground)])
        assert (light + 0.05) / (dark + 0.05) >= 4.2


def test_every_word_has_a_sign_and_a_colour() -> None:
    assert set(STATE_WORDS) == set(JobState)
    assert set(STATE_WORDS.values()) | {"reused"} == set(WORDS)
    assert set(WORDS) <= set(GLYPHS) == set(COLORS)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({"succeeded": 3}, "succeeded", id="all done"),
        pytest.param({"succeeded": 3, "failed": 1, "running": 2}, "failed", id="a failure first"),
        pytest.param({"succeeded": 3, "waiting": 1}, "waiting", id="half done"),
        pytest.param({"succeeded": 1, "cancelled": 1}, "cancelled", id="cancelled"),
        pytest.param({"succeeded": 1, "reused": 3}, "succeeded", id="reused"),
        pytest.param({}, "waiting", id="no jobs"),
    ],
)
def test_of_several_jobs_the_word_is_said_that_says_most(counts: dict[str, int], expected: str) -> None:
    assert urgent_word(counts) == expected


def test_a_run_is_called_what_it_is_for_a_person(told_run: Told) -> None:
    run, port = told_run(("a", ()), ("b", ()))
    said = [run_word(run.snapshot())]
    for state in (READY, RUNNING, FAILED):
        port.tell(1, state, 1)
    said.append(run_word(run.snapshot()))
    port.tell(0, phase="end")
    said.append(run_word(run.snapshot()))

    assert said == ["running", "failing", "failed"]


def test_done_are_the_jobs_with_a_result(told_run: Told) -> None:
    run, port = told_run(("a", ()), ("b", ()), ("c", ()))
    for job, last in ((1, SUCCESS), (2, FAILED)):
        for state in (READY, RUNNING, last):
            port.tell(job, state, 1)

    assert progress_text(run, run.snapshot()).startswith("told: failing, 1 of 3 jobs done after ")
    assert progress_text(run, run.snapshot()).endswith("; 1 succeeded, 1 failed, 1 waiting")


def test_when_all_succeeded_that_is_said_once(told_run: Told) -> None:
    run, port = told_run(("a", ()))
    port.tell(0, phase="start")
    for state in (READY, RUNNING, SUCCESS):
        port.tell(1, state, 1)
    port.tell(0, phase="end")

    assert progress_text(run, run.snapshot()) == "told: succeeded, 1 of 1 job done in 0.4 s"

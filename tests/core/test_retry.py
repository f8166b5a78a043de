from __future__ import annotations

import pytest

from hail_batch_jupyter.core.retry import Retry, cause_of, delay_s, more_memory, tries_again

GIB = 1 << 30


@pytest.mark.parametrize(
    ("exit_code", "reason", "cause"),
    [
        pytest.param(3, "", "exit", id="exit"),
        pytest.param(137, "out of memory", "out of memory", id="memory"),
        pytest.param(None, "timed out", "timeout", id="timeout"),
        pytest.param(None, "image not found: x", "", id="never-began"),
    ],
)
def test_the_cause_is_read_from_how_an_attempt_ended(exit_code: int | None, reason: str, cause: str) -> None:
    assert cause_of(exit_code, reason) == cause


@pytest.mark.parametrize(
    ("retry", "cause", "exit_code", "tried", "again"),
    [
        pytest.param(Retry(2), "exit", 1, 1, True, id="first"),
        pytest.param(Retry(2), "exit", 1, 2, False, id="last"),
        pytest.param(Retry(3, ("timeout",)), "exit", 1, 1, False, id="other-cause"),
        pytest.param(Retry(3, ("timeout",), (75,)), "exit", 75, 1, True, id="given-code"),
        pytest.param(Retry(3, (), (75,)), "exit", 74, 1, False, id="other-code"),
        pytest.param(Retry(3), "", None, 1, False, id="never-began"),
        pytest.param(Retry(3), "lost", None, 1, False, id="lost-is-not-among-the-defaults"),
    ],
)
def test_only_the_named_causes_are_tried_again_and_only_so_often(retry: Retry, cause: str, exit_code: int | None, tried: int, again: bool) -> None:
    assert tries_again(retry, cause, exit_code, tried) is again


def test_delays_grow_up_to_the_longest() -> None:
    retry = Retry(delay_s=10, growth=2, max_delay_s=60)

    assert [delay_s(retry, tried) for tried in (1, 2, 3, 4, 5000)] == [10, 20, 40, 60, 60]
    assert delay_s(Retry(), 3) == 0


@pytest.mark.parametrize(
    ("asked", "peak", "more"),
    [
        pytest.param(GIB, 0, 2 * GIB, id="twice"),
        pytest.param(3 * GIB, 0, 4 * GIB, id="at-most-the-machine"),
        pytest.param(9 * GIB, 0, 9 * GIB, id="never-less"),
        pytest.param(None, GIB, 2 * GIB, id="from-what-it-used"),
        pytest.param(None, 0, None, id="nothing-known"),
    ],
)
def test_memory_is_multiplied_up_to_that_of_the_machine(asked: int | None, peak: int, more: int | None) -> None:
    assert more_memory(Retry(memory_factor=2), asked, peak, 4 * GIB) == more

from __future__ import annotations

import pytest

from hail_batch_jupyter.core.events import AttemptView, Granted, JobView, Usage
from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.observe.usage import Figures, figures, hint, last_figures, peak_text

GIB = 1 << 30
MIB = 1 << 20


def asks(cores: float | None = None, memory_bytes: int | None = None) -> Request:
    return Request(cpu_mcpu=None if cores is None else int(cores * 1000), memory_bytes=memory_bytes)


def view(seconds: float, cpu_s: float, peak_bytes: int, state: JobState = JobState.SUCCESS) -> JobView:
    ended_ms = 1_000 + int(seconds * 1000) if state.complete else None
    return JobView(1, state, 1, started_ms=1_000, ended_ms=ended_ms, exit_code=0, usage=Usage(peak_bytes, cpu_s))


def test_what_was_asked_granted_and_used() -> None:
    attempt = AttemptView(1, 0, 20_000, 0, "", Usage(GIB, 30.0), Granted(2000, 2 * GIB, ("0", "1")))

    assert figures(asks(4, 8 * GIB), attempt) == Figures(4.0, 2.0, 1.5, 8 * GIB, 2 * GIB, GIB, ("0", "1"))
    assert figures(asks(4, 8 * GIB), AttemptView(1)) == Figures(4.0, 4.0, None, 8 * GIB, 8 * GIB, None)
    assert last_figures(asks(), JobView(1)) == Figures(None, 1.0, None, None, None, None)


def test_memory_that_may_have_been_less_is_told_as_such() -> None:
    small = view(10, 1.0, 13 * MIB)
    small = small._replace(usage=Usage(13 * MIB, 1.0, at_most=True))

    assert last_figures(asks(), small).at_most
    assert [peak_text(13 * MIB, at_most) for at_most in (True, False)] == ["under 13.0 MiB", "13.0 MiB"]
    assert hint(asks(1, 8 * GIB), small) == "asked for 8.0 GiB of memory and used under 13.0 MiB; memory('256Mi') would do"


def test_the_last_attempt_counts() -> None:
    earlier = AttemptView(1, 0, 10_000, 1, "", Usage(GIB, 1.0))
    later = view(10, 20.0, 2 * GIB)._replace(attempt=2, earlier=(earlier,))

    assert last_figures(asks(2), later).cores_used == 2.0


@pytest.mark.parametrize(
    ("asked", "seen", "words"),
    [
        pytest.param(asks(8), view(100, 120, MIB), "asked for 8 cores and used 1.2", id="cores"),
        pytest.param(asks(8), view(100, 250, MIB), "", id="a-third-of-the-cores"),
        pytest.param(asks(8), view(9, 1, MIB), "", id="too-short-to-say"),
        pytest.param(asks(8), view(100, 1, MIB, JobState.RUNNING), "", id="still-running"),
        pytest.param(asks(1), view(100, 1, MIB), "", id="few-cores"),
        pytest.param(asks(), view(100, 1, MIB), "", id="asked-for-nothing"),
        pytest.param(asks(None, 8 * GIB), view(100, 90, GIB), "asked for 8.0 GiB of memory and used 1.0 GiB; memory('1536Mi') would do", id="memory"),
        pytest.param(asks(None, 8 * GIB), view(100, 90, 3 * GIB), "", id="a-third-of-the-memory"),
        pytest.param(asks(None, 512 * MIB), view(100, 90, MIB), "", id="little-memory"),
        pytest.param(
            asks(4, 4 * GIB),
            view(100, 50, 100 * MIB),
            "asked for 4 cores and used 0.5 and asked for 4.0 GiB of memory and used 100.0 MiB; memory('256Mi') would do",
            id="both",
        ),
    ],
)
def test_a_hint_where_a_job_asked_for_four_times_what_it_used(asked: Request, seen: JobView, words: str) -> None:
    assert hint(asked, seen) == words


def test_a_job_that_did_not_run_gets_no_hint() -> None:
    assert hint(asks(8), JobView(1, JobState.CANCELLED)) == ""

"""Journals that somebody else can write into."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.backends.far.foreign import check_lines
from hail_batch_jupyter.core.events import Granted, JobEvent, Usage
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.observe.journal import JournalWriter

NOW_MS = 1_900_000_000_000
EVENT = {"seq": 8, "time_ms": NOW_MS, "job_id": 2, "state": "Ready"}


def test_what_a_runner_writes_is_taken(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "events.jsonl")
    files = (("d/out", 3, NOW_MS),)
    events = [
        JobEvent(0, NOW_MS, 0, phase="start"),
        JobEvent(0, NOW_MS, 1, JobState.READY),
        JobEvent(0, NOW_MS, 1, JobState.RUNNING, 1, "main", 0, 77, granted=Granted(1000, 5, ("0",), True), node="n1"),
        JobEvent(0, NOW_MS, 1, JobState.SUCCESS, 1, exit_code=0, usage=Usage(5, 0.25), files=files, cost_usd=0.5),
        JobEvent(0, NOW_MS, 2, JobState.SUCCESS, 1, exit_code=0, usage=Usage(5, 0.25, True)),
        JobEvent(0, NOW_MS, 2, JobState.READY, 1, exit_code=-9, reason="killed", next_ms=NOW_MS + 5000),
        JobEvent(0, NOW_MS, 0, phase="end"),
    ]
    for event in events:
        journal.write(event)
    journal.close()
    written = (tmp_path / "events.jsonl").read_bytes()
    head, rest = written[: written.index(b"\n") + 1], written[written.index(b"\n") + 1 :]

    assert check_lines(written, True, 0, 2, NOW_MS) == len(events)
    assert check_lines(head, True, 0, 2, NOW_MS) == 0
    assert check_lines(rest, False, 0, 2, NOW_MS) == len(events)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"seq": value} for value in (7, 9, "8", None, True)),
        *({"job_id": value} for value in (3, -1, 1.0, "1", None)),
        *({"time_ms": value} for value in (-1, NOW_MS * 2, 1 << 60, "now")),
        *({"state": value} for value in ("Done", 1, None, [])),
        {"exit_code": "0"},
        {"cost_usd": float("nan")},
        {"cost_usd": -1},
        {"usage": [1]},
        {"usage": [1, 1, 1]},
        {"usage": [1, float("inf")]},
        {"files": [["a", 1]]},
        {"granted": [1, 1, "0"]},
        {"granted": [1, 1, [], 1]},
        {"granted": [1, 1, [], None, None]},
        {"granted": 1},
        {"reason": "x" * 100_000},
        {"reason": "\ud800"},
        {"next_ms": NOW_MS * 2},
        {"more": 1},
    ],
    ids=str,
)
def test_what_no_runner_writes_is_refused(wrong: dict[str, Any]) -> None:
    assert check_lines(json.dumps({**EVENT, "granted": [1, 1, []]}).encode() + b"\n", False, 7, 2, NOW_MS) == 8
    with pytest.raises(SubmitError, match="not as a runner writes it"):
        check_lines(json.dumps({**EVENT, **wrong}).encode() + b"\n", False, 7, 2, NOW_MS)


def test_two_events_on_a_line_are_refused() -> None:
    with pytest.raises(SubmitError):
        check_lines(json.dumps(EVENT).encode() + b"\r" + json.dumps({**EVENT, "seq": 9}).encode() + b"\n", False, 7, 2, NOW_MS)


@given(st.binary(max_size=80))
def test_bytes_of_any_kind_are_refused_in_one_sentence(data: bytes) -> None:
    with pytest.raises(SubmitError):
        check_lines(data + b"\n", True, 0, 2, NOW_MS)

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hail_batch_jupyter.core.events import JobEvent, Usage
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.observe.journal import JournalReader, JournalWriter, read_events
from tests.core.test_events import files, texts, usages

READY = JobEvent(0, 5, 1, JobState.READY)
numbers = st.integers(1, 10**6)
ENDS = [JobState.SUCCESS, JobState.FAILED, JobState.ERROR, JobState.CANCELLED]


@st.composite
def events_of_runs(draw: st.DrawFn) -> JobEvent:
    """An event of one of the shapes that runs write."""
    kind = draw(st.sampled_from(["run", "ready", "running", "ended"]))
    time_ms, job_id, attempt = draw(numbers), draw(numbers), draw(numbers)
    if kind == "run":
        return JobEvent(0, time_ms, 0, phase=draw(st.sampled_from(["start", "cancel", "end"])), reason=draw(texts))
    if kind == "ready":
        return JobEvent(0, time_ms, job_id, JobState.READY, reason=draw(texts))
    if kind == "running":
        return JobEvent(0, time_ms, job_id, JobState.RUNNING, attempt, draw(st.sampled_from(["input", "main", "output"])), draw(numbers), draw(numbers))
    exit_code = draw(st.sampled_from([None, 0, 3]))
    ended = JobEvent(0, time_ms, job_id, draw(st.sampled_from(ENDS)), attempt, exit_code=exit_code, reason=draw(texts), files=draw(files))
    return ended._replace(exit_code=0 if ended.state is JobState.SUCCESS else exit_code, usage=draw(st.none() | usages))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def write(path: Path, *events: JobEvent) -> None:
    writer = JournalWriter(path)
    for event in events:
        writer.write(event)
    writer.close()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(events_of_runs(), max_size=20))
def test_what_is_written_is_read_with_numbers_from_1(tmp_path_factory: pytest.TempPathFactory, events: list[JobEvent]) -> None:
    path = tmp_path_factory.mktemp("journal") / "events.jsonl"

    write(path, *events)

    assert read_events(path) == [event._replace(seq=number) for number, event in enumerate(events, 1)]


@pytest.mark.parametrize(
    "event",
    [
        READY,
        READY._replace(reason='with "quotes"\nand a line'),
        JobEvent(0, 5, 2, JobState.RUNNING, attempt=3, phase="main", slot=7, pid=99),
        JobEvent(0, 5, 2, JobState.SUCCESS, attempt=1, exit_code=0, usage=Usage(4096, 0.125)),
        JobEvent(0, 5, 2, JobState.SUCCESS, attempt=1, exit_code=0, usage=Usage(4096, 0.125), files=(("d/a", 1, 2),)),
        JobEvent(0, 5, 0, phase="start", reason="half a pair \ud800"),
    ],
)
def test_the_shapes_that_are_put_together_by_hand_are_the_same_json(path: Path, event: JobEvent) -> None:
    write(path, event)

    assert read_events(path) == [event._replace(seq=1)]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_what_a_plain_job_writes_needs_no_json(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*values: object, **settings: object) -> str:
        raise AssertionError(f"{values} went the slow way")

    monkeypatch.setattr(json, "dumps", refuse)
    running = JobEvent(0, 5, 1, JobState.RUNNING, 1, "main", 0, 99)

    write(path, READY, running, JobEvent(0, 5, 1, JobState.SUCCESS, 1, exit_code=0, usage=Usage(4096, 0.125)))

    assert [event.state for event in read_events(path)] == [JobState.READY, JobState.RUNNING, JobState.SUCCESS]


def test_the_first_line_names_the_format_and_the_file_is_private(path: Path) -> None:
    write(path, READY)

    assert json.loads(path.read_text().splitlines()[0]) == {"format": 1, "what": "hail_batch_jupyter journal"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_half_written_last_line_waits_for_its_rest(path: Path) -> None:
    write(path, READY, READY._replace(job_id=2))
    whole = path.read_bytes()
    reader = JournalReader(path)
    seen = []
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        seen.extend(reader.read())

    assert [event.job_id for event in seen] == [1, 2]
    assert reader.read() == []


def test_what_is_not_there_yet_has_no_events(path: Path) -> None:
    reader = JournalReader(path)

    assert reader.read() == []
    assert not reader.grown()
    write(path, READY)
    assert reader.grown()
    assert len(reader.read()) == 1
    assert not reader.grown()


@pytest.mark.parametrize("missing", range(1, 120, 7))
def test_writing_goes_on_after_a_cut_anywhere(path: Path, missing: int) -> None:
    write(path, *(READY._replace(job_id=job_id) for job_id in (1, 2, 3)))
    path.write_bytes(path.read_bytes()[:-missing])
    kept = len(read_events(path))

    write(path, READY._replace(job_id=9))

    events = read_events(path)
    assert [event.seq for event in events] == list(range(1, kept + 2))
    assert events[-1].job_id == 9


def test_writing_goes_on_after_a_cut_within_the_header(path: Path) -> None:
    path.write_text('{"format"')

    write(path, READY)

    assert read_events(path) == [READY._replace(seq=1)]


def test_nothing_is_in_the_file_before_a_flush_and_everything_after(path: Path) -> None:
    writer = JournalWriter(path)
    writer.write(READY)
    before = read_events(path)
    writer.flush()

    assert before == []
    assert len(read_events(path)) == 1
    writer.close()


def test_a_journal_of_another_format_is_refused_with_both_numbers(path: Path) -> None:
    path.write_text('{"format": 2}\n{"seq": 1}\n')

    with pytest.raises(RunLostError, match=r"has journal format 2, this version reads 1; use the version that wrote it"):
        read_events(path)


def test_a_file_that_is_no_journal_is_refused_with_a_sentence(path: Path) -> None:
    path.write_text("hello\nworld\n")

    with pytest.raises(RunLostError, match=r"events\.jsonl"):
        read_events(path)


def test_a_journal_that_cannot_be_written_raises() -> None:
    writer = JournalWriter(Path("/dev/full"))
    writer.write(READY)

    with pytest.raises(OSError, match="No space left on device"):
        writer.flush()

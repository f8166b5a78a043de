from __future__ import annotations

import json
import zlib
from array import array
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.core.events import BatchSnapshot, JobView
from hail_batch_jupyter.core.spec import BatchSpec, Edge, JobSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.core.stems import stem
from hail_batch_jupyter.jupyter.live.graph import MAX_STAGES, REUSED, STATE_CODES, changes_messages, graph_of, snapshot_message, states_of


def spec_of(*jobs: tuple[str | None, Sequence[int]]) -> BatchSpec:
    edges = [tuple(Edge(parent) for parent in parents) for _, parents in jobs]
    made = [JobSpec(number, "", name, "bash", ("true",), "", parents=edges[number - 1]) for number, (name, _) in enumerate(jobs, 1)]
    return BatchSpec("b", tuple(made))


class Browser:
    """Decodes messages as the widget does, from the description of the protocol."""

    def __init__(self, content: dict[str, Any], buffer: bytes) -> None:
        body = zlib.decompress(buffer) if content["deflate"] else buffer
        parts = {name: body[offset : offset + length] for name, (offset, length) in content["sections"].items()}
        assert all(offset % 4 == 0 for offset, _ in content["sections"].values())
        self.seq = content["seq"]
        self.sources, self.targets = u32(parts["src"]), u32(parts["dst"])
        self.stage = [int.from_bytes(parts["stage"][index : index + 2], "little") for index in range(0, len(parts["stage"]), 2)]
        self.states = bytearray(parts["state"])
        self.names = parts["names"].decode().split("\n")
        self.stages = [(stage["name"], stage["count"]) for stage in content["stages"]]

    def change(self, content: dict[str, Any], buffer: bytes) -> None:
        assert content["from"] == self.seq
        self.seq, k = content["seq"], content["k"]
        jobs = u32(buffer[: 4 * k])
        if content["form"] == "single":
            for job, state in zip(jobs, buffer[4 * k :], strict=True):
                self.states[job] = state
            return
        for first, count, state in zip(jobs, u32(buffer[4 * k : 8 * k]), buffer[8 * k :], strict=True):
            for job in range(first, first + count):
                self.states[job] = state


def u32(data: bytes) -> list[int]:
    return [int.from_bytes(data[index : index + 4], "little") for index in range(0, len(data), 4)]


def browser_of(spec: BatchSpec, states: bytes) -> Browser:
    return Browser(*snapshot_message(7, {}, graph_of(spec), states, []))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("fit12", "fit", id="digits"),
        pytest.param("fit-3", "fit", id="after a dash"),
        pytest.param("fit_NA12878", "fit", id="an id"),
        pytest.param("fit[3]", "fit", id="in brackets"),
        pytest.param("call_chr7.bam2", "call", id="several ids"),
        pytest.param("step2-merge", "step2-merge", id="digits in the middle"),
        pytest.param("merge", "merge", id="none"),
        pytest.param("12", "12", id="nothing else"),
    ],
)
def test_the_stem_of_a_name_is_what_stands_before_its_ids(name: str, expected: str) -> None:
    assert stem(name) == expected


def test_jobs_of_one_stem_and_the_same_parents_are_one_stage() -> None:
    graph = graph_of(spec_of(("load", ()), ("fit1", (1,)), ("fit2", (1,)), ("gather", (2, 3))))

    assert [(stage.name, stage.size) for stage in graph.stages] == [("load", 1), ("fit", 2), ("gather", 1)]


def test_jobs_of_one_stem_in_a_row_are_a_stage_each() -> None:
    graph = graph_of(spec_of(("step1", ()), ("step2", (1,)), ("step3", (2,))))

    assert [stage.name for stage in graph.stages] == ["step1", "step2", "step3"]


def test_unnamed_jobs_are_stages_too_and_a_named_stage_wins_over_the_name() -> None:
    spec = spec_of((None, ()), (None, ()), ("a", ()), ("b", ()))
    jobs = (*spec.jobs[:2], *[job._replace(attributes={"stage": "both"}) for job in spec.jobs[2:]])

    graph = graph_of(spec._replace(jobs=jobs))

    assert [(stage.name, stage.size) for stage in graph.stages] == [("job", 2), ("both", 2)]


@pytest.mark.parametrize("shape", ["chain", "words"])
def test_a_graph_of_very_many_stages_is_merged_and_stays_without_cycles(shape: str) -> None:
    count = 3 * MAX_STAGES
    words = ["".join(chr(ord("a") + (number // 26**place) % 26) for place in range(4)) for number in range(count)]
    jobs = [(f"step{number}", (number,) if number else ()) if shape == "chain" else (words[number], ()) for number in range(count)]

    graph = graph_of(spec_of(*jobs))

    between = {(graph.stage_of[a], graph.stage_of[b]) for a, b in zip(graph.sources, graph.targets, strict=True)}
    assert len(graph.stages) <= MAX_STAGES
    assert sum(stage.size for stage in graph.stages) == count
    assert all(a <= b for a, b in between)


@st.composite
def graphs(draw: st.DrawFn) -> BatchSpec:
    count = draw(st.integers(1, 30))
    names = draw(st.lists(st.none() | st.text(max_size=6), min_size=count, max_size=count))
    parents = [draw(st.lists(st.integers(1, number), unique=True, max_size=3)) if number else [] for number in range(count)]
    return spec_of(*zip(names, parents, strict=True))


@given(graphs())
def test_a_snapshot_carries_the_whole_graph(spec: BatchSpec) -> None:
    states = states_of(BatchSnapshot.empty([job.job_id for job in spec.jobs]).jobs)

    browser = browser_of(spec, states)

    edges = {(edge.job_id - 1, job.job_id - 1) for job in spec.jobs for edge in job.parents}
    assert set(zip(browser.sources, browser.targets, strict=True)) == edges
    assert browser.names == [job.display_name.replace("\n", " ").encode(errors="replace").decode() for job in spec.jobs]
    assert [sum(stage == index for stage in browser.stage) for index in range(len(browser.stages))] == [count for _, count in browser.stages]
    assert bytes(browser.states) == states


@given(st.lists(st.binary(min_size=600, max_size=600), min_size=1, max_size=4), st.integers(50, 9000))
def test_changes_lead_from_any_states_to_any_others(steps: list[bytes], limit_bytes: int) -> None:
    before = bytes(600)
    browser = browser_of(spec_of(*[("j", ())] * 600), before)
    for after in steps:
        for content, buffer in changes_messages(browser.seq, {}, [], before, after, limit_bytes):
            assert len(buffer) <= limit_bytes
            browser.change(json.loads(json.dumps(content)), buffer)
        before = after

    assert bytes(browser.states) == before


@given(st.integers(0, 599), st.integers(0, 599), st.integers(0, 7))
def test_neighbours_that_change_alike_travel_as_one_range(first: int, last: int, state: int) -> None:
    after = bytearray(600)
    for job in range(first, last + 1):
        after[job] = state

    ((content, buffer),) = changes_messages(1, {}, [], bytes(600), bytes(after))

    changed = max(0, last + 1 - first) if state else 0
    assert len(buffer) == min(5 * changed, 9 if changed else 0)
    assert content["form"] == ("ranges" if changed > 1 else "single")


def test_a_message_comes_even_if_only_the_clock_moved() -> None:
    ((content, buffer),) = changes_messages(4, {"complete": True}, [{"job": 1}], b"\0", b"\0")

    assert (content["from"], content["seq"], content["k"], buffer) == (4, 5, 0, b"")
    assert content["failures"] == [{"job": 1}]


def test_the_snapshot_of_fifty_thousand_jobs_is_below_a_megabyte() -> None:
    kinds = ("align", "sort", "mark", "call", "merge")
    jobs = [(f"{kinds[number % 5]}-S{number // 5}", (number,) if number % 5 else ()) for number in range(50_000)]
    spec = spec_of(*jobs)

    content, buffer = snapshot_message(1, {}, graph_of(spec), bytes(50_000), [])

    assert len(json.dumps(content)) + len(buffer) < 1_000_000
    assert content["n"] == 50_000


def test_states_are_one_byte_with_a_bit_for_what_was_taken_over() -> None:
    views = [JobView(1, JobState.CANCELLED), JobView(2, JobState.SUCCESS, reused=True)]

    assert states_of(views) == bytes([STATE_CODES[JobState.CANCELLED], STATE_CODES[JobState.SUCCESS] | REUSED])
    assert [STATE_CODES[state] for state in JobState] == list(range(8))


def test_numbers_travel_in_little_endian_order() -> None:
    graph = graph_of(spec_of(("a", ()), ("b", (1,))))._replace(sources=array("I", [0x01020304]))

    content, buffer = snapshot_message(1, {}, graph, bytes(2), [])

    body = zlib.decompress(buffer) if content["deflate"] else buffer
    assert body[:4] == b"\x04\x03\x02\x01"

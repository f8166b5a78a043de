"""A run as arrays and binary messages, version 1 of the widget's protocol: pure, without IPython, comm or clock."""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from hail_batch_jupyter.core.events import JobView
from hail_batch_jupyter.core.spec import BatchSpec
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.core.stems import stage_name

VERSION = 1
STATE_CODES = {state: code for code, state in enumerate(JobState)}
REUSED = 8
"""Bit of a state that was taken over from an earlier run."""
MAX_STAGES = 2000
"""More stages than this are merged: people cannot read them, and their names alone would fill the message."""
MAX_CHANGES_BYTES = 8000
"""Bytes of one buffer of changes; with its JSON a message stays below 10 kB."""

_U32 = "I" if array("I").itemsize == 4 else "L"

Message = dict[str, Any]  # JSON of the wire, whose types are in contract.ts


class Stage(NamedTuple):
    """Jobs that people see as one: the same stem of the name and parents of the same stages."""

    name: str
    size: int


class Graph(NamedTuple):
    """The part of a run that never changes; jobs are numbered from 0, `sources[e]` is a parent of `targets[e]`.

    sources, targets  u32, one each edge       stage_of  u16, one each job, an index of `stages`
    """

    names: tuple[str, ...]
    sources: array[int]
    targets: array[int]
    stage_of: array[int]
    stages: tuple[Stage, ...]


def graph_of(spec: BatchSpec) -> Graph:
    """The graph of a spec; edges to jobs of earlier runs are left out."""
    first = spec.jobs[0].job_id if spec.jobs else 1
    sources, targets = array(_U32), array(_U32)
    parents: list[tuple[int, ...]] = []
    for number, job in enumerate(spec.jobs):
        mine = tuple(edge.job_id - first for edge in job.parents if edge.job_id >= first)
        parents.append(mine)
        sources.extend(mine)
        targets.extend([number] * len(mine))
    names = tuple(_one_line(job.display_name) for job in spec.jobs)
    stems = [stage_name(job) for job in spec.jobs]
    stage_of, stages = stages_of(names, stems, parents)
    return Graph(names, sources, targets, stage_of, stages)


def _one_line(name: str) -> str:
    return name.replace("\n", " ")


def stages_of(names: Sequence[str], stems: Sequence[str], parents: Sequence[Sequence[int]]) -> tuple[array[int], tuple[Stage, ...]]:
    """Stage of each job; by stem and parents' stages, and where that gives too many, by stem and depth, then by depth alone."""
    number_of: dict[object, int] = {}
    stage_of = array("H")
    for job, mine in enumerate(parents):
        key = (stems[job], frozenset([stage_of[parent] for parent in mine]))
        number = number_of.setdefault(key, len(number_of))
        if number >= MAX_STAGES:
            return _stages_by_depth(names, stems, parents)
        stage_of.append(number)
    return stage_of, _named(names, stems, stage_of, len(number_of))


def _stages_by_depth(names: Sequence[str], stems: Sequence[str], parents: Sequence[Sequence[int]]) -> tuple[array[int], tuple[Stage, ...]]:
    depths: list[int] = []
    for mine in parents:
        depths.append(max([depths[parent] for parent in mine], default=-1) + 1)
    keys: list[object] = list(zip(stems, depths, strict=True))
    labels: Sequence[str] = stems
    if len(set(keys)) > MAX_STAGES:
        levels = max(depths) + 1
        buckets = [depth if levels <= MAX_STAGES else depth * MAX_STAGES // levels for depth in depths]
        keys, labels = list(buckets), [f"level {bucket + 1}" for bucket in buckets]
    number_of = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    stage_of = array("H", [number_of[key] for key in keys])
    return stage_of, _named(names, labels, stage_of, len(number_of))


def _named(names: Sequence[str], labels: Sequence[str], stage_of: array[int], count: int) -> tuple[Stage, ...]:
    sizes, label_of = [0] * count, [""] * count
    for job, number in enumerate(stage_of):
        sizes[number] += 1
        label_of[number] = names[job] if sizes[number] == 1 else labels[job]
    return tuple([Stage(label, size) for label, size in zip(label_of, sizes, strict=True)])


_CODES = {(state, reused): code | (REUSED if reused else 0) for state, code in STATE_CODES.items() for reused in (False, True)}


def states_of(jobs: Sequence[JobView]) -> bytes:
    """One byte a job: its state's code, with the bit of a reused one."""
    codes = _CODES
    return bytes([codes[view.state, view.reused] for view in jobs])


def snapshot_message(seq: int, run: Message, graph: Graph, states: bytes, failures: Sequence[Message]) -> tuple[Message, bytes]:
    """Everything at once: content and its one buffer, deflated where that makes it smaller."""
    parts = {
        "src": _little(graph.sources),
        "dst": _little(graph.targets),
        "stage": _little(graph.stage_of),
        "state": states,
        "names": "\n".join(graph.names).encode(errors="replace"),
    }
    sections: dict[str, list[int]] = {}
    body = bytearray()
    for name, data in parts.items():
        body += bytes(-len(body) % 4)
        sections[name] = [len(body), len(data)]
        body += data
    packed = zlib.compress(body, 1)
    deflate = len(packed) < len(body)
    content: Message = {
        "kind": "snapshot",
        "version": VERSION,
        "seq": seq,
        "run": run,
        "n": len(graph.names),
        "m": len(graph.sources),
        "stages": [{"name": stage.name, "count": stage.size} for stage in graph.stages],
        "failures": list(failures),
        "sections": sections,
        "deflate": deflate,
    }
    return content, packed if deflate else bytes(body)


def _little(values: array[int]) -> bytes:
    if sys.byteorder == "little":
        return values.tobytes()
    swapped = array(values.typecode, values)
    swapped.byteswap()
    return swapped.tobytes()


def changes_messages(
    seq: int, clock: Message, failures: Sequence[Message], before: bytes, after: bytes, limit_bytes: int = MAX_CHANGES_BYTES
) -> Iterator[tuple[Message, bytes]]:
    """What moved between two states of all jobs, as one or more messages numbered from `seq` + 1, each buffer of `limit_bytes` at most.

    At least one message comes, for the clock; failures go with the first.
    """
    jobs = _changed(before, after)
    runs = _runs(jobs, after)
    form = "ranges" if 9 * len(runs) < 5 * len(jobs) else "single"
    step = max(1, limit_bytes // (9 if form == "ranges" else 5))
    total = len(runs) if form == "ranges" else len(jobs)
    for start in range(0, max(total, 1), step):
        if form == "ranges":
            buffer, k = _ranges(runs[start : start + step], after)
        else:
            buffer, k = _single(jobs[start : start + step], after)
        content: Message = {
            "kind": "changes",
            "from": seq,
            "seq": seq + 1,
            "clock": clock,
            "failures": list(failures) if start == 0 else [],
            "form": form,
            "k": k,
        }
        yield content, buffer
        seq += 1


def _changed(before: bytes, after: bytes) -> list[int]:
    """Numbers of the jobs whose state differs; equal blocks cost one comparison."""
    jobs: list[int] = []
    for start in range(0, len(after), 512):
        old, new = before[start : start + 512], after[start : start + 512]
        if old != new:
            jobs.extend([start + index for index, (a, b) in enumerate(zip(old, new, strict=True)) if a != b])
    return jobs


def _runs(jobs: Sequence[int], after: bytes) -> list[tuple[int, int]]:
    """(first, count) of neighbours that went to the same state."""
    runs: list[tuple[int, int]] = []
    for job in jobs:
        if runs:
            first, count = runs[-1]
            if job == first + count and after[job] == after[first]:
                runs[-1] = (first, count + 1)
                continue
        runs.append((job, 1))
    return runs


def _single(jobs: Sequence[int], after: bytes) -> tuple[bytes, int]:
    return _little(array(_U32, jobs)) + bytes([after[job] for job in jobs]), len(jobs)


def _ranges(runs: Sequence[tuple[int, int]], after: bytes) -> tuple[bytes, int]:
    firsts, counts = array(_U32, [first for first, _ in runs]), array(_U32, [count for _, count in runs])
    return _little(firsts) + _little(counts) + bytes([after[first] for first, _ in runs]), len(runs)

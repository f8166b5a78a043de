from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.core import wire
from hail_batch_jupyter.core.spec import BatchSpec, Edge, JobSpec, Request, Transfer
from hail_batch_jupyter.errors import SubmitError


def job(number: int, **settings: object) -> JobSpec:
    return JobSpec(number, "", None, "bash", ("true",), "d", **{"image": "i", **settings})  # type: ignore[arg-type]  # settings of each test


def test_parents_are_of_this_update_or_of_earlier_ones() -> None:
    made = wire.job_json(job(9, parents=(Edge(2), Edge(7), Edge(8))), 7, where=("absolute", 0))

    assert (made["job_id"], made["absolute_parent_ids"], made["in_update_parent_ids"]) == (3, [2], [1, 2])
    assert made["absolute_job_group_id"] == 0
    assert "in_update_job_group_id" not in made


@pytest.mark.parametrize(
    ("regions", "posted"),
    [(None, "absent"), (("any_region",), "absent"), (("a", "b"), ["a", "b"]), ((), [])],
)
def test_regions_are_left_out_for_any(regions: tuple[str, ...] | None, posted: object) -> None:
    assert wire.job_json(job(1, regions=regions), 1, where=("in_update", 0)).get("regions", "absent") == posted


@pytest.mark.parametrize(
    ("request_", "posted"),
    [
        (Request(), {}),
        (Request(cpu_mcpu=250, asked=(("cpu", "250m"), ("memory", "standard"))), {"cpu": "250m", "memory": "standard"}),
        (Request(machine_type="n1-standard-1", spot=False), {"machine_type": "n1-standard-1", "preemptible": False}),
    ],
)
def test_resources_are_what_was_said(request_: Request, posted: object) -> None:
    assert wire.resources_json(request_) == posted


@given(st.lists(st.integers(0, 400_000), max_size=12))
def test_bunches_hold_every_job_once_in_order_and_are_small(sizes: list[int]) -> None:
    spec = BatchSpec("b", tuple(job(number, env={"X": "x" * size}) for number, size in enumerate(sizes, 1)))

    parts = list(wire.bunches(spec, new_batch=True))

    assert [entry["job_id"] for part in parts for entry in json.loads(part)] == list(range(1, len(sizes) + 1))
    assert all(len(part) < wire.BUNCH_BYTES for part in parts)


def test_a_bunch_has_at_most_1024_jobs() -> None:
    spec = BatchSpec("b", tuple(map(job, range(1, 2050))))

    assert [len(json.loads(part)) for part in wire.bunches(spec, new_batch=True)] == [1024, 1024, 1]


def test_a_job_of_a_mebibyte_is_refused_and_one_byte_less_is_not() -> None:
    room = wire.BUNCH_BYTES - 2 - len(next(wire.bunches(BatchSpec("b", (job(1, user_code="x"),)), new_batch=True))) + 2

    assert len(next(wire.bunches(BatchSpec("b", (job(1, user_code="x" * room),)), new_batch=True))) == wire.BUNCH_BYTES - 1
    with pytest.raises(SubmitError, match="job 'job 1' takes 1048574 bytes"):
        next(wire.bunches(BatchSpec("b", (job(1, user_code="x" * (room + 1)),)), new_batch=True))


@given(
    st.sampled_from(["env", "attributes", "user_code", "command", "inputs", "cloudfuse"]),
    st.sampled_from('x\x00"\u20ac\U0001f600'),
    st.integers(80_000, 1_100_000),
)
def test_sizes_are_checked_as_bunches_are_made(field: str, character: str, size: int) -> None:
    text = character * size
    values = {
        "env": {"X": text},
        "attributes": {text: ""},
        "user_code": text,
        "command": (text,),
        "inputs": (Transfer(text, "d"),),
        "cloudfuse": ((text, "/p", True),),
    }
    spec = BatchSpec("b", (job(1), job(2)._replace(**{field: values[field]})))

    assert refusal(lambda: wire.check_sizes(spec)) == refusal(lambda: list(wire.bunches(spec, new_batch=True)))


def refusal(call: Callable[[], object]) -> str:
    try:
        call()
    except SubmitError as error:
        return str(error)
    return ""


def test_the_fast_body_is_json_in_the_usual_order() -> None:
    body = wire.fast_body(b'[{"job_id":1}]', b"[]", "batch", {"token": "t"})

    assert list(json.loads(body).items()) == [("bunch", [{"job_id": 1}]), ("job_groups", []), ("batch", {"token": "t"})]

"""What waiting jobs are said to wait for: the rules alone."""

from __future__ import annotations

import pytest

from hail_batch_jupyter.observe.sharing import Amount
from hail_batch_jupyter.service.running.division import Caps
from hail_batch_jupyter.service.running.waits import KEPT_S, Standing, Waits, waits_for

GIB = 1 << 30
FREE = Caps({}, {})
MEMORY = "a share of the memory, as 2 other users have jobs"
BATCHES = "a share of the cores, as 2 other batches of a have jobs"
PROJECT = "the quota of billing project lab, 4 cores at once"


def run(run_id: str, used: int = 0, free: int = 0, job: int = 1000, *, memory: int = 0, project: str = "lab", wants: bool = True) -> Standing:
    """A run, whose user is the first letter of its id and whose batch the last sign; memory is that of its next job, in GiB, of which 4 are free."""
    return Standing(run_id, run_id[0], project, ord(run_id[-1]), wants, Amount(used, 0), Amount(free, 4 * GIB), Amount(job, memory * GIB))


@pytest.mark.parametrize(
    ("runs", "caps", "expected"),
    [
        pytest.param([run("a", 8000)], FREE, {}, id="the-machine-is-full-with-its-own-jobs"),
        pytest.param([run("a", 4000), run("b", 4000, job=0)], FREE, {"a": "a share of the cores, as another user has jobs"}, id="another-user"),
        pytest.param([run("a", 4000, 1000), run("b", 3000, 1000)], FREE, {}, id="what-fits-begins-soon"),
        pytest.param([run("a", 4000), run("b", wants=False, job=0)], FREE, {}, id="who-wants-nothing-is-nobody"),
        pytest.param(
            [run("a1", 4000, 2000, memory=8), run("b1", 0, 2000), run("c1", 0, 2000)],
            FREE,
            {"a1": "a share of the memory, as 2 other users have jobs"},
            id="memory",
        ),
        pytest.param([run("a1", 4000), run("a2", 4000, 1000)], FREE, {"a1": "a share of the cores, as another batch of a has jobs"}, id="another-batch"),
        pytest.param([run("a1"), run("a2", 8000, job=0), run("a3", 0, 1000)], FREE, {"a1": BATCHES}, id="batches"),
        pytest.param([run("a", 2000), run("b", 0, 4000)], Caps({"a": 2500}, {}), {"a": "the quota of a, 2.5 cores at once"}, id="the-quota-of-the-user"),
        pytest.param(
            [run("a", 1000), run("b", 3000)],
            Caps({"a": 8000}, {"lab": 4000}),
            dict.fromkeys("ab", PROJECT),
            id="project",
        ),
        pytest.param([run("a", 0, job=8000), run("b", 2000, 1000)], Caps({"a": 2000}, {}), {"a": "a share of the cores, as another user has jobs"}, id="alone"),
    ],
)
def test_jobs_wait_for_a_quota_or_for_others(runs: list[Standing], caps: Caps, expected: dict[str, str]) -> None:
    assert waits_for(runs, caps) == expected


def test_a_reason_is_told_a_little_longer_and_not_of_runs_that_ended() -> None:
    waits, busy, free = Waits(), [run("a", 4000), run("b", 4000)], [run("a", 4000, 1000), run("b", 3000, 1000)]
    waits.note(busy, FREE, 10.0)
    told = waits.told

    waits.note(free, FREE, 10.0 + KEPT_S / 2)
    assert waits.told is told
    waits.note(free[:1], FREE, 10.0 + KEPT_S / 2)
    assert list(waits.told) == ["a"]
    waits.note(free[:1], FREE, 10.0 + KEPT_S)
    assert waits.told == {}

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.core.ports import Capacity
from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.engine.capacity import Ledger, machine, too_large

GIB = 1 << 30
TOTAL = Capacity(4000, 8 * GIB, 100)


def root(folder: Path, files: dict[str, str]) -> Path:
    """A folder that says of the machine what these files say."""
    for name, text in {"proc/meminfo": "MemTotal:       16777216 kB\nMemFree: 1 kB\n", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "memory_bytes"),
    [
        pytest.param({}, 16 * GIB, id="no-control-group"),
        pytest.param({"sys/fs/cgroup/memory.max": "max\n"}, 16 * GIB, id="v2-no-limit"),
        pytest.param({"sys/fs/cgroup/memory.max": f"{2 * GIB}\n"}, 2 * GIB, id="v2-limit"),
        pytest.param({"sys/fs/cgroup/memory.max": f"{64 * GIB}\n"}, 16 * GIB, id="v2-limit-above-the-machine"),
        pytest.param({"sys/fs/cgroup/memory/memory.limit_in_bytes": f"{3 * GIB}\n"}, 3 * GIB, id="v1-limit"),
        pytest.param({"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 16 * GIB, id="v1-no-limit"),
    ],
)
def test_memory_is_that_of_the_machine_or_of_its_control_group(tmp_path: Path, files: dict[str, str], memory_bytes: int) -> None:
    assert machine(root(tmp_path, files)).memory_bytes == memory_bytes


@pytest.mark.parametrize(
    ("files", "mcpu"),
    [
        pytest.param({"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 500, id="v2-half-a-core"),
        pytest.param({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "70000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 700, id="v1"),
    ],
)
def test_cores_are_those_of_the_control_group_where_these_are_less(tmp_path: Path, files: dict[str, str], mcpu: int) -> None:
    assert machine(root(tmp_path, files)).cpu_mcpu == mcpu


@pytest.mark.parametrize(
    "files", [{}, {"sys/fs/cgroup/cpu.max": "max 100000\n"}, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "1"}]
)
def test_without_a_quota_all_cores_that_this_process_may_use_count(tmp_path: Path, files: dict[str, str]) -> None:
    assert machine(root(tmp_path, files)).cpu_mcpu == machine(root(tmp_path, {})).cpu_mcpu
    assert machine(root(tmp_path, {})).cpu_mcpu % 1000 == 0


@pytest.mark.parametrize(
    ("request_", "cost"),
    [
        pytest.param(Request(), (1000, 0), id="unset"),
        pytest.param(Request(cpu_mcpu=250), (250, 0), id="quarter"),
        pytest.param(Request(memory_bytes=GIB), (1000, GIB), id="memory-only"),
        pytest.param(Request(cpu_mcpu=9000), (4000, 0), id="too-many-cores-are-all"),
        pytest.param(Request(cpu_mcpu=100, memory_bytes=9 * GIB), (4000, 8 * GIB), id="too-much-memory-is-the-whole-machine"),
    ],
)
def test_what_a_request_costs(request_: Request, cost: tuple[int, int]) -> None:
    assert Ledger(TOTAL).cost(request_) == cost


def test_an_unset_cpu_fits_a_machine_of_half_a_core() -> None:
    assert Ledger(Capacity(500, GIB, 10)).cost(Request()) == (500, 0)


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 9 * GIB)), max_size=30), st.randoms(use_true_random=False))
def test_the_ledger_never_hands_out_more_than_there_is_and_slots_are_those_of_now(requests: list[tuple[int, int]], chance: object) -> None:
    ledger = Ledger(TOTAL)
    held: list[tuple[int, int, int]] = []
    for mcpu, memory in requests:
        cost = ledger.cost(Request(cpu_mcpu=mcpu, memory_bytes=memory))
        while not ledger.fits(*cost):
            ledger.give_back(*held.pop(chance.randrange(len(held))))  # type: ignore[attr-defined]  # a Random
        held.append((*cost, ledger.take(*cost)))
        assert sum(taken[0] for taken in held) <= TOTAL.cpu_mcpu
        assert sum(taken[1] for taken in held) <= TOTAL.memory_bytes
        assert len({taken[2] for taken in held}) == len(held)
    for taken in held:
        ledger.give_back(*taken)

    assert (ledger.free_mcpu, ledger.free_bytes, ledger.running) == (TOTAL.cpu_mcpu, TOTAL.memory_bytes, 0)


def test_a_slot_that_is_given_back_is_the_next_one() -> None:
    ledger = Ledger(TOTAL)
    slots = [ledger.take(1000, 0) for _ in range(3)]
    ledger.give_back(1000, 0, 1)

    assert slots == [0, 1, 2]
    assert ledger.take(1000, 0) == 1
    assert ledger.take(1000, 0) == 3


def test_less_is_allowed_than_is_handed_out_until_enough_is_given_back() -> None:
    ledger = Ledger(TOTAL)
    slots = [ledger.take(1000, GIB) for _ in range(3)]

    ledger.allow(2000, 2 * GIB)
    assert (ledger.used, ledger.fits(1000, 0)) == ((3000, 3 * GIB), False)
    ledger.give_back(1000, GIB, slots.pop())
    assert not ledger.fits(1000, 0)
    ledger.give_back(1000, GIB, slots.pop())
    assert ledger.fits(1000, GIB)
    assert not ledger.fits(1250, GIB)
    ledger.allow(2000, 0)
    assert (ledger.fits(1000, 0), ledger.fits(1000, 1)) == (True, False)
    assert ledger.cost(Request(cpu_mcpu=9000)) == (4000, 0)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request(), None),
        (Request(cpu_mcpu=4000, memory_bytes=8 * GIB), None),
        (Request(cpu_mcpu=4500), "4.5 cores where there are 4"),
        (Request(memory_bytes=9 * GIB), "9.0 GiB of memory where there are 8.0 GiB"),
    ],
)
def test_what_is_beyond_the_machine_is_said_in_words(request_: Request, words: str | None) -> None:
    assert too_large(request_, TOTAL) == words

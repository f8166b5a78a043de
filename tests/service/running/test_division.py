"""How the machine is divided among runs: the rules alone, with cores and memory as numbers."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hail_batch_jupyter.observe.sharing import Amount
from hail_batch_jupyter.service.running.division import Caps, Claim, Owed, divide, fair, level

GIB = 1 << 30
MACHINE = Amount(8000, 32 * GIB)
ALL = Amount(8000, 0)
NOBODY = Owed({}, {})
FREE = Caps({}, {})


def claim(run_id: str, user: str = "", *, wants: int = 8000, job: int = 1000, memory: int = 0, has: int = 0, project: str = "") -> Claim:
    """A run, whose user is the first letter of its id; memory is that of each job, in GiB."""
    user = user or run_id[0]
    n_jobs = wants // job
    return Claim(run_id, user, project or user, ord(run_id[-1]), Amount(wants, min(n_jobs * memory, 32) * GIB), Amount(job, memory * GIB), Amount(has, 0))


def cores(given_: dict[str, Amount]) -> dict[str, int]:
    return {run_id: amount.cpu_mcpu for run_id, amount in given_.items()}


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        pytest.param([claim("a")], {"a": 8000}, id="one-alone-has-all"),
        pytest.param([claim("a"), claim("b")], {"a": 4000, "b": 4000}, id="two-have-half"),
        pytest.param([claim("a"), claim("b", wants=1000)], {"a": 7000, "b": 1000}, id="what-one-does-not-want-the-other-has"),
        pytest.param([claim("a1"), claim("a2"), claim("b")], {"a1": 2000, "a2": 2000, "b": 4000}, id="users-first-then-their-runs"),
        pytest.param([claim("a", job=250), claim("b", job=2000)], {"a": 4000, "b": 4000}, id="sizes-of-jobs-do-not-matter"),
        pytest.param([claim("a", wants=1000), claim("b", wants=1000)], {"a": 4000, "b": 4000}, id="what-nobody-wants-is-spread"),
        pytest.param([claim("a"), claim("b", wants=0)], {"a": 8000, "b": 0}, id="who-wants-nothing-holds-up-nobody"),
        pytest.param([claim("a", has=8000), claim("b", job=8000)], {"a": 8000, "b": 0}, id="a-job-too-large-for-the-share-waits"),
        pytest.param([claim(name) for name in "abc"], {"a": 3000, "b": 3000, "c": 2000}, id="whole-jobs-only"),
        pytest.param([claim("a"), claim("b"), claim("c", has=3000)], {"a": 3000, "b": 2000, "c": 3000}, id="who-has-more-keeps-it"),
        pytest.param([claim("a", memory=4), claim("b")], {"a": 4000, "b": 4000}, id="memory-that-suffices"),
        pytest.param([claim("a", memory=16), claim("b")], {"a": 2000, "b": 6000}, id="memory-that-is-scarcer-counts-instead-of-cores"),
    ],
)
def test_the_machine_is_divided_among_users_and_then_among_their_runs(claims: list[Claim], expected: dict[str, int]) -> None:
    assert cores(divide(MACHINE, claims, FREE, NOBODY)) == expected


def test_who_is_owed_more_comes_first_so_a_job_of_the_whole_machine_gets_it() -> None:
    claims = [claim("a", has=8000), claim("b", job=8000)]

    owed = Owed({"a": -3.0, "b": 3.0}, {})

    assert cores(divide(MACHINE, claims, FREE, owed)) == {"a": 0, "b": 8000}
    assert cores(divide(MACHINE, claims, FREE, Owed({"a": 0.2, "b": 0.7}, {}))) == {"a": 8000, "b": 0}


@pytest.mark.parametrize(
    ("claims", "caps", "expected"),
    [
        pytest.param([claim("a")], Caps({"a": 3000}, {}), {"a": 3000}, id="alone"),
        pytest.param([claim("a"), claim("b")], Caps({"a": 3000}, {}), {"a": 3000, "b": 5000}, id="the-rest-goes-to-others"),
        pytest.param([claim("a1"), claim("a2")], Caps({"a": 3000}, {}), {"a1": 2000, "a2": 1000}, id="all-runs-of-a-user-together"),
        pytest.param([claim("a", project="p"), claim("b", project="p"), claim("c")], Caps({}, {"p": 2000}), {"a": 1000, "b": 1000, "c": 6000}, id="project"),
        pytest.param([claim("a", job=4000)], Caps({"a": 3000}, {}), {"a": 4000}, id="a-job-above-the-cap-runs-alone"),
    ],
)
def test_a_cap_holds(claims: list[Claim], caps: Caps, expected: dict[str, int]) -> None:
    assert cores(divide(MACHINE, claims, caps, NOBODY)) == expected


AMOUNTS = st.builds(Amount, st.sampled_from([0, 250, 1000, 5000, 8000]), st.integers(0, 32 * GIB))
CLAIMS = st.lists(
    st.builds(
        lambda number, user, used, step, n: Claim(
            f"r{number}", user, user, number, Amount(*(min(u + n * s, m) for u, s, m in zip(used, step, MACHINE, strict=True))), step, used
        ),
        st.integers(0, 1 << 20),
        st.sampled_from("abcd"),
        AMOUNTS,
        st.builds(Amount, st.sampled_from([250, 500, 1000, 8000]), st.integers(0, 32 * GIB)),
        st.integers(0, 40),
    ),
    max_size=8,
    unique_by=lambda one: one.run_id,
)


@given(CLAIMS, st.dictionaries(st.sampled_from("abcd"), st.integers(250, 8000)), st.dictionaries(st.sampled_from("abcd"), st.floats(-9, 9)))
def test_never_more_is_given_than_there_is_nor_more_than_one_job_above_a_cap(claims: list[Claim], caps: dict[str, int], owed: dict[str, float]) -> None:
    found = divide(MACHINE, claims, Caps(caps, {}), Owed(owed, {}))

    assert sum(amount.cpu_mcpu for amount in found.values()) <= MACHINE.cpu_mcpu
    assert sum(amount.memory_bytes for amount in found.values()) <= MACHINE.memory_bytes
    assert all(min(amount) >= 0 for amount in found.values())
    for user, most in caps.items():
        has = sum(found[one.run_id].cpu_mcpu for one in claims if one.user == user)
        assert has <= max(most, *[one.next.cpu_mcpu for one in claims if one.user == user], 0)


@given(st.floats(1, 1e4), st.dictionaries(st.text(max_size=3), st.floats(0, 1e4), max_size=6))
def test_levels_give_nobody_more_than_wanted_and_all_others_the_same(total: float, wants: dict[str, float]) -> None:
    found = level(total, wants)

    assert sum(found.values()) == pytest.approx(min(total, sum(wants.values())))
    short = [found[name] for name in wants if found[name] < wants[name] - 1e-6]
    assert short == pytest.approx([max(found.values(), default=0.0)] * len(short))


def test_what_is_fair_counts_caps_and_projects() -> None:
    claims = [claim("a1"), claim("a2"), claim("b", project="p"), claim("c", project="p")]

    found = fair(MACHINE, claims, Caps({"a": 3000}, {"p": 4000}))

    assert found.users == {"a": 3000, "b": 2000, "c": 2000}
    assert found.runs == {"a1": 1500, "a2": 1500, "b": 2000, "c": 2000}


def test_in_the_long_run_all_get_the_same_whatever_the_size_of_their_jobs() -> None:
    """A model of a machine: jobs of 5 s, one second a step, a third of the users with jobs of the whole machine."""
    machine, jobs = Amount(2000, GIB), {"a": 1000, "b": 2000, "c": 1000}
    running: dict[str, list[int]] = {name: [] for name in jobs}
    owed: dict[str, float] = {}
    got: Counter[str] = Counter()
    for _ in range(3000):
        used = {name: jobs[name] * len(ends) for name, ends in running.items()}
        claims = [Claim(name, name, name, 1, Amount(2000, 0), Amount(jobs[name], 0), Amount(used[name], 0)) for name in jobs]
        owed = {name: owed.get(name, 0.0) + (share - used[name]) / 1000 for name, share in fair(machine, claims, FREE).users.items()}
        for name, allowed in divide(machine, claims, FREE, Owed(owed, {})).items():
            while used[name] + jobs[name] <= allowed.cpu_mcpu and sum(used.values()) + jobs[name] <= 2000:
                running[name].append(5)
                used[name] += jobs[name]
        got.update(used)
        running = {name: [left - 1 for left in ends if left > 1] for name, ends in running.items()}

    mean = sum(got.values()) / 3
    assert all(abs(time - mean) < mean / 10 for time in got.values()), got

"""Files that were sent to a cluster, and when they go."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hail_batch_jupyter.observe import rundir, uploads
from hail_batch_jupyter.observe.retention import DAY_S, Limits

A, B, C = (letter * 64 for letter in "abc")
FOREVER = float("inf")


@pytest.fixture
def place(runs: Path) -> Path:
    """A work directory with three uploads of a megabyte, used five, ten and forty days ago; the last is a folder."""
    (runs / uploads.OWN / uploads.FILES).mkdir(parents=True)
    for name, days in ((A, 5), (B, 10), (C, 40)):
        path = runs / uploads.OWN / uploads.FILES / name
        if name == C:
            path.mkdir()
            path /= "inside"
        path.write_bytes(os.urandom(1 << 20))
        used(runs, name, days)
    return runs


def used(place: Path, name: str, days: float) -> None:
    uploads.say_used(place / uploads.OWN, [name])
    os.utime(place / uploads.OWN / uploads.USED / name, (time.time() - days * DAY_S,) * 2)


def run_that_reads(place: Path, name: str, ended_days: float | None) -> Path:
    directory = rundir.create("reads", {"name": "reads", "lineage": "", "n_jobs": 1, "kept": False, "previous": None})
    (directory / "spec.json").write_text(f'{{"source": "{place}/{uploads.OWN}/{uploads.FILES}/{name}"}}')
    if ended_days is not None:
        rundir.mark_ended(directory, "success")
        os.utime(directory / "ended", (time.time() - ended_days * DAY_S,) * 2)
    return directory


def left(place: Path) -> set[str]:
    assert {path.name for path in (place / uploads.OWN / uploads.USED).iterdir()} == {path.name for path in (place / uploads.OWN / uploads.FILES).iterdir()}
    return {path.name for path in (place / uploads.OWN / uploads.FILES).iterdir()}


def test_what_was_not_used_for_long_goes(place: Path) -> None:
    assert uploads.clean(place, Limits(30 * DAY_S, FOREVER)) == [C]
    assert left(place) == {A, B}


def test_the_oldest_go_when_all_take_too_much_room(place: Path) -> None:
    assert uploads.clean(place, Limits(FOREVER, 1.5e6)) == [C, B]
    assert left(place) == {A}


def test_what_a_run_reads_that_has_not_ended_stays(place: Path) -> None:
    run_that_reads(place, C, None)

    assert uploads.clean(place, Limits(0, 0)) == [B, A]
    assert left(place) == {C}


def test_the_end_of_a_run_counts_as_use_and_a_removed_run_does_not(place: Path) -> None:
    directory = run_that_reads(place, C, 7)

    assert uploads.clean(place, Limits(8 * DAY_S, FOREVER)) == [B]
    rundir.remove(directory)
    assert uploads.clean(place, Limits(8 * DAY_S, FOREVER)) == [C]


def test_what_was_wanted_within_a_day_stays_whatever_the_limits(place: Path) -> None:
    used(place, C, 0.5)

    assert uploads.clean(place, Limits(0, 0)) == [B, A]
    assert left(place) == {C}


def test_what_is_wanted_while_it_is_being_removed_stays(place: Path) -> None:
    own, seen = place / uploads.OWN, uploads.Upload(C, time.time() - 40 * DAY_S + 1)
    uploads.say_used(own, [C])

    assert not uploads.remove(own, seen)
    assert left(place) == {A, B, C}


def test_what_a_killed_cleaning_left_goes(place: Path) -> None:
    (place / uploads.OWN / uploads.FILES / C).rename(place / uploads.OWN / uploads.FILES / f".going-{C}")

    uploads.clean(place, Limits(FOREVER, FOREVER))

    assert {path.name for path in (place / uploads.OWN / uploads.FILES).iterdir()} == {A, B}

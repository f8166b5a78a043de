from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.soak.series import Moment, series, table


@pytest.mark.kills
def test_nothing_is_lost_left_behind_or_done_twice_when_runners_and_makers_are_killed(tmp_path: Path, kill_moments: int) -> None:
    moments = list(series(tmp_path, kill_moments, random.SystemRandom().randrange(10**6)))

    assert len(moments) > kill_moments
    assert all(moment.clean for moment in moments), table(moments)


def test_the_table_shows_every_moment_and_their_sums() -> None:
    text = table([Moment("runner", 1.25, 10, 9, 1, 0, 2), Moment("maker", 0.5, 20, 20, 0, 3, 0)])

    assert text.splitlines()[1].split() == ["runner", "1.25", "10", "9", "1", "0", "2"]
    assert text.splitlines()[-1].split() == ["2", "kills", "30", "29", "1", "3", "2"]


@pytest.mark.parametrize(("twice", "lost", "left", "clean"), [(0, 0, 0, True), (1, 0, 0, False), (0, 1, 0, False), (0, 0, 1, False)])
def test_a_moment_is_clean_when_nothing_was_lost_left_behind_or_done_twice(twice: int, lost: int, left: int, clean: bool) -> None:
    assert Moment("runner", 1.0, 5, 5, twice, lost, left).clean is clean

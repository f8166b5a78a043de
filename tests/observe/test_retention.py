from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from hail_batch_jupyter.observe import owner, retention, rundir
from hail_batch_jupyter.observe.retention import DAY_S, Limits, clean, overdue
from hail_batch_jupyter.observe.rundir import RunInfo

NOW_S = 1000 * DAY_S
ENDLESS = float("inf")


def ended(name: str, days: float, lineage: str = "L", outcome: str = "failure", **words: object) -> RunInfo:
    """A run that ended so many days ago."""
    time_ms = int((NOW_S - days * DAY_S) * 1000)
    info = RunInfo(name, "study", lineage, 1, time_ms, "ended", Path("/none") / name, f"/none/{name}/scratch", True, None, "", "local", outcome, time_ms)
    return info._replace(**words)  # type: ignore[arg-type]  # tests name fields of all types


def ids(runs: list[RunInfo]) -> list[str]:
    return [run.run_id for run in runs]


def going(runs: list[RunInfo], days: float = ENDLESS, size: float = ENDLESS) -> list[str]:
    return ids(overdue(runs, Limits(days * DAY_S, size), NOW_S, lambda _: 10))


def test_what_is_old_goes_and_the_oldest_first() -> None:
    assert going([ended("new", 1), ended("a", 29), ended("b", 31), ended("c", 40)], days=30) == ["c", "b"]


def test_the_last_run_of_a_batch_stays_and_its_last_success_too() -> None:
    runs = [ended("last", 50), ended("worse", 60), ended("best", 70, outcome="success"), ended("older", 80, outcome="success"), ended("other", 90, "M")]

    assert going(runs, days=30) == ["older", "worse"]
    assert going(runs, size=0) == ["older", "worse"]


def test_runs_of_scripts_have_no_batch_to_come_back_to() -> None:
    assert going([ended("a", 31, ""), ended("b", 32, "")], days=30) == ["b", "a"]


def test_a_live_run_and_the_one_that_it_began_with_stay() -> None:
    live = ended("live", 50, state="live", outcome="", ended_ms=None, previous="before")

    assert going([live, ended("before", 60), ended("old", 70)], days=30, size=0) == ["old"]


def test_the_oldest_go_until_the_rest_has_room() -> None:
    runs = [ended("last", 1), ended("a", 2), ended("b", 3), ended("c", 4)]

    assert going(runs, size=40) == []
    assert going(runs, size=39) == ["c"]
    assert going(runs, size=20) == ["c", "b"]
    assert going(runs, days=3.5, size=20) == ["c", "b"]


def test_a_run_whose_runner_is_gone_counts_from_its_last_sign_of_life(runs: Path) -> None:
    directory = rundir.create("dead", {"name": "dead", "lineage": "", "n_jobs": 1, "kept": True, "previous": None, "notebook": "", "scratch": ""})
    info = rundir.info(directory)._replace(created_ms=0)
    (directory / "owner").touch()
    now_s = time.time()

    assert overdue([info], Limits(0, 0), now_s + DAY_S / 2, lambda _: 1) == []
    assert overdue([info], Limits(DAY_S, ENDLESS), now_s + 2 * DAY_S, lambda _: 1) == [info]
    assert directory.parent == runs


def make(name: str, days: float, **words: object) -> Path:
    """A run directory whose run ended so many days ago, with a file of 100 000 bytes."""
    facts = {"name": name, "lineage": "x.ipynb::L", "n_jobs": 1, "kept": True, "previous": None, "notebook": "", "backend": "local", **words}
    directory = rundir.create(name, facts)
    scratch = directory / "scratch"
    scratch.mkdir()
    (scratch / "made").write_bytes(b"x" * 100_000)
    moment = time.time() - days * DAY_S
    described = json.loads((directory / "run.json").read_text())
    rundir.write_private(directory / "run.json", json.dumps({**described, "scratch": str(scratch), "created_ms": int(moment * 1000)}))
    rundir.mark_ended(directory, "failure")
    os.utime(directory / "ended", (moment, moment))
    return directory


def test_cleaning_removes_runs_with_their_files_and_says_which(runs: Path) -> None:
    old, last = make("old", 40), make("last", 35)

    removed = clean(Limits(30 * DAY_S, ENDLESS))

    assert removed.run_ids == (old.name,)
    assert 100_000 <= removed.size_bytes <= 150_000
    assert sorted(path.name for path in runs.iterdir()) == [last.name]


def test_cleaning_keeps_what_one_may_not_choose_and_what_is_spared() -> None:
    first, second, last = make("first", 40), make("second", 39), make("last", 38)

    assert clean(Limits(0, 0), among=lambda run: run.name != "first", spared=[second.name]).run_ids == ()
    assert all(directory.exists() for directory in (first, second, last))


def test_the_size_of_an_ended_run_is_counted_once() -> None:
    directory = make("one", 1)
    size = retention.size_of(rundir.info(directory))
    (directory / "scratch" / "more").write_bytes(b"x" * 100_000)

    assert retention.size_of(rundir.info(directory)) == size


def test_the_size_of_a_live_run_is_counted_each_time() -> None:
    directory = make("one", 1)
    (directory / "ended").unlink()
    owner.write_owner(directory, os.getpid())
    size = retention.size_of(rundir.info(directory))
    (directory / "scratch" / "more").write_bytes(b"x" * 100_000)

    assert retention.size_of(rundir.info(directory)) >= size + 100_000


@pytest.mark.parametrize("days", ["0", "inf"])
def test_the_limits_are_settings(days: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_BATCH_KEEP_RUNS_DAYS", days)
    monkeypatch.setenv("HAIL_BATCH_KEEP_RUNS_GB", "1.5")

    assert retention.configured_limits() == Limits(float(days) * DAY_S, 1.5e9)

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hail_batch_jupyter.core.events import JobEvent
from hail_batch_jupyter.core.state import JobState
from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.jupyter.server.runlist import RunList, contents_path, own_run
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.journal import JournalWriter
from hail_batch_jupyter.observe.owner import write_owner
from hail_batch_jupyter.observe.totals import Totals
from tests.engine.jobs import LONG_S
from tests.requirements import ROOT

N_CODES = 9


def made(name: str, n_jobs: int = 3, **facts: object) -> Path:
    """A run directory without events."""
    scratch = {"scratch": "/nowhere", "kept": True, "lineage": "", "previous": None}
    return rundir.create(name, {"name": name, "n_jobs": n_jobs, "notebook": "", **scratch, **facts})


def tell(directory: Path, *events: JobEvent) -> None:
    journal = JournalWriter(directory / "events.jsonl")
    for event in events:
        journal.write(event)
    journal.close()


def event(job_id: int, state: JobState, reused: bool = False) -> JobEvent:
    return JobEvent(0, 1_000, job_id, state, reused=reused)


def test_rows_say_what_runs_what_ended_and_how_and_what_was_left(runs: Path) -> None:
    live, failed, left = made("live"), made("failed"), made("left", created_ms=1)
    write_owner(live, os.getpid(), os.getpid())
    tell(live, event(1, JobState.SUCCESS, reused=True), event(2, JobState.READY), event(2, JobState.RUNNING)._replace(cost_usd=0.25))
    tell(failed, event(1, JobState.SUCCESS), event(2, JobState.FAILED), event(3, JobState.CANCELLED))
    rundir.mark_ended(failed, "failure")

    rows = {row["name"]: row for row in RunList().rows(LONG_S)}

    told = {name: (row["state"], row["complete"], row["lost"]) for name, row in rows.items()}
    assert told == {"live": ("running", False, False), "failed": ("failure", True, False), "left": ("running", True, True)}
    assert rows["live"]["counts"] == [1, 0, 0, 1, 0, 0, 0, 0, 1]
    assert rows["failed"]["counts"] == [0, 0, 0, 0, 1, 1, 0, 1, 0]
    assert rows["left"]["counts"] == [3, *[0] * (N_CODES - 1)]
    assert rows["failed"]["ended_ms"] and rows["live"]["ended_ms"] is None
    assert [rows[name]["cost_usd"] for name in ("live", "failed")] == [0.25, 0.0]
    assert left.exists()


def test_a_run_that_is_just_being_made_is_not_lost(runs: Path) -> None:
    made("young")

    [row] = RunList().rows()

    assert (row["complete"], row["lost"]) == (False, False)


def test_a_listing_reads_only_what_is_new(runs: Path) -> None:
    directory, listing = made("grows"), RunList()
    write_owner(directory, os.getpid(), os.getpid())
    tell(directory, event(1, JobState.READY))
    assert listing.rows()[0]["counts"][1] == 1

    tell(directory, event(1, JobState.RUNNING), event(1, JobState.SUCCESS), event(2, JobState.READY))

    assert listing.rows()[0]["counts"] == [1, 1, 0, 0, 1, 0, 0, 0, 0]


def test_an_ended_run_is_not_read_again(runs: Path) -> None:
    directory, listing = made("ended"), RunList()
    tell(directory, event(1, JobState.SUCCESS))
    rundir.mark_ended(directory, "success")
    first = listing.rows(LONG_S)[0]

    assert listing.rows(LONG_S)[0] is first
    os.utime(directory / "ended", (1, 1))
    assert listing.rows(LONG_S)[0]["ended_ms"] == 1000


def test_journals_that_the_budget_leaves_out_are_read_by_the_next_listing(runs: Path) -> None:
    directory, listing = made("many"), RunList()
    tell(directory, event(1, JobState.SUCCESS))
    rundir.mark_ended(directory, "cancelled")

    hasty = listing.rows(budget_s=0.0)[0]

    assert (hasty["counts"], hasty["state"]) == (None, "cancelled")
    assert listing.rows(LONG_S)[0]["counts"] == [2, 0, 0, 0, 1, 0, 0, 0, 0]


def test_totals_that_were_noted_with_the_end_need_no_journal(runs: Path) -> None:
    directory = made("noted", n_jobs=4)
    rundir.mark_ended(directory, "failure", Totals({JobState.SUCCESS: 1, JobState.FAILED: 2}, reused=1, cost_usd=0.5))

    [row] = RunList().rows(budget_s=0.0)

    assert (row["counts"], row["cost_usd"], row["state"]) == ([0, 0, 0, 0, 1, 2, 0, 0, 1], 0.5, "failure")
    assert not (directory / "events.jsonl").exists()


def test_within_the_budget_the_newest_come_first(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        directory = rundir.create("r", {"name": f"run {number}", "n_jobs": 1}, run_id=f"2026010{number}-000000-r-aaaaaa")
        tell(directory, event(1, JobState.SUCCESS))
        rundir.mark_ended(directory, "success")
    times = iter([0.0, 0.0, 5.0, 5.0])
    monkeypatch.setattr("hail_batch_jupyter.jupyter.server.runlist.time.monotonic", lambda: next(times))

    rows = {row["name"]: row["counts"] is not None for row in RunList().rows(budget_s=1.0)}

    assert rows == {"run 2": True, "run 1": False, "run 0": False}


def test_an_end_whose_word_is_missing_is_told_by_the_journal(runs: Path) -> None:
    directory = made("full-disk", n_jobs=1)
    tell(directory, event(1, JobState.FAILED))
    (directory / "ended").touch()

    [row] = RunList().rows(budget_s=0.0)

    assert (row["state"], row["complete"]) == ("failure", True)


def test_a_run_that_was_asked_to_end_is_cancelling_until_it_has(runs: Path) -> None:
    directory, listing = made("asked"), RunList()
    write_owner(directory, os.getpid(), os.getpid())
    rundir.request_cancel(directory, "cancelled by the user")
    assert listing.rows()[0]["cancelling"]

    rundir.mark_ended(directory, "cancelled")

    assert not listing.rows()[0]["cancelling"]


def test_a_run_of_which_a_group_was_cancelled_goes_on(runs: Path) -> None:
    directory, listing = made("parts"), RunList()
    write_owner(directory, os.getpid(), os.getpid())
    tell(directory, JobEvent(0, 1_000, 0, phase="cancel", group=1))
    assert not listing.rows()[0]["cancelling"]

    tell(directory, JobEvent(0, 1_000, 0, phase="cancel"))

    assert listing.rows()[0]["cancelling"]


def test_what_is_unreadable_and_what_is_removed_is_left_out(runs: Path) -> None:
    kept, gone, broken = made("kept"), made("gone"), made("broken")
    listing = RunList()
    (broken / "run.json").write_text("{")
    (rundir.runs_folder() / "note.txt").touch()
    assert {row["name"] for row in listing.rows()} == {"kept", "gone"}

    shutil.rmtree(gone)

    assert [row["run_id"] for row in listing.rows()] == [kept.name]


def test_runs_of_others_are_neither_listed_nor_found(runs: Path, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a folder to somebody else")
    mine, theirs, linked = made("mine"), made("theirs"), made("linked")
    os.chown(theirs, 12345, 12345)
    shutil.move(linked, tmp_path / "elsewhere")
    linked.symlink_to(tmp_path / "elsewhere")
    os.chown(linked, 12345, 12345, follow_symlinks=False)
    (runs / "to-theirs").symlink_to(theirs)

    assert [row["run_id"] for row in RunList().rows()] == [mine.name]
    for other in (theirs.name, linked.name, "to-theirs"):
        with pytest.raises(RunLostError, match=f"no run '{other}' of yours"):
            own_run(other)


def test_a_run_in_the_work_folder_of_a_cluster_is_listed(runs: Path, tmp_path: Path) -> None:
    placed = rundir.create("far", {"name": "far", "n_jobs": 1, "notebook": "", "scratch": "", "kept": True, "lineage": "", "previous": None}, tmp_path / "work")

    assert [(row["run_id"], row["name"]) for row in RunList().rows()] == [(placed.name, "far")]
    assert own_run(placed.name) == runs / placed.name


_AS_SOMEBODY_ELSE = """
import json, os, sys
from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.jupyter.server import routes, runlist
from hail_batch_jupyter.jupyter.live.remote import Remote
from hail_batch_jupyter.observe import rundir
os.setgroups([]), os.setgid(12345), os.setuid(12345)
made = rundir.create("theirs", {"name": "theirs", "n_jobs": 1, "notebook": "", "scratch": "", "kept": True, "lineage": "", "previous": None})
asked = (
    lambda run_id: routes.deed(run_id, "cancel", {}),
    routes.delete_run,
    lambda run_id: routes.log_end(run_id, 1, "main", 9),
    lambda run_id: Remote().tell(run_id, "p", []),
)
refused = []
for ask in asked:
    try:
        ask(sys.argv[1])
    except RunLostError as error:
        refused.append(str(error))
print(json.dumps({"made": made.name, "rows": [row["run_id"] for row in runlist.RunList().rows()], "refused": refused}))
"""


def test_two_users_of_one_folder_never_see_each_others_runs(runs: Path, all_runs: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    mine = made("mine")
    rundir.mark_ended(mine, "success")
    all_runs.chmod(0o711)
    runs.chmod(0o1777)

    command = [sys.executable, "-c", _AS_SOMEBODY_ELSE, mine.name]
    said = subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=180)

    assert said.returncode == 0, said.stderr
    theirs = json.loads(said.stdout)
    assert theirs["rows"] == [theirs["made"]]
    assert theirs["refused"] == [f"there is no run {mine.name!r} of yours; %batch_runs lists those that are"] * 4
    assert [row["run_id"] for row in RunList().rows()] == [mine.name]
    assert (runs / theirs["made"]).stat().st_uid == 12345
    with pytest.raises(RunLostError, match="of yours"):
        own_run(theirs["made"])


def test_rows_are_json_and_come_newest_first(runs: Path) -> None:
    made("second", created_ms=2), made("first", created_ms=1), made("third", created_ms=3)

    assert [row["name"] for row in json.loads(json.dumps(RunList().rows()))] == ["third", "second", "first"]


def test_a_notebook_is_named_as_the_server_names_it(tmp_path: Path) -> None:
    notebook = tmp_path / "root" / "study" / "a.ipynb"
    notebook.parent.mkdir(parents=True)
    notebook.touch()

    assert contents_path(str(notebook), str(tmp_path / "root")) == "study/a.ipynb"
    for path, root in ((str(notebook), str(tmp_path / "other")), ("", "/"), (str(notebook) + "x", str(tmp_path)), (str(notebook), "")):
        assert contents_path(path, root) == ""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.errors import RunLostError, SubmitError
from hail_batch_jupyter.observe import owner, rundir

FACTS = {"name": "fit", "lineage": "L", "n_jobs": 3, "kept": True, "previous": None, "notebook": "", "backend": "local"}


def make(name: str | None = "fit", created_ms: int | None = None, **facts: object) -> Path:
    directory = rundir.create(name, {**FACTS, **facts})
    described = json.loads((directory / "run.json").read_text())
    described["scratch"] = str(directory / "scratch")
    if created_ms is not None:
        described["created_ms"] = created_ms
    (directory / "run.json").write_text(json.dumps(described))
    return directory


def test_a_run_directory_is_closed_to_others(runs: Path) -> None:
    directory = rundir.create("fit", dict(FACTS))

    assert directory.parent == runs
    assert [path.stat().st_mode & 0o777 for path in (directory, directory / "logs", directory / "run.json")] == [0o700, 0o700, 0o600]


def test_the_folder_of_all_runs_is_made_closed_to_others(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(rundir.RUNS_VARIABLE, str(runs / "new" / "place"))

    rundir.create("fit", dict(FACTS))

    assert (runs / "new" / "place").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("name", "stem"), [("fit", "fit"), (None, "batch"), ("", "batch"), ("a b/c..d", "a-b-c-d"), ("../../etc", "etc"), ("äö", "batch"), ("x" * 300, "x" * 60)]
)
def test_any_name_gives_a_plain_directory(runs: Path, name: str | None, stem: str) -> None:
    directory = make(name)

    assert directory.parent == runs
    assert directory.name.split("-", 2)[2].rpartition("-")[0] == stem
    assert rundir.find(directory.name) == directory


def test_two_runs_of_one_second_and_name_have_directories_of_their_own() -> None:
    assert len({make().name for _ in range(20)}) == 20


def test_runs_lie_where_the_variable_says_else_in_the_user_s_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(rundir.RUNS_VARIABLE, "~/here")
    given = rundir.runs_folder()
    monkeypatch.delenv(rundir.RUNS_VARIABLE)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    assert given == Path.home() / "here"
    assert rundir.runs_folder() == tmp_path / "hail_batch_jupyter" / "runs"


def test_a_folder_that_cannot_be_written_is_refused_and_nothing_is_left(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runs / "file").write_text("")
    monkeypatch.setenv(rundir.RUNS_VARIABLE, str(runs / "file"))

    with pytest.raises(SubmitError, match=r"cannot be written \(.*\); free space or set HAIL_BATCH_JUPYTER_RUNS to a folder that can"):
        rundir.create("fit", dict(FACTS))


def test_what_a_run_says_of_itself_is_read_back(runs: Path) -> None:
    directory = make(created_ms=77, previous="before", notebook="n.ipynb")

    info = rundir.info(directory)

    assert info == rundir.RunInfo(directory.name, "fit", "L", 3, 77, "dead", directory, str(directory / "scratch"), True, "before", "n.ipynb", "local")
    assert info.directory.parent == runs


def test_a_run_is_live_with_a_living_owner_ended_when_it_says_so_else_dead() -> None:
    directory = make()
    seen = [rundir.info(directory).state]
    owner.write_owner(directory, os.getpid())
    seen.append(rundir.info(directory).state)
    (directory / "ended").touch()
    seen.append(rundir.info(directory).state)

    assert seen == ["dead", "live", "ended"]


def test_a_run_that_has_ended_says_how_and_when() -> None:
    directory = make()
    rundir.mark_ended(directory, "failure")
    os.utime(directory / "ended", (77, 77))

    info = rundir.info(directory)

    assert (info.state, info.outcome, info.ended_ms) == ("ended", "failure", 77_000)
    assert sorted(path.name for path in directory.iterdir()) == ["ended", "logs", "run.json"]


def test_runs_are_listed_newest_first_and_what_is_unreadable_is_left_out(runs: Path) -> None:
    made = [make(created_ms=created_ms).name for created_ms in (20, 30, 10)]
    (runs / "rubbish").mkdir()
    (runs / "file").write_text("")
    (make() / "run.json").write_text("{")

    assert [run.run_id for run in rundir.list_runs()] == [made[1], made[0], made[2]]


def test_no_folder_means_no_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(rundir.RUNS_VARIABLE, str(tmp_path / "none"))

    assert rundir.list_runs() == []
    assert rundir.last_run("L") is None


def test_the_last_run_is_the_newest_of_its_batch() -> None:
    make(lineage="A", created_ms=10)
    newest = make(lineage="A", created_ms=30)
    make(lineage="B", created_ms=40)
    make(lineage="", created_ms=50)

    found = rundir.last_run("A")
    assert found is not None
    assert found.run_id == newest.name
    assert rundir.last_run("C") is None
    assert rundir.last_run("") is None


def test_an_unknown_run_is_answered_with_close_ones(runs: Path) -> None:
    name = make("evaluate").name

    with pytest.raises(RunLostError, match=rf"there is no run '{name[:-1]}x' in '{runs}'; did you mean {name}\?"):
        rundir.find(name[:-1] + "x")
    with pytest.raises(RunLostError, match=rf"did you mean {name}\?"):
        rundir.find("evaluate")
    with pytest.raises(RunLostError, match=r"list_runs\(\) and %batch_runs list those that are there"):
        rundir.find("something else altogether")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc", "x" * 300, "a\0b"])
def test_a_name_that_is_no_run_id_is_no_path(name: str) -> None:
    with pytest.raises(RunLostError, match="there is no run"):
        rundir.find(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 2}', r"run '.*' has format 2, this version reads 1; use the version that made it"),
        ("{", r"run '.*' cannot be read \(.*\); delete '.*' if it is of no use"),
        ("{}", r"run '.*' cannot be read \('format'\)"),
        ("[]", r"run '.*' cannot be read"),
        (None, r"run '.*' cannot be read \(.*No such file"),
    ],
)
def test_a_description_that_cannot_be_read_is_said_with_a_remedy(text: str | None, message: str) -> None:
    directory = make()
    if text is None:
        (directory / "run.json").unlink()
    else:
        (directory / "run.json").write_text(text)

    with pytest.raises(RunLostError, match=message):
        rundir.info(directory)


def test_the_word_to_cancel_can_be_given_twice() -> None:
    directory = make()
    rundir.request_cancel(directory, "one")
    rundir.request_cancel(directory, "two")

    assert (directory / "cancel").read_text() == "two"
    assert sorted(path.name for path in directory.iterdir()) == ["cancel", "logs", "run.json"]


def test_the_word_to_cancel_a_run_that_is_gone_is_refused(runs: Path) -> None:
    with pytest.raises(RunLostError, match="is gone; there is nothing left to cancel"):
        rundir.request_cancel(runs / "gone", "x")


@pytest.mark.parametrize("place", ["in the run", "outside"])
def test_removing_a_run_removes_its_scratch_too(place: str, tmp_path: Path) -> None:
    directory = make()
    scratch = directory / "scratch" if place == "in the run" else tmp_path / "batch-0" / "abc"
    scratch.mkdir(parents=True)
    described = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps({**described, "scratch": str(scratch)}))

    rundir.remove(directory)

    assert not directory.exists()
    assert not scratch.exists()


@pytest.mark.parametrize("kept", [{"run.json"}, {"run.json", "ended"}, {"run.json", "logs", "ended"}])
def test_an_interrupted_removal_can_be_done_again(kept: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    directory = make()
    (directory / "ended").write_text("success")
    (directory / "logs" / "1.main").write_text("x")
    removed = os.unlink

    def killed(path: Any, **how: Any) -> None:
        if {entry.name for entry in directory.iterdir()} == kept:
            raise KeyboardInterrupt
        removed(path, **how)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            rundir.remove(directory)
    assert {entry.name for entry in directory.iterdir()} == kept
    assert rundir.info(directory).run_id == directory.name

    rundir.remove(directory)

    assert not directory.exists()


def test_a_run_that_is_described_and_no_more_is_read_and_removed() -> None:
    directory = rundir.create("fit", dict(FACTS))

    assert rundir.info(directory).scratch == str(directory / "scratch")
    rundir.remove(directory)

    assert not directory.exists()


def test_what_is_left_of_a_run_without_a_description_is_removed_too() -> None:
    directory = make()
    (directory / "run.json").write_text("")
    with pytest.raises(RunLostError, match="cannot be read"):
        rundir.remove(directory)

    rundir.remove_rest(directory)

    assert not directory.exists()


def test_removing_a_run_never_removes_a_folder_that_is_no_scratch(tmp_path: Path) -> None:
    directory = make()
    (tmp_path / "home").mkdir()
    described = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps({**described, "scratch": str(tmp_path / "home")}))

    rundir.remove(directory)

    assert (tmp_path / "home").exists()


def test_a_note_that_comes_while_a_run_is_removed_goes_with_it() -> None:
    directory = make()
    for number in range(3000):
        (directory / f"file-{number}").touch()

    def note() -> None:
        while (directory / "run.json").exists():
            continue
        with contextlib.suppress(FileNotFoundError):
            (directory / "size").write_text("1")

    noting = threading.Thread(target=note)
    noting.start()
    rundir.remove(directory)
    noting.join()

    assert not directory.exists()

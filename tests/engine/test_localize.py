from __future__ import annotations

import os
from pathlib import Path

import pytest

from hail_batch_jupyter.core.spec import SCRATCH, JobSpec, Transfer
from hail_batch_jupyter.engine.localize import INLINE_BYTES, Localizer, copy, link_tree
from hail_batch_jupyter.engine.recycle import Recycler


def test_paths_of_a_spec_become_paths_of_this_machine() -> None:
    localizer = Localizer("/s")

    assert localizer.absolute(f"{SCRATCH}/d1/x") == "/s/d1/x"
    assert localizer.absolute("file:///data/x") == "/data/x"
    assert localizer.absolute("/data/x") == "/data/x"
    assert localizer.absolute("data/${x}") == "data/${x}"


def test_an_input_is_a_link_to_where_the_file_really_is(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("text")
    (tmp_path / "link.txt").symlink_to("real.txt")
    localizer = Localizer(str(tmp_path / "scratch"))

    localizer.stage([Transfer(str(tmp_path / "link.txt"), f"{SCRATCH}/inputs/a/link.txt")] * 2)

    staged = tmp_path / "scratch/inputs/a/link.txt"
    assert staged.read_text() == "text"
    assert staged.readlink() == tmp_path / "real.txt"


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="input file does not exist") as caught:
        Localizer(str(tmp_path)).stage([Transfer("/no/such/file", f"{SCRATCH}/x")])

    assert caught.value.filename == "/no/such/file"


def test_a_copy_replaces_what_is_there_and_keeps_mode_and_time(tmp_path: Path) -> None:
    source, dest = tmp_path / "source", tmp_path / "new/parents/dest"
    source.write_text("new")
    source.chmod(0o750)
    os.utime(source, (1000, 1000))
    dest.parent.mkdir(parents=True)
    dest.write_text("old, and longer")

    copy(str(source), str(dest))

    assert dest.read_text() == "new"
    assert dest.stat().st_mode & 0o777 == 0o750
    assert dest.stat().st_mtime == 1000
    assert os.listdir(dest.parent) == ["dest"]


def test_a_copy_is_a_new_file_so_that_readers_of_the_old_one_see_it_whole(tmp_path: Path) -> None:
    source, dest = tmp_path / "source", tmp_path / "dest"
    source.write_text("new")
    dest.write_text("old")
    with dest.open() as reader:
        copy(str(source), str(dest))

        assert reader.read() == "old"
    assert dest.read_text() == "new"


def test_a_copy_that_fails_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    dest.write_text("old")

    with pytest.raises(FileNotFoundError, match="source"):
        copy(str(tmp_path / "source"), str(dest))

    assert dest.read_text() == "old"
    assert os.listdir(tmp_path) == ["dest"]


def test_a_file_is_not_written_over_a_folder(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("x")
    (tmp_path / "dest").mkdir()

    with pytest.raises(IsADirectoryError, match="is a folder, so no file can be written there; name a file in it"):
        copy(str(tmp_path / "source"), str(tmp_path / "dest"))


def test_a_folder_is_copied_file_by_file_into_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "source/deep").mkdir(parents=True)
    (tmp_path / "source/deep/a").write_text("a")
    (tmp_path / "source/b").write_text("b")
    (tmp_path / "dest/deep").mkdir(parents=True)
    (tmp_path / "dest/deep/old").write_text("old")

    copy(str(tmp_path / "source"), str(tmp_path / "dest"))

    files = {str(path.relative_to(tmp_path / "dest")): path.read_text() for path in (tmp_path / "dest").rglob("*") if path.is_file()}
    assert files == {"deep/a": "a", "b": "b", "deep/old": "old"}


def test_a_file_with_the_longest_name_can_be_copied(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("x")
    dest = tmp_path / ("n" * 255)

    copy(str(tmp_path / "source"), str(dest))

    assert dest.read_text() == "x"


def test_linked_trees_share_their_files(tmp_path: Path) -> None:
    (tmp_path / "source/deep").mkdir(parents=True)
    (tmp_path / "source/deep/a").write_text("a")

    link_tree(str(tmp_path / "source"), str(tmp_path / "new/dest"))
    link_tree(str(tmp_path / "source/deep/a"), str(tmp_path / "new/file"))

    assert (tmp_path / "new/dest/deep/a").samefile(tmp_path / "source/deep/a")
    assert (tmp_path / "new/file").samefile(tmp_path / "source/deep/a")


def test_large_files_and_folders_are_not_copied_between_two_jobs(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"x" * 10)
    (tmp_path / "folder").mkdir()
    with (tmp_path / "large").open("wb") as large:
        large.truncate(INLINE_BYTES)
    localizer = Localizer(str(tmp_path))

    small = {name: localizer.small([Transfer(f"{SCRATCH}/{name}", "/x")]) for name in ("small", "large", "folder")}

    assert small == {"small": True, "large": False, "folder": False}


def test_the_first_promised_file_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "d1").mkdir()
    (tmp_path / "d1/a").write_text("")
    job = JobSpec(1, "k", None, "bash", (), "d1", promises=("d1/a", "d1/deep/b"), results=("d1/c",))

    assert Localizer(str(tmp_path)).missing(job) == "deep/b"
    assert Localizer(str(tmp_path)).missing(job._replace(promises=("d1/a",), results=())) is None


def test_a_folder_for_each_job_beside_its_directory_is_made_once_and_used_again_when_empty(tmp_path: Path) -> None:
    first, second, third = (JobSpec(number, "k", None, "bash", (), f"d{number}") for number in (1, 2, 3))
    (tmp_path / "own").mkdir()
    localizer = Localizer(str(tmp_path), own=str(tmp_path / "own"))
    localizer.make_directory(first, 1)
    (tmp_path / "own" / "1" / "kept").write_text("x")
    localizer.make_directory(first, 2)
    localizer.make_directory(second, 1)

    for job in (first, second):
        localizer.recycle(job, str(tmp_path / "log"))
    localizer.make_directory(third, 1)

    assert sorted(path.relative_to(tmp_path / "own").as_posix() for path in tmp_path.glob("own/**/*")) == ["1", "1/kept", "3"]


def test_a_second_attempt_begins_with_an_empty_folder(tmp_path: Path) -> None:
    job = JobSpec(1, "k", None, "bash", (), "d1")
    localizer = Localizer(str(tmp_path))
    first = Path(localizer.make_directory(job, 1))
    (first / "half").write_text("x")

    second = Path(localizer.make_directory(job, 2))

    assert second == first
    assert os.listdir(second) == []


@pytest.mark.parametrize(("folder_is_empty", "log_is_empty"), [(True, True), (True, False), (False, True), (False, False)])
def test_only_what_is_empty_is_used_again(tmp_path: Path, folder_is_empty: bool, log_is_empty: bool) -> None:
    recycler = Recycler()
    folder, log = tmp_path / "folder", tmp_path / "log"
    recycler.folder(str(folder))
    log.write_text("" if log_is_empty else "text")
    if not folder_is_empty:
        (folder / "file").write_text("")
    recycler.give_log(str(log))
    recycler.give_folder(str(folder))

    recycler.folder(str(tmp_path / "later"))
    recycler.log(str(tmp_path / "later.log"))

    assert folder.exists() is not folder_is_empty
    assert log.exists() is not log_is_empty
    assert (tmp_path / "later").is_dir()
    assert os.listdir(tmp_path / "later") == []
    assert (tmp_path / "later.log").exists() is log_is_empty


def test_a_folder_whose_rights_were_changed_is_not_used_again(tmp_path: Path) -> None:
    recycler = Recycler()
    recycler.folder(str(tmp_path / "folder"))
    (tmp_path / "log").write_text("")
    (tmp_path / "folder").chmod(0o755)
    recycler.give_log(str(tmp_path / "log"))
    recycler.give_folder(str(tmp_path / "folder"))

    recycler.folder(str(tmp_path / "next"))

    assert (tmp_path / "folder").exists()
    assert (tmp_path / "next").stat().st_mode & 0o777 == 0o700

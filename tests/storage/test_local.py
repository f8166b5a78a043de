from __future__ import annotations

from pathlib import Path

import pytest

from hail_batch_jupyter.errors import CapabilityError, MissingFileError, StorageError
from hail_batch_jupyter.storage.router import file_system


def uri_of(path: Path) -> str:
    return f"file://{path}"


def test_bytes_are_written_read_and_removed(tmp_path: Path) -> None:
    uri = uri_of(tmp_path / "a" / "b c.txt")
    files = file_system(uri)

    files.write(uri, b"one")
    files.write(uri, b"two")

    assert (files.read(uri), files.exists(uri)) == (b"two", True)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b c.txt"]
    files.remove(uri)
    files.remove(uri)
    assert not files.exists(uri)


def test_a_folder_is_copied_with_all_that_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "x").write_text("x")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "in" / "deep" / "x")
    target = uri_of(tmp_path / "out")
    files = file_system(target)

    files.upload(str(tmp_path / "in"), target)

    assert (files.read(f"{target}/deep/x"), files.read(f"{target}/link")) == (b"x", b"x")
    files.remove(target)
    assert (tmp_path / "in" / "deep" / "x").exists()
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    files = file_system(uri_of(tmp_path))

    with pytest.raises(FileNotFoundError, match="does not exist; make it or mend the path"):
        files.upload(str(tmp_path / "none"), uri_of(tmp_path / "out"))
    with pytest.raises(MissingFileError) as caught:
        files.read(uri_of(tmp_path / "none"))
    assert caught.value.uri == uri_of(tmp_path / "none")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    uri = uri_of(tmp_path / "file" / "below")

    with pytest.raises(StorageError, match="cannot be written .*; free space, or choose another place"):
        file_system(uri).write(uri, b"")


def test_places_that_are_not_reached_say_so() -> None:
    with pytest.raises(CapabilityError, match=r"'s3://bucket/x': files at s3:// are not reached from here; use gs://BUCKET/FILE"):
        file_system("s3://bucket/x")

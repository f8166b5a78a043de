from __future__ import annotations

import os
from pathlib import Path

import pytest

from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.observe.scratch import is_scratch, own_folder

NAME = f"batch-{os.getuid()}"


def test_each_user_has_a_folder_that_is_closed_to_others(tmp_path: Path) -> None:
    folder = own_folder(f"{tmp_path}/new/place")

    assert folder == tmp_path / "new" / "place" / NAME
    assert folder.stat().st_mode & 0o777 == 0o700
    assert own_folder(f"{tmp_path}/new/place") == folder


def test_a_folder_of_another_user_does_not_stand_in_the_way(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / "batch").mkdir(mode=0o700)
    other = tmp_path / f"batch-{os.getuid() + 1}"
    other.mkdir(mode=0o700)
    if os.getuid() == 0:
        os.chown(other, os.getuid() + 1, -1)

    assert own_folder(str(tmp_path)).name == NAME


def plant_link(place: Path) -> None:
    (place.parent / "elsewhere").mkdir()
    place.symlink_to(place.parent / "elsewhere")


def plant_file(place: Path) -> None:
    place.write_text("")


def plant_open_folder(place: Path) -> None:
    place.mkdir()
    place.chmod(0o777)


@pytest.mark.parametrize(("plant", "what"), [(plant_link, "is a link"), (plant_file, "is no folder"), (plant_open_folder, "can be written by others")])
def test_what_somebody_planted_there_is_refused_and_not_touched(tmp_path: Path, plant: object, what: str) -> None:
    assert callable(plant)
    plant(tmp_path / NAME)
    before = os.lstat(tmp_path / NAME)

    with pytest.raises(SubmitError, match=rf"the scratch folder '{tmp_path}/{NAME}' {what}, so what lies in it is not safe; remove it, or choose another"):
        own_folder(str(tmp_path))

    assert os.lstat(tmp_path / NAME) == before
    assert not list(tmp_path.glob("elsewhere/*"))


def test_a_folder_that_somebody_else_made_in_our_name_is_refused(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    (tmp_path / NAME).mkdir(mode=0o700)
    os.chown(tmp_path / NAME, 12345, -1)

    with pytest.raises(SubmitError, match="belongs to the user 12345"):
        own_folder(str(tmp_path))


@pytest.mark.parametrize(
    ("path", "expected"), [("/r/scratch", True), ("/tmp/batch-0/abc", True), ("/tmp/batch/abc", False), ("/home/me", False), ("batch-0/abc", False)]
)
def test_only_scratch_is_known_as_scratch(path: str, expected: bool) -> None:
    assert is_scratch(Path(path)) is expected

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hail_batch_jupyter.errors import StorageError, UriError
from hail_batch_jupyter.storage.copy import Summary, copy, copy_all, targets
from hail_batch_jupyter.storage.uris import base_name, joined, safe_below, shown

SECRET = "https://a.blob.core.windows.net/c/d/x.txt?sig=secret"


def test_what_fails_is_named_and_the_rest_is_copied(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(200):
        (tmp_path / "in" / f"{number}").write_text(str(number))
    (tmp_path / "file").write_text("")
    seen: list[int] = []

    pairs = [
        (str(tmp_path / "none"), str(tmp_path / "a")),
        (str(tmp_path / "in"), f"file://{tmp_path}/out"),
        (str(tmp_path / "file"), str(tmp_path / "file" / "x")),
    ]
    summary = copy(pairs, workers=2, told=lambda so_far: seen.append(so_far.n_files))

    assert (summary.n_files, summary.n_bytes, seen[-1]) == (200, 490, 200)
    assert sorted(address for address, _ in summary.failed) == [str(tmp_path / "file"), str(tmp_path / "none")]
    assert summary.text().startswith("copied 200 files, 490 B in ") and "2 not copied:" in summary.text()
    assert (tmp_path / "out" / "199").read_text() == "199"


def test_a_file_that_cannot_be_written_whole_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("x")
    (tmp_path / "dest").mkdir()

    with pytest.raises(StorageError, match="is a folder, so no file can be written there"):
        copy_all([(str(tmp_path / "in"), str(tmp_path / "dest"))])

    assert os.listdir(tmp_path / "dest") == []
    assert sorted(os.listdir(tmp_path)) == ["dest", "in"]


def test_only_the_first_ten_failures_are_told() -> None:
    assert Summary(failed=[(f"gs://b/{number}", "why") for number in range(12)]).text().splitlines()[-2:] == ["  gs://b/9: why", "  and 2 more"]


@pytest.mark.parametrize(
    ("sources", "dest", "expected"),
    [
        (["a/x"], "gs://b/y", ["gs://b/y"]),
        (["a/x"], "gs://b/y/", ["gs://b/y/x"]),
        (["a/x", "gs://b/z/"], "gs://b/y", ["gs://b/y/x", "gs://b/y/z"]),
        ([SECRET], "out/", ["out/x.txt"]),
        (["x"], "https://a.blob.core.windows.net/c/d/?sig=s", ["https://a.blob.core.windows.net/c/d/x?sig=s"]),
    ],
)
def test_destinations_follow_from_the_slash(sources: list[str], dest: str, expected: list[str]) -> None:
    assert [target for _, target in targets(sources, dest)] == expected


def test_sources_without_a_name_of_their_own_are_refused() -> None:
    with pytest.raises(UriError, match="two sources are named 'x'"):
        targets(["a/x", "b/x"], "out")
    with pytest.raises(UriError, match="'gs://bucket' has no name of its own"):
        targets(["gs://bucket"], "out/")


def test_tokens_stay_in_addresses() -> None:
    assert (shown(SECRET), base_name(SECRET)) == ("https://a.blob.core.windows.net/c/d/x.txt", "x.txt")
    assert joined("https://a.blob.core.windows.net/c/d?sig=1", "e/f") == "https://a.blob.core.windows.net/c/d/e/f?sig=1"
    assert (joined("gs://b/d/", "x"), joined("/d", ""), base_name("gs://b"), base_name("/d/")) == ("gs://b/d/x", "/d", "", "d")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "a//x", "a/./x"])
def test_names_that_lead_out_of_the_folder_are_refused(name: str) -> None:
    with pytest.raises(StorageError, match="which is no path below a folder here"):
        safe_below(name, "gs://b/d")

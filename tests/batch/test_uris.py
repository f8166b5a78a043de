from __future__ import annotations

from pathlib import Path

import pytest

from hail_batch_jupyter.batch.uris import checked_path, local_destination, scheme_of


@pytest.mark.parametrize(("text", "scheme"), [("a/b", ""), ("gs://b/o", "gs"), ("S3://b/o", "s3"), ("a:b", ""), ("/x://y", "")])
def test_the_scheme_of_an_address(text: str, scheme: str) -> None:
    assert scheme == scheme_of(text)


def test_a_path_like_is_its_text() -> None:
    assert checked_path(Path("a/b")) == "a/b"


def test_a_local_destination_is_absolute_and_others_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    assert f"{tmp_path}/a" == local_destination("a/")
    assert local_destination("file:///x/y") == "/x/y"
    assert local_destination("gs://b/o") == "gs://b/o"

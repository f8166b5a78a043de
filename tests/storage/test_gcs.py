from __future__ import annotations

import gzip
import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from hail_batch_jupyter.errors import MissingFileError, StorageError
from hail_batch_jupyter.storage import router
from hail_batch_jupyter.storage.copy import copy
from hail_batch_jupyter.storage.gcs_parts import PARTS_FROM_BYTES
from hail_batch_jupyter.storage.router import file_system
from tests.storage.emulators import proxied

pytestmark = pytest.mark.requires("fake-gcs-server")


def names(uri: str) -> list[str]:
    return sorted(found.name for found in file_system(uri).files(uri))


def test_bytes_are_written_read_and_removed(bucket: str) -> None:
    uri = f"{bucket}/a/b c #1?.txt"
    files = file_system(uri)

    files.write(uri, b"one")
    files.write(uri, b"two")

    assert (files.read(uri), files.exists(uri), files.exists(f"{bucket}/a"), files.exists(f"{bucket}/b")) == (b"two", True, True, False)
    files.remove(f"{bucket}/a")
    files.remove(f"{bucket}/a")
    assert not files.exists(uri)


def test_a_folder_goes_up_and_comes_down_as_it_is(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "ä x").write_text("x")
    (tmp_path / "in" / "empty").write_text("")

    up = copy([(str(tmp_path / "in"), f"{bucket}/d")])
    down = copy([(f"{bucket}/d/", str(tmp_path / "out"))])

    assert (up.failed, up.n_files, up.n_bytes, down.failed, down.n_files) == ([], 2, 1, [], 2)
    assert names(f"{bucket}/d") == ["deep/ä x", "empty"]
    assert (tmp_path / "out" / "deep" / "ä x").read_text() == "x"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["deep", "empty"]


def test_a_large_file_goes_in_parts_and_none_is_left(bucket: str, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(PARTS_FROM_BYTES + (3 << 20))
    (tmp_path / "large").write_bytes(data)

    copied = copy([(str(tmp_path / "large"), f"{bucket}/large")])
    back = copy([(f"{bucket}/large", str(tmp_path / "back"))])

    assert (copied.failed, back.failed, names(bucket)) == ([], [], ["large"])
    assert hashlib.sha256((tmp_path / "back").read_bytes()).digest() == hashlib.sha256(data).digest()


def test_files_are_copied_within_the_store(bucket: str) -> None:
    file_system(bucket).write(f"{bucket}/a/x", b"x")

    assert copy([(f"{bucket}/a", f"{bucket}/b")]).failed == []

    assert file_system(bucket).read(f"{bucket}/b/x") == b"x"


def test_a_missing_object_leaves_nothing_here_and_is_named(bucket: str, tmp_path: Path) -> None:
    file_system(bucket).write(f"{bucket}/there", b"1")
    summary = copy([(f"{bucket}/none", str(tmp_path / "none")), (f"{bucket}/there", str(tmp_path / "there"))])

    assert (summary.n_files, [address for address, _ in summary.failed]) == (1, [f"{bucket}/none"])
    assert "does not exist" in summary.text()
    assert os.listdir(tmp_path) == ["there"]
    with pytest.raises(MissingFileError):
        file_system(bucket).read("gs://no-such-bucket/x")


def test_a_whole_bucket_is_never_removed(bucket: str) -> None:
    with pytest.raises(StorageError, match="a whole bucket, which is never removed"):
        file_system(bucket).remove(bucket)
    with pytest.raises(StorageError, match="names no bucket"):
        file_system(bucket).read("gs:///x")


def test_what_fails_through_nobodys_fault_is_tried_again(bucket: str, gcs_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_text("x")
    failures = iter(range(3))
    with proxied(gcs_url, lambda *_: None if next(failures, None) is None else (503, b"")) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        router.forget()

        summary = copy([(str(tmp_path / "x"), f"{bucket}/x")])
        router.forget()

    assert (summary.failed, summary.n_files) == ([], 1)


def test_a_file_costs_one_request_each_way(bucket: str, gcs_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"a b": b"", "c": b"12", "deep/d": random.Random(2).randbytes(20 << 20)}
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name, content in data.items():
        (tmp_path / "in" / name).write_bytes(content)
    asked: list[str] = []
    with proxied(gcs_url, lambda method, path: asked.append(f"{method} {path.partition('?')[0]}")) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        router.forget()
        up = copy([(str(tmp_path / "in"), f"{bucket}/x")])
        went, asked[:] = [each for each in asked if "/o" in each], []
        down = copy([(f"{bucket}/x/", str(tmp_path / "out"))])
        router.forget()

    name = bucket.removeprefix("gs://")
    assert (up.failed, down.failed) == ([], [])
    assert went == [f"POST /upload/storage/v1/b/{name}/o"] * 3
    assert sorted(each for each in asked if "/o" in each) == [
        *(f"GET /download/storage/v1/b/{name}/o/x%2F{each}" for each in ("a%20b", "c", "deep%2Fd")),
        f"GET /storage/v1/b/{name}/o",
    ]
    assert {each: (tmp_path / "out" / each).read_bytes() for each in data} == data


def test_bytes_that_change_on_their_way_are_no_file(bucket: str, gcs_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hail_batch_jupyter.storage.again.FIRST_PAUSE_S", 0.0)
    file_system(bucket).write(f"{bucket}/x", b"right")
    with proxied(gcs_url, lambda *_: None, lambda content: content.replace(b"right", b"wrong")) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        router.forget()
        summary = copy([(f"{bucket}/x", str(tmp_path / "x"))])
        router.forget()

    assert [why for _, why in summary.failed if "has checksum" in why and "try again later" in why]
    assert os.listdir(tmp_path) == []


def test_a_packed_object_comes_unpacked(bucket: str, tmp_path: Path) -> None:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client("test", AnonymousCredentials())
    blob = client.bucket(bucket.removeprefix("gs://")).blob("x")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(b"unpacked"))
    client.close()

    assert copy([(f"{bucket}/x", str(tmp_path / "x"))]).failed == []

    assert (tmp_path / "x").read_bytes() == b"unpacked"


def test_the_command_line_copies_and_tells_what_failed(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "hail_batch_jupyter", "copy", *words], capture_output=True, text=True, check=False, cwd=tmp_path)

    up, down, none = command("x", f"{bucket}/d/"), command(f"{bucket}/d/x", "y", "--quiet"), command(f"{bucket}/none", "z")

    assert (up.returncode, up.stderr) == (0, "") and up.stdout.startswith("copied 1 file, 1 B in ")
    assert (down.returncode, down.stdout, (tmp_path / "y").read_text()) == (0, "", "x")
    assert none.returncode == 1 and "1 not copied:" in none.stderr and "does not exist" in none.stderr

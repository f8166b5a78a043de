"""Case 77: places in cold storage are refused when they are named."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.errors import MissingFileError, StorageError
from hail_batch_jupyter.storage import cold, router
from hail_batch_jupyter.storage.router import file_system
from tests.recorder import Recorder
from tests.storage.emulators import proxied

pytestmark = pytest.mark.requires("fake-gcs-server")

COLD = "configured to use cold storage by default"


@pytest.fixture
def asked(bucket: str, gcs_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What bucket metadata was asked for; the bucket 'cold' is a cold one, that of 'secret' may not be seen."""
    seen: list[str] = []

    def meddle(method: str, path: str) -> tuple[int, bytes] | None:
        name = path.partition("?")[0].removeprefix("/storage/v1/b/")
        if method != "GET" or "/" in name:
            return None
        seen.append(name)
        if name == "cold":
            return 200, json.dumps({"name": "cold", "storageClass": "NEARLINE"}).encode()
        return (403, b"{}") if name == bucket[len("gs://") :] else None

    with proxied(gcs_url, meddle) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        router.forget()
        cold.forget()
        yield seen
        router.forget()


def test_a_cold_bucket_is_refused_for_the_folder_inputs_and_outputs(asked: list[str], service: Recorder, tmp_path: object) -> None:
    with pytest.raises(ValueError, match=rf"'gs://cold/tmp': bucket 'cold' is {COLD} \(NEARLINE\).*gcs/bucket_allow_list cold"):
        hb.ServiceBackend(billing_project="lab", remote_tmpdir="gs://cold/tmp")
    for backend in (hb.LocalBackend(), hb.ServiceBackend(billing_project="lab", remote_tmpdir=f"file://{tmp_path}")):
        b = hb.Batch(backend=backend)
        j = b.new_job()
        j.command(f"echo > {j.o}")
        with pytest.raises(ValueError, match=COLD):
            b.read_input("gs://cold/x")
        with pytest.raises(ValueError, match=COLD):
            b.read_input_group(x="gs://cold/x")
        with pytest.raises(ValueError, match=COLD):
            b.write_output(j.o, "gs://cold/x")


def test_a_bucket_on_the_list_is_accepted_unasked(asked: list[str], service: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    b = hb.Batch(backend=hb.ServiceBackend(billing_project="lab", remote_tmpdir="gs://cold/tmp", gcs_bucket_allow_list=["cold"]))
    b.read_input("gs://cold/x")
    monkeypatch.setenv("HAIL_GCS_BUCKET_ALLOW_LIST", "warm,cold")
    hb.Batch(backend=hb.LocalBackend()).read_input("gs://cold/x")

    assert asked == []


def test_where_the_bucket_is_not_told_the_class_of_its_files_decides(asked: list[str], bucket: str) -> None:
    b = hb.Batch(backend=hb.LocalBackend())
    b.read_input(f"{bucket}/none")
    b.read_input(f"{bucket}/none")
    assert len(asked) == 1

    cold.forget()
    blob = file_system(bucket)._client_now().google.bucket(bucket[len("gs://") :]).blob("d/x")
    blob.storage_class = "COLDLINE"
    blob.upload_from_string("x")
    with pytest.raises(ValueError, match=COLD):
        asyncio.run(hb.LocalBackend().validate_file(f"{bucket}/d"))


def test_a_bucket_that_is_not_there_is_told(asked: list[str]) -> None:
    with pytest.raises(MissingFileError, match="'gs://no-such-bucket/x' does not exist"):
        hb.Batch(backend=hb.LocalBackend()).read_input("gs://no-such-bucket/x")


def test_without_credentials_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))

    hb.Batch(backend=hb.LocalBackend()).read_input("gs://whatever/x")


def test_the_project_that_pays_is_named_in_requests(asked: list[str], bucket: str, gcs_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paths: list[str] = []

    def meddle(_: str, path: str) -> tuple[int, bytes] | None:
        paths.append(path)
        refusal = {"error": {"code": 400, "message": "Bucket is a requester pays bucket but no user project provided."}}
        return None if "userProject=lab" in path else (400, json.dumps(refusal).encode())

    with proxied(gcs_url, meddle) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        router.forget()
        hb.LocalBackend().requester_pays_fs("lab").write(f"{bucket}/x", b"x")
        hb.LocalBackend().requester_pays_fs(("lab", [bucket[len("gs://") :]])).read(f"{bucket}/x")

        with pytest.raises(StorageError, match="say who pays for bucket .*gcs_requester_pays/project PROJECT"):
            hb.LocalBackend().requester_pays_fs(("lab", ["another"])).read(f"{bucket}/x")
    assert len(paths) >= 3

"""Batches of this machine whose inputs and outputs lie in object stores."""

from __future__ import annotations

from pathlib import Path

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.errors import JobFailedError, SubmitError
from hail_batch_jupyter.observe.running import RunningBatch
from hail_batch_jupyter.storage.access import Access
from hail_batch_jupyter.storage.copy import copy
from hail_batch_jupyter.storage.router import file_system
from hail_batch_jupyter.storage.versions import found
from tests.storage.emulators import proxied
from tests.storage.reused import check_reused, run, versions

pytestmark = pytest.mark.requires("fake-gcs-server")


def text(uri: str) -> str:
    return file_system(uri).read(uri).decode()


@pytest.mark.parametrize("parallelism", [None, 1])
def test_inputs_come_from_a_store_and_outputs_go_there(bucket: str, tmp_path: Path, parallelism: int | None) -> None:
    files = file_system(bucket)
    for name, data in {"in.txt": b"one", "folder/a": b"A", "folder/deep/b": b"B", "g.bed": b"bed", "g.bim": b"bim"}.items():
        files.write(f"{bucket}/{name}", data)
    b = hb.Batch(backend=hb.LocalBackend(str(tmp_path), parallelism=parallelism))
    single, folder = b.read_input(f"{bucket}/in.txt"), b.read_input(f"{bucket}/folder/")
    group = b.read_input_group(bed=f"{bucket}/g.bed", bim=f"{bucket}/g.bim")
    j = b.new_job(name="read")
    j.command(f"cat {single} {folder}/a {folder}/deep/b {group}.bed {group.bim} > {j.all}; mkdir {j.out}; cp {single} {j.out}/x; echo local > {j.here}")
    k = b.new_job(name="again")
    k.command(f"cat {j.all} {single} > {k.all}")
    b.write_output(j.all, f"{bucket}/out/all")
    b.write_output(j.out, f"{bucket}/out/folder")
    b.write_output(j.here, str(tmp_path / "here"))
    b.write_output(k.all, f"{bucket}/out/again")
    b.write_output(single, f"{bucket}/out/straight")
    b.write_output(single, str(tmp_path / "straight"))

    b.run()

    assert text(f"{bucket}/out/all") == "oneABbedbim"
    assert text(f"{bucket}/out/again") == "oneABbedbimone"
    assert text(f"{bucket}/out/folder/x") == text(f"{bucket}/out/straight") == (tmp_path / "straight").read_text() == "one"
    assert (tmp_path / "here").read_text() == "local\n"


def test_a_missing_input_is_refused_before_anything_starts(bucket: str, tmp_path: Path) -> None:
    b = hb.Batch(backend=hb.LocalBackend(str(tmp_path)))
    j = b.new_job(name="read")
    j.command(f"cat {b.read_input(f'{bucket}/none')}")

    with pytest.raises(SubmitError, match=rf"job 'read' reads '{bucket}/none', which does not exist"):
        b.run()


def test_an_output_that_cannot_be_written_fails_its_job_and_is_named(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_GCS_BUCKET_ALLOW_LIST", "no-such-bucket-here")
    b = hb.Batch(backend=hb.LocalBackend(str(tmp_path)))
    j = b.new_job(name="make")
    j.command(f"echo > {j.o}")
    b.write_output(j.o, "gs://no-such-bucket-here/x")

    with pytest.raises(JobFailedError, match="output copy failed: .*no-such-bucket-here/x' "):
        b.run()


def test_a_job_is_taken_over_until_its_input_in_the_store_changes(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    assert copy([(str(tmp_path / "x"), f"{bucket}/x")]).failed == []

    def run(previous: str | None) -> RunningBatch:
        b = hb.Batch(backend=hb.LocalBackend(str(tmp_path)))
        j = b.new_job(name="read")
        j.command(f"cat {b.read_input(f'{bucket}/x')} > {j.o}")
        b.write_output(j.o, f"{bucket}/o")
        spec = b.compile()._replace(previous_run=previous)
        running = b.backend.submit(spec, SubmitOptions(keep_files=True))
        running.wait()
        return running

    first = run(None)
    second = run(first.id)
    file_system(bucket).write(f"{bucket}/x", b"2")
    third = run(second.id)

    assert [running.snapshot().jobs[0].reused for running in (first, second, third)] == [False, True, False]
    assert text(f"{bucket}/o") == "2"


def test_outputs_of_reused_jobs_are_written_again_only_where_others_changed_them(bucket: str, tmp_path: Path) -> None:
    check_reused(f"{bucket}/results", tmp_path)


def test_outputs_are_written_again_when_the_store_does_not_say_what_it_has(bucket: str, gcs_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(f"{bucket}/results", tmp_path, None)
    before = versions(f"{bucket}/results")

    with proxied(gcs_url, lambda method, path: (403, b"") if method == "GET" and "/o" in path else None) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        run(f"{bucket}/results", tmp_path, first)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_url)

    after = versions(f"{bucket}/results")
    assert after.keys() == before.keys() and not set(after.values()) & set(before.values())


@pytest.mark.parametrize("others", [1, 100])
def test_what_is_found_of_many_is_what_is_found_of_each(bucket: str, others: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hail_batch_jupyter.storage.versions._OTHERS", others)
    for name in [*(f"d/{number}" for number in range(9)), *(f"d/other-{number}" for number in range(15)), "d/folder/a", "d/folder/b/c", "top"]:
        file_system(bucket).write(f"{bucket}/{name}", b"1")
    uris = [f"{bucket}/{name}" for name in [*(f"d/{number}" for number in range(11)), "d/folder", "top", "none"]]

    told = found(uris, Access())

    assert told == [found([uri], Access())[0] for uri in uris]
    assert [sorted(each) for each in told] == [[""]] * 9 + [[], [], ["a", "b/c"], [""], []]

from __future__ import annotations

import base64
import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.errors import MissingFileError, StorageError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.storage import router
from hail_batch_jupyter.storage.azure import ENDPOINT, place_of
from hail_batch_jupyter.storage.copy import copy
from hail_batch_jupyter.storage.router import file_system
from tests.conftest import wait_until
from tests.service.plain_engine import post, shared_server, token_of
from tests.service.servers import job
from tests.storage.emulators import ACCOUNT, azure_emulator, make_container
from tests.storage.reused import check_reused

azurite = pytest.mark.requires("azurite")
KEY = base64.b64encode(b"a key of the tests").decode()


@pytest.fixture(scope="session")
def azure_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with azure_emulator(tmp_path_factory.mktemp("azure"), KEY) as url:
        yield url


@pytest.fixture
def container(azure_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """The address of an empty container, and a token that is all that gives access to it."""
    monkeypatch.setenv(ENDPOINT, azure_url + "/{account}")
    router.forget()
    name = f"c-{os.urandom(4).hex()}"
    token = make_container(azure_url, KEY, name)
    yield f"https://{ACCOUNT}.blob.core.windows.net/{name}", token
    router.forget()


@azurite
def test_bytes_are_written_read_listed_and_removed(container: tuple[str, str]) -> None:
    address, token = container
    uri = f"{address}/a/b c.txt?{token}"
    files = file_system(uri)

    files.write(uri, b"one")
    files.write(uri, b"two")

    assert (files.read(uri), files.exists(uri), files.exists(f"{address}/b?{token}")) == (b"two", True, False)
    assert [(found.name, found.size_bytes) for found in files.files(f"{address}?{token}")] == [("a/b c.txt", 3)]
    files.remove(f"{address}/a?{token}")
    files.remove(f"{address}/a?{token}")
    assert not files.exists(uri)


@azurite
def test_folders_and_large_files_go_up_and_come_down(container: tuple[str, str], tmp_path: Path) -> None:
    address, token = container
    data = random.Random(1).randbytes(20 << 20)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "large").write_bytes(data)
    (tmp_path / "in" / "deep" / "x").write_text("x")

    up = copy([(str(tmp_path / "in"), f"{address}/d?{token}")])
    within = copy([(f"{address}/d/deep?{token}", f"{address}/e?{token}")])
    down = copy([(f"{address}/d?{token}", str(tmp_path / "out"))])

    assert (up.failed, within.failed, down.failed) == ([], [], [])
    assert hashlib.sha256((tmp_path / "out" / "large").read_bytes()).digest() == hashlib.sha256(data).digest()
    assert file_system(address).read(f"{address}/e/x?{token}") == b"x"


@azurite
def test_tokens_are_in_no_error_and_no_summary(container: tuple[str, str], tmp_path: Path) -> None:
    address, token = container
    wrong = token.replace("sig=", "sig=A")

    with pytest.raises(StorageError, match="give an address with a token") as refused:
        file_system(address).read(f"{address}/x?{wrong}")
    with pytest.raises(MissingFileError) as missing:
        file_system(address).read(f"{address}/x?{token}")
    summary = copy([(f"{address}/x?{token}", str(tmp_path / "x"))])

    told = [str(refused.value), refused.value.uri, str(missing.value), missing.value.uri, summary.text()]
    assert not any("sig=" in text for text in told) and refused.value.__cause__ is None
    assert os.listdir(tmp_path) == []


@azurite
def test_a_batch_reads_and_writes_blobs_and_logs_no_token(container: tuple[str, str], tmp_path: Path) -> None:
    address, token = container
    file_system(address).write(f"{address}/in.txt?{token}", b"one")
    b = hb.Batch(backend=hb.LocalBackend(str(tmp_path)))
    j = b.new_job(name="read")
    j.command(f"cat {b.read_input(f'{address}/in.txt?{token}')} > {j.o}; echo {b.read_input(f'{address}/in.txt?{token}')}")
    b.write_output(j.o, f"{address}/out?{token}")

    running = b.run()

    assert file_system(address).read(f"{address}/out?{token}") == b"one"
    assert running is not None and "in.txt" in running.get_job_log(1)["main"] and "sig=" not in running.get_job_log(1)["main"]


@azurite
def test_outputs_of_reused_jobs_are_written_again_only_where_others_changed_them(container: tuple[str, str], tmp_path: Path) -> None:
    address, token = container

    check_reused(f"{address}/results?{token}", tmp_path)

    assert not any("sig=" in path.read_text() for path in rundir.runs_folder().glob("*/written.jsonl"))
    assert list(rundir.runs_folder().glob("*/written.jsonl"))


def test_addresses_are_taken_apart() -> None:
    assert place_of("https://acc.blob.core.windows.net/c/a%20b/x/?sv=1&sig=2") == ("acc", "c", "a b/x", "sv=1&sig=2")
    with pytest.raises(StorageError, match=r"'https://acc.blob.core.windows.net/' names no container"):
        place_of("https://acc.blob.core.windows.net/?sig=secret")


@azurite
def test_any_user_of_a_service_reaches_blobs_with_a_token_in_the_address_and_none_with_those_of_the_service(
    container: tuple[str, str], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, token = container
    monkeypatch.setenv("AZURE_STORAGE_KEY", KEY)  # what the owner's jobs may use
    file_system(address).write(f"{address}/in?{token}", b"one")
    with closing(shared_server(runs, monkeypatch, "ann")) as server:
        files = {"input_files": [{"from": f"{address}/in?{token}", "to": "/io/in"}], "output_files": [{"from": "/io/out", "to": f"{address}/out?{token}"}]}
        number = post(server, "ann", job(1, "cat /io/in > /io/out", **files)).json["id"]
        bare = [post(server, "ann", job(1, "", input_files=[{"from": f"{address}/in{end}", "to": "/io/in"}])) for end in ("", "?")]
        wait_until(lambda: server.ask("GET", f"/batches/{number}", token=token_of(server, "ann")).json["complete"])

        assert file_system(address).read(f"{address}/out?{token}") == b"one"
        assert [(reply.status, "with a token (SAS)" in reply.reason) for reply in bare] == [(400, True)] * 2

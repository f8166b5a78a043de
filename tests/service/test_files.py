"""The storage that a service brings: requests, and batches of our client that need no other."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.backends.service.backend import ServiceBackend
from hail_batch_jupyter.client.session import Service
from hail_batch_jupyter.errors import CapabilityError, MissingFileError, ServiceError, StorageError
from hail_batch_jupyter.service.api.refusal import Refusal
from hail_batch_jupyter.service.shelf import Part, Shelf
from hail_batch_jupyter.storage.files import Files
from hail_batch_jupyter.storage.of_service import PART_BYTES
from hail_batch_jupyter.storage.router import forget
from tests.engine.jobs import LONG_S
from tests.service.servers import Reply, Server, job


@pytest.fixture(autouse=True)
def home(server: Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Where the user's files are, at a service whose connections end with the test."""
    monkeypatch.delenv("HAIL_BATCH_REMOTE_TMPDIR")
    forget()
    yield server.get("/files")["remote_tmpdir"].removesuffix("/tmp")
    forget()


def put(server: Server, path: str, data: bytes, **part: Any) -> Reply:
    words = "".join(f"&{key}={value}" for key, value in part.items())
    return server.ask("PUT", f"/files/content?path={quote(path)}{words}", data=data)


def test_a_backend_that_is_told_no_folder_uses_the_storage_of_its_service(server: Server, tmp_path: Path, home: str) -> None:
    (tmp_path / "in.txt").write_text("a b\nc\n")
    b = hb.Batch(backend=ServiceBackend())
    count = b.new_job("count")
    count.command(f"wc -w < {b.read_input(str(tmp_path / 'in.txt'))} > {count.n}")
    total = b.new_python_job("add").call(lambda path, more: int(Path(path).read_text()) + more, count.n, 39)
    b.write_output(total.as_str(), f"{home}/results/total.txt")
    b.write_output(b.read_input(str(tmp_path / "in.txt")), f"{home}/results/in.txt")

    run = b.run(wait=False)
    status = run.wait(LONG_S)

    assert (status["state"], status["n_succeeded"]) == ("success", 4), run.error()
    files = Files()
    assert files.read(f"{home}/results/total.txt").strip() == b"42"
    assert files.read(f"{home}/results/in.txt") == b"a b\nc\n"
    assert not files.exists(f"{home}/tmp/{run.scratches[0].rsplit('/', 1)[-1]}")
    files.remove(f"{home}/results")


def test_an_output_on_the_users_machine_is_refused_with_a_place_that_is_reached(home: str, tmp_path: Path) -> None:
    b = hb.Batch(backend=ServiceBackend())
    j = b.new_job("j")
    j.command(f"echo > {j.o}")
    b.write_output(j.o, str(tmp_path / "out"))

    with pytest.raises(CapabilityError, match=f"name a place such as {home}/results/file, and copy it from there"):
        b.run()


def test_large_files_go_there_and_back_whole_and_folders_with_all_that_is_in_them(server: Server, tmp_path: Path, home: str) -> None:
    data = os.urandom(2 * PART_BYTES + 17)
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "large").write_bytes(data)
    (tmp_path / "folder" / "deep" / "empty").write_bytes(b"")
    files = Files()

    done = server.command("copy", str(tmp_path / "folder"), f"{home}/there")
    files.copy([(f"{home}/there", f"{home}/again"), (f"{home}/there", str(tmp_path / "back"))])

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back" / "large").read_bytes() == data == files.read(f"{home}/again/large")
    assert (tmp_path / "back" / "deep" / "empty").read_bytes() == b""
    assert sorted(found.name for found in files.files(f"{home}/again")) == ["deep/empty", "large"]
    part = server.ask("GET", f"/files/content?path={quote(home)}/there/large", range="bytes=5-9")
    assert (part.status, part.headers["Content-Range"], part.headers["Content-Length"]) == (206, f"bytes 5-9/{len(data)}", "5")
    for name in ("there", "again"):
        files.remove(f"{home}/{name}")
    with pytest.raises(MissingFileError, match="does not exist at the batch service"):
        files.read(f"{home}/there/large")


def test_a_file_appears_when_its_last_part_is_there_and_its_checksum_fits(server: Server, home: str) -> None:
    path, data = f"{home}/parts", b"0123456789"
    whole = {"upload": "u1", "size": 10}

    assert put(server, path, data[:6], offset=0, **whole).status == 200
    assert server.ask("GET", f"/files/content?path={quote(path)}").status == 404
    assert "send the parts in their order" in put(server, path, data[8:], offset=8, sha256="x", **whole).text
    assert "the checksum differs" in put(server, path, data[6:], offset=6, sha256="x", **whole).text
    assert "has 0 bytes" in put(server, path, data[6:], offset=6, sha256="x", **whole).text
    fits = {**whole, "sha256": hashlib.sha256(data).hexdigest()}
    for _ in range(2):
        assert put(server, path, data[:6], offset=0, **whole).status == 200
    assert [put(server, path, data[6:], offset=6, **fits).status for _ in range(2)] == [200, 200]
    assert server.ask("GET", f"/files/content?path={quote(path)}").text == "0123456789"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("HOME/../x", 400, "without '..'"),
        ("HOME//x", 400, "empty parts"),
        ("HOME/a%00b", 400, "is no good path"),
        ("hbj://somebody/x", 403, "is not yours"),
        ("", 403, "is not yours"),
        ("HOME", 400, "is a folder"),
        ("HOME/" + "x" * 300, 400, "File name too long"),
    ],
)
def test_a_place_that_is_not_the_users_is_refused(server: Server, home: str, path: str, status: int, words: str) -> None:
    reply = server.ask("PUT", f"/files/content?path={path.replace('HOME', home)}", data=b"x")

    assert (reply.status, words in reply.text) == (status, True), reply


def test_jobs_reach_only_the_files_of_who_posts_them(server: Server, home: str) -> None:
    for fields, words in [
        ({"input_files": [{"from": "hbj://somebody/x", "to": "/io/x"}]}, "is not yours"),
        ({"output_files": [{"from": "/io/x", "to": f"{home}/../x"}]}, "without '..'"),
        ({"process": {"type": "docker", "image": "i", "command": ["hbj-remove", home]}}, "is all that you have"),
        ({"process": {"type": "docker", "image": "i", "command": ["hbj-remove", "/etc"]}}, "name one folder"),
    ]:
        body = {"bunch": [{**job(1, "true"), **fields}], "batch": {"billing_project": "local", "token": os.urandom(4).hex(), "n_jobs": 1}}
        reply = server.ask("POST", "/batches/create-fast", body)
        assert (reply.status // 100, words in reply.text) == (4, True), reply


def test_a_quota_refuses_what_is_over_it(runs: Path) -> None:
    server = Server(runs / "data", words=("--quota", "1000")).start()
    try:
        home = server.get("/files")["remote_tmpdir"].removesuffix("/tmp")
        assert put(server, f"{home}/a", b"x" * 900).status == 200
        assert "over your quota: you keep 900 of 1000" in put(server, f"{home}/b", b"x" * 101).text
        assert put(server, f"{home}/b", b"x" * 100).status == 200
        full = {"bunch": [{**job(1, "true"), "output_files": [{"from": "/io/x", "to": f"{home}/x"}]}]}
        reply = server.ask("POST", "/batches/create-fast", {**full, "batch": {"billing_project": "local", "token": "t", "n_jobs": 1}})
        assert (reply.status, "remove files that you do not need" in reply.text) == (413, True)
        assert server.ask("DELETE", f"/files/content?path={home}/a").status == 200
        assert server.get("/files") == {"remote_tmpdir": f"{home}/tmp", "used_bytes": 100, "quota_bytes": 1000}
    finally:
        server.close()


def test_many_uploads_at_once_get_no_more_than_the_quota_and_those_that_were_begun_count(runs: Path) -> None:
    server = Server(runs / "data", words=("--quota", "1000")).start()
    try:
        home = server.get("/files")["remote_tmpdir"].removesuffix("/tmp")

        with ThreadPoolExecutor(8) as pool:
            whole = [reply.status for reply in pool.map(lambda n: put(server, f"{home}/w{n}", b"x" * 150), range(8))]
        used = server.get("/files")["used_bytes"]
        begun = [put(server, f"{home}/b{n}", b"y", upload=f"u{n}", offset=0, size=40).status for n in range(4)]
        server.kill()
        server.start()
        after = [put(server, f"{home}/c", b"z" * size).status for size in (100, 97)]

        assert (sorted(whole), used, begun, after) == ([200] * 6 + [413] * 2, 900, [200, 200, 413, 413], [413, 200])
        assert server.ask("PUT", f"/files/content?path={home}/w{whole.index(200)}", data=b"x").status == 200  # in place of 150 bytes
        assert server.get("/files")["used_bytes"] == 997 - 149
    finally:
        server.close()


def test_uploads_of_which_nothing_came_for_an_hour_give_their_room_to_others(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "ann", 1000)
    shelf.write_part("bob", "bob/a", b"x", Part("u", 0, 900, ""))
    with pytest.raises(Refusal, match="over your quota: you keep 0 of 1000, with others on their way"):
        shelf.write("bob", "bob/b", b"x" * 101)
    hours_ago_s = time.time() - 3700

    os.utime(tmp_path / "uploads" / "bob" / "u", (hours_ago_s, hours_ago_s))
    shelf.write("bob", "bob/b", b"x" * 101)

    assert (shelf.used_bytes("bob"), list((tmp_path / "uploads").glob("*/*"))) == (101, [])


def test_a_service_that_cannot_be_asked_is_told_with_the_address(server: Server, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    other = ServiceBackend(token="of-nobody", remote_tmpdir=f"{home}/tmp", regions=["local"])

    with pytest.raises(StorageError, match="Not authenticated"):
        other._fs.read(f"{home}/x")
    with pytest.raises(ServiceError):
        Service(other.service.transport).storage()

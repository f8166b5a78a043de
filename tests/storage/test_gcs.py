from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from hail_batch_jupyter.errors import MissingFileError, StorageError
from hail_batch_jupyter.storage import router
from hail_batch_jupyter.storage.copy import copy
from hail_batch_jupyter.storage.gcs_parts import PARTS_FROM_BYTES
from hail_batch_jupyter.storage.router import file_system

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


@contextmanager
def unreliable(url: str, n_failures: int) -> Iterator[str]:
    """A proxy before the server that answers the first requests with 503."""
    failures = iter(range(n_failures))

    class Proxy(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if next(failures, None) is not None:
                self.send_error(503)
                return
            kept = {name: value for name, value in self.headers.items() if name.lower() not in ("content-length", "accept-encoding")}
            answer = requests.request(self.command, url + self.path, data=body, headers=kept, timeout=10)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in ("transfer-encoding", "content-length", "content-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815 - names that the library calls

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_what_fails_through_nobodys_fault_is_tried_again(bucket: str, gcs_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_text("x")
    with unreliable(gcs_url, 3) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        router.forget()

        summary = copy([(str(tmp_path / "x"), f"{bucket}/x")])
        router.forget()

    assert (summary.failed, summary.n_files) == ([], 1)


def test_the_command_line_copies_and_tells_what_failed(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "hail_batch_jupyter", "copy", *words], capture_output=True, text=True, check=False, cwd=tmp_path)

    up, down, none = command("x", f"{bucket}/d/"), command(f"{bucket}/d/x", "y", "--quiet"), command(f"{bucket}/none", "z")

    assert (up.returncode, up.stderr) == (0, "") and up.stdout.startswith("copied 1 file, 1 B in ")
    assert (down.returncode, down.stdout, (tmp_path / "y").read_text()) == (0, "", "x")
    assert none.returncode == 1 and "1 not copied:" in none.stderr and "does not exist" in none.stderr

"""Service accounts of users: a store that lets in by the key alone, and jobs of several users of one service that ask it."""

from __future__ import annotations

import base64
import json
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

import pytest
import requests

from tests.conftest import wait_until
from tests.service.plain_engine import post, shared_server, token_of, user
from tests.service.servers import Server, job
from tests.storage.emulators import key_of, make_bucket

pytestmark = pytest.mark.requires("fake-gcs-server")


class Google(NamedTuple):
    """Tokens for keys, and a store of which each bucket lets in one account.

    url     of both            doors    bucket -> the account that is let in, None for anybody
    asked   (account, bucket) of every request to the store; '' is nobody
    """

    url: str
    doors: dict[str, str | None]
    asked: set[tuple[str, str]]


@contextmanager
def google(store: str) -> Iterator[Google]:
    doors: dict[str, str | None] = {}
    asked: set[tuple[str, str]] = set()

    class Door(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/token":
                (assertion,) = parse_qs(body.decode())["assertion"]
                claims = json.loads(base64.urlsafe_b64decode(assertion.split(".")[1] + "=="))
                self.say(200, json.dumps({"access_token": f"of:{claims['iss']}", "expires_in": 3600, "token_type": "Bearer"}).encode())
                return
            who = (self.headers.get("Authorization") or "").removeprefix("Bearer of:")
            bucket = next((name for name in doors if f"/b/{name}" in unquote(self.path)), "")
            asked.add((who, bucket))
            if doors.get(bucket) not in (None, who):
                self.say(403, b'{"error": {"code": 403, "message": "not of this account"}}')
                return
            kept = {name: value for name, value in self.headers.items() if name.lower() not in ("content-length", "accept-encoding")}
            theirs = requests.request(self.command, store + self.path, data=body, headers=kept, timeout=90)
            self.say(theirs.status_code, theirs.content, {name: value for name, value in theirs.headers.items() if name.lower().startswith("x-goog")})

        do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - names that the library calls

        def say(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {}), "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield Google(f"http://127.0.0.1:{server.server_port}", doors, asked)
        finally:
            server.shutdown()


OWN_KEY = """echo; grep -so '[a-z]*@lab[a-z.]*' "$KEY_MOUNT" || echo no key"""
"""Whose key the container has."""


@pytest.fixture
def door(gcs_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """A store with a bucket of ann, one of ben and one that is open to all; services that start now use it."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_url)
    with google(gcs_url) as found:
        for name in ("ann", "ben", ""):
            bucket = make_bucket(f"of-{name or 'all'}-{os.urandom(3).hex()}").removeprefix("gs://")
            found.doors[bucket] = f"{name}@lab.iam.gserviceaccount.com" if name else None
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", found.url)
        yield found


@pytest.fixture
def server(door: Google, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A service with the users ann, who has an account, ben, who has one too, and carl without any."""
    found = shared_server(runs, monkeypatch, "ann", "ben", "carl")
    yield found
    found.close()


def states(server: Server, name: str, number: int) -> list[tuple[str, str]]:
    """(state, logs of input and output) of each job at the end of a batch."""
    token = token_of(server, name)
    wait_until(lambda: server.ask("GET", f"/batches/{number}", token=token).json["complete"])
    place = f"/batches/{number}/jobs"

    def log(job_id: int) -> str:
        return "".join(server.ask("GET", f"{place}/{job_id}/log/{part}", token=token).text for part in ("input", "output"))

    return [(each["state"], log(each["job_id"])) for each in server.ask("GET", place, token=token).json["jobs"]]


def copying(job_id: int, bucket: str, name: str, script: str = "cat /io/in > /io/out", **more: Any) -> dict[str, Any]:
    files = {"input_files": [{"from": f"gs://{bucket}/in", "to": "/io/in"}], "output_files": [{"from": "/io/out", "to": f"gs://{bucket}/{name}"}]}
    return job(job_id, script, **files, **more)


def test_files_of_a_store_are_copied_with_the_account_of_each_user_and_with_no_other(server: Server, door: Google, gcs_url: str, tmp_path: Path) -> None:
    ann, ben, everybody = door.doors
    for bucket in door.doors:
        requests.post(f"{gcs_url}/upload/storage/v1/b/{bucket}/o?uploadType=media&name=in", data=b"words of " + bucket.encode(), timeout=90).raise_for_status()
    keys = {name: key_of(name, door.url) for name in ("ann", "ben")}
    (tmp_path / "ann.json").write_text(json.dumps(keys["ann"]))
    assert (
        user(server, "account", "ann", str(tmp_path / "ann.json")).stdout == "files of object stores are copied for 'ann' by ann@lab.iam.gserviceaccount.com\n"
    )
    assert server.ask("POST", "/users/ben/account", {"key": keys["ben"]}).json == {"user": "ben", "hail_identity": "ben@lab.iam.gserviceaccount.com"}

    refused = post(server, "carl", copying(1, everybody, "out"))
    assert (refused.status, "takes a service account that you do not have here" in refused.reason) == (400, True), refused
    look = f"cat /io/in > /io/out; env; cat /proc/self/cmdline; {OWN_KEY}"
    clear = {"type": "docker", "image": "hailgenetics/hail", "command": ["python3", "-m", "hailtop.aiotools.delete", f"gs://{ann}/in"]}
    of_ann = post(server, "ann", copying(1, ann, "out", look), copying(2, ben, "stolen"), job(3, "", [1, 2], process=clear, always_run=True)).json["id"]
    of_ben = post(server, "ben", copying(1, ben, "out", look), copying(2, everybody, "of-ben")).json["id"]

    found, others = states(server, "ann", of_ann), states(server, "ben", of_ben)
    assert [state for state, _ in (*found, *others)] == ["Success", "Failed", "Success", "Success", "Success"], (found, others)
    assert "cannot be read" in found[1][1], found
    left = [requests.get(f"{gcs_url}/storage/v1/b/{bucket}/o", timeout=90).json().get("items", []) for bucket in (ann, ben, everybody)]
    assert [[item["name"] for item in items] for items in left] == [["out"], ["in", "out"], ["in", "of-ben"]]
    assert {who for who, bucket in door.asked if bucket == everybody} == {"ben@lab.iam.gserviceaccount.com"}
    assert {who for who, bucket in door.asked if bucket == ben} == {f"{name}@lab.iam.gserviceaccount.com" for name in ("ann", "ben")}  # ann was turned away

    log = server.ask("GET", f"/batches/{of_ann}/jobs/1/log/main", token=token_of(server, "ann")).text
    assert log.splitlines()[-1] == "ann@lab.iam.gserviceaccount.com"
    _keys_are_nowhere_else(server, keys, [log])


def test_the_key_of_the_service_is_in_containers_of_its_owner_only(door: Google, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runs / "key.json").write_text(json.dumps(key_of("service", door.url)))
    monkeypatch.setenv("HAIL_BATCH_GSA_KEY_FILE", str(runs / "key.json"))
    with closing(shared_server(runs, monkeypatch, "carl")) as server:
        of_carl, own = post(server, "carl", job(1, OWN_KEY)).json["id"], server.post(job(1, OWN_KEY))
        server.ended(own)

        assert [state for state, _ in states(server, "carl", of_carl)] == ["Success"]
        assert server.ask("GET", f"/batches/{of_carl}/jobs/1/log/main", token=token_of(server, "carl")).text.split() == ["no", "key"]
        assert server.log(own, 1).split() == ["service@lab.iam.gserviceaccount.com"]


def _keys_are_nowhere_else(server: Server, keys: dict[str, dict[str, str]], told: list[str]) -> None:
    """Neither in any other file of the service, nor in what is answered."""
    secrets = [line.encode() for key in keys.values() for line in key["private_key"].splitlines()[1:-1]]
    kept = server.data / "accounts"
    for path in [path for path in server.data.rglob("*") if path.is_file() and kept not in path.parents]:
        content = path.read_bytes()
        assert not any(secret in content for secret in secrets), path
    for name in keys:
        file = kept / name / "google.json"
        assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode), stat.S_IMODE(kept.stat().st_mode)) == (0o600, 0o700, 0o700)
    told += [server.ask("GET", path).text for path in ("/openapi.json", "/users/ann/account", "/userinfo")]
    assert not any(secret.decode() in text for secret in secrets for text in told)


def test_who_may_give_and_take_accounts(server: Server, door: Google, tmp_path: Path) -> None:
    ann, ben, key = token_of(server, "ann"), token_of(server, "ben"), key_of("x", door.url)
    of_google = {**key, "token_uri": "https://oauth2.googleapis.com/token"}

    assert {server.ask(method, "/users/ann/account", {"key": key}, ben).status for method in ("GET", "POST", "DELETE")} == {401}
    assert "another place than Google" in server.ask("POST", "/users/ann/account", {"key": key}, ann).reason
    assert server.ask("POST", "/users/nobody/account", {"key": key}).status == 404
    for wrong in ({}, {**key, "private_key": "none"}, {**key, "type": "authorized_user"}, {**key, "client_email": 1}):
        reply = server.ask("POST", "/users/ann/account", {"key": wrong})
        assert (reply.status, "service account" in reply.reason, key["private_key"][40:60] in reply.text) == (400, True, False), reply
    assert server.ask("POST", "/users/ann/account", {"key": of_google}, ann).status == 200
    assert server.ask("GET", "/userinfo", token=ann).json["hail_identity"] == key["client_email"]
    assert server.ask("GET", "/userinfo", token=ben).json["hail_identity"] is None
    assert post(server, "ann", job(1, "", output_files=[{"from": "/io/x", "to": "https://lab.blob.core.windows.net/c/x"}])).status == 400
    assert post(server, "ann", job(1, "", output_files=[{"from": "/io/x", "to": "https://a@evil.org#.blob.core.windows.net/c/x?sig=1"}])).status == 400

    assert user(server, "account", "ann").stdout == f"files of object stores are copied for 'ann' by {key['client_email']}\n"
    assert user(server, "account", "ann", "--remove").stdout == "the service account of 'ann' is forgotten\n"
    assert server.ask("DELETE", "/users/ann/account", token=ann).json == {"user": "ann", "hail_identity": None}
    assert "cannot be read as JSON" in user(server, "account", "ann", str(tmp_path / "none.json")).stderr
    assert "there is no user 'nobody'" in user(server, "account", "nobody").stderr
    assert server.ask("POST", "/users/ann/account", {"key": key}).status == 200
    assert user(server, "remove", "ann").returncode == 0
    assert not (server.data / "accounts" / "ann").exists()

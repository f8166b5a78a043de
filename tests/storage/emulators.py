"""Object stores on loopback, each a process of its own with a port of its own."""

from __future__ import annotations

import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

from tests.conftest import free_port
from tests.requirements import requires

START_LIMIT_S = 90


@contextmanager
def gcs_emulator(folder: Path) -> Iterator[str]:
    """The URL of a server that speaks Google Cloud Storage's protocol; what it keeps is below `folder`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    (folder / "data").mkdir(parents=True)
    argv = [requires("fake-gcs-server"), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-external-url", url, "-public-host", f"127.0.0.1:{port}",
            "-backend", "filesystem", "-filesystem-root", str(folder / "data"), "-log-level", "error"]  # fmt: skip
    with _running(argv, folder, f"{url}/_internal/healthcheck"):
        yield url


ACCOUNT = "testaccount"


@contextmanager
def azure_emulator(folder: Path, key: str) -> Iterator[str]:
    """The URL of a server that speaks Azure's blob storage protocol, with one account whose key this is."""
    port = free_port()
    (folder / "data").mkdir(parents=True)
    argv = [requires("azurite"), "--silent", "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder / "data"), "--skipApiVersionCheck",
            "--disableTelemetry"]  # fmt: skip
    with _running(argv, folder, f"http://127.0.0.1:{port}/", {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"}):
        yield f"http://127.0.0.1:{port}"


def make_container(url: str, key: str, name: str) -> str:
    """Make a container; gives a token that allows everything in it for an hour."""
    from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

    ContainerClient(f"{url}/{ACCOUNT}", name, credential={"account_name": ACCOUNT, "account_key": key}).create_container()
    until = datetime.now(UTC) + timedelta(hours=1)
    allowed = ContainerSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True)
    return generate_container_sas(ACCOUNT, name, account_key=key, permission=allowed, expiry=until)


@contextmanager
def _running(argv: list[str], folder: Path, url: str, env: dict[str, str] | None = None) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder, env={**os.environ, **(env or {})})
        try:
            _await(process, url, folder)
            yield
        finally:
            process.terminate()
            process.wait()


def _await(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while not _answers(url):
        assert process.poll() is None and time.monotonic() < limit, (folder / "log").read_text()
        time.sleep(0.02)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def make_bucket(name: str) -> str:
    """gs://NAME of a new bucket on the server that STORAGE_EMULATOR_HOST names."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client("test", AnonymousCredentials())
    client.create_bucket(name)
    client.close()
    return f"gs://{name}"


def key_of(name: str, url: str) -> dict[str, str]:
    """A key as Google makes them, that is shown to the server at `url`."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private = rsa.generate_private_key(65537, 2048).private_bytes(*form).decode()
    email = f"{name}@lab.iam.gserviceaccount.com"
    return {"type": "service_account", "project_id": "lab", "private_key_id": "1", "private_key": private, "client_email": email, "token_uri": f"{url}/token"}


Answer = tuple[int, bytes]


@contextmanager
def proxied(url: str, meddle: Callable[[str, str], Answer | None], change: Callable[[bytes], bytes] = lambda content: content) -> Iterator[str]:
    """A proxy before the server that gives the answer of `meddle(method, path)` where there is one: (status, body); others come through `change`."""

    class Proxy(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kept = {name: value for name, value in self.headers.items() if name.lower() not in ("content-length", "accept-encoding")}
            status, content, headers = self.answer(body, kept)
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("transfer-encoding", "content-length", "content-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def answer(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
            own = meddle(self.command, self.path)
            if own is not None:
                return own[0], own[1], {"Content-Type": "application/json"}
            theirs = requests.request(self.command, url + self.path, data=body, headers=headers, timeout=90)
            return theirs.status_code, change(theirs.content), dict(theirs.headers)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - names that the library calls

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()

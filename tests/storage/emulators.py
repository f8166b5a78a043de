"""Object stores on loopback, each a process of its own with a port of its own."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import free_port
from tests.requirements import requires

START_LIMIT_S = 30


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


@contextmanager
def azure_emulator(folder: Path) -> Iterator[str]:
    """The URL of a server that speaks Azure's blob storage protocol, with the account of every such emulator."""
    port = free_port()
    (folder / "data").mkdir(parents=True)
    argv = [requires("azurite"), "--silent", "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder / "data"), "--skipApiVersionCheck",
            "--disableTelemetry"]  # fmt: skip
    with _running(argv, folder, f"http://127.0.0.1:{port}/"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(argv: list[str], folder: Path, url: str) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder)
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
        with urllib.request.urlopen(url, timeout=1):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def make_bucket(name: str, storage_class: str = "STANDARD") -> str:
    """gs://NAME of a new bucket on the server that STORAGE_EMULATOR_HOST names."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client("test", AnonymousCredentials())
    bucket = client.bucket(name)
    bucket.storage_class = storage_class
    client.create_bucket(bucket)
    client.close()
    return f"gs://{name}"

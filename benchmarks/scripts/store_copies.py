"""Time a large file and many small ones on their way to an object store and back.

Arguments: RESULT HOW FILES LARGE_MB DELAY_MS SERVER; HOW is 'ours', 'sequential' for the store's own client, one file after the other, or
'hailtop'. The store is a process of this machine, SERVER its program; with a DELAY_MS above 0 it is that far away, there and back.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SMALL_BYTES = 1000
START_LIMIT_S = 30
Copy = Callable[[str, str], None]


@contextmanager
def store(folder: Path, server: str, delay_ms: float) -> Iterator[None]:
    """A server that speaks Google Cloud Storage's protocol, with a bucket 'bench'; $STORAGE_EMULATOR_HOST is its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    far = Path(__file__).with_name("far_store.py")
    network = subprocess.Popen([sys.executable, str(far), str(port), str(delay_ms)], stdout=subprocess.PIPE) if delay_ms else None
    seen = port if network is None or network.stdout is None else int(network.stdout.readline())
    url = f"http://127.0.0.1:{seen}"
    (folder / "data" / "bench").mkdir(parents=True)
    argv = [server, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-external-url", url, "-public-host", f"127.0.0.1:{seen}",
            "-backend", "filesystem", "-filesystem-root", str(folder / "data"), "-log-level", "error"]  # fmt: skip
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    os.environ["STORAGE_EMULATOR_HOST"] = url
    try:
        _await(f"http://127.0.0.1:{port}/_internal/healthcheck")
        yield
    finally:
        for started in filter(None, (network, process)):
            started.terminate()
            started.wait()


def _await(url: str) -> None:
    limit_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit_s:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise SystemExit(f"the object store did not answer within {START_LIMIT_S} s")


def ours() -> Copy:
    """This project's copy."""
    from hail_batch_jupyter.storage.copy import copy_all

    return lambda source, dest: copy_all([(source, dest)])


def sequential() -> Copy:
    """One file after the other by the store's own client."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client("bench", AnonymousCredentials())
    bucket = client.bucket("bench")

    def copy(source: str, dest: str) -> None:
        if dest.startswith("gs://"):
            name, files = dest.removeprefix("gs://bench/"), [Path(source)] if Path(source).is_file() else sorted(Path(source).iterdir())
            for file in files:
                bucket.blob(name if file == Path(source) else f"{name}/{file.name}").upload_from_filename(str(file))
            return
        name = source.removeprefix("gs://bench/")
        for blob in list(client.list_blobs("bench", prefix=name)):
            target = Path(dest + blob.name[len(name) :])
            target.parent.mkdir(parents=True, exist_ok=True)
            blob.download_to_filename(str(target))

    return copy


def hailtop() -> Copy:
    """hailtop's copier; its addresses are those of the real store, so its requests are sent on to this one."""
    from hailtop import httpx
    from hailtop.aiocloud.common.credentials import AnonymousCloudCredentials
    from hailtop.aiotools import Transfer
    from hailtop.aiotools.copy import copy as copier

    class Here(httpx.ClientSession):
        def request(self, method: str, url: str, **settings: object) -> object:
            return super().request(method, str(url).replace("https://storage.googleapis.com", os.environ["STORAGE_EMULATOR_HOST"]), **settings)

    async def copied(source: str, dest: str) -> None:
        session = Here(raise_for_status=True)
        try:
            access = {"credentials": AnonymousCloudCredentials(), "http_session": session}
            await copier(gcs_kwargs=access, transfers=[Transfer(source, dest, treat_dest_as=Transfer.DEST_IS_TARGET)])
        finally:
            await session.close()

    return lambda source, dest: asyncio.run(copied(source, dest))


def seconds(copy: Copy, source: str, dest: str) -> float:
    """How long one copy took."""
    started_s = time.perf_counter()
    copy(source, dest)
    return time.perf_counter() - started_s


def main(result: str, how: str, count: int, large_mb: int, delay_ms: float, server: str) -> None:
    """Copy up and down, then compare what came back."""
    folder = Path.cwd()
    (folder / "large").write_bytes(os.urandom(1_000_000) * large_mb)
    (folder / "small").mkdir()
    for number in range(count):
        (folder / "small" / f"{number}").write_bytes(os.urandom(SMALL_BYTES))
    with store(folder / "store", server, delay_ms):
        copy = {"ours": ours, "sequential": sequential, "hailtop": hailtop}[how]()
        copy(str(folder / "small" / "0"), "gs://bench/first")  # connects
        values = {
            "large_up_mb_per_s": large_mb / seconds(copy, str(folder / "large"), "gs://bench/large"),
            "large_down_mb_per_s": large_mb / seconds(copy, "gs://bench/large", str(folder / "back")),
            "small_up_files_per_s": count / seconds(copy, str(folder / "small"), "gs://bench/small"),
            "small_down_files_per_s": count / seconds(copy, "gs://bench/small", str(folder / "smalls")),
        }
    if (folder / "back").read_bytes() != (folder / "large").read_bytes():
        raise SystemExit("the large file came back changed")
    for file in (folder / "small").iterdir():
        if (folder / "smalls" / file.name).read_bytes() != file.read_bytes():
            raise SystemExit(f"{file.name} came back changed")
    Path(result).write_text(json.dumps(values))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]), sys.argv[6])

"""The batch service of this user on this machine: where its data is, whether it runs, and how it is started and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hail_batch_jupyter.errors import ConfigError, StorageError
from hail_batch_jupyter.observe import rundir

PROJECT = "local"
"""The billing project that a service begins with."""
_BASE = "/hail"
BASE_PATH = f"{_BASE}/batch"
"""What clients put before all paths of a service that they reach by https."""
_FILE = "address.json"
_SAID = "started.out"
_PATIENCE_S = 60.0
_LOOK_S = 0.05
_ASK_S = 5.0
_children: dict[int, subprocess.Popen[bytes]] = {}
"""Services that this process started: they are asked how they ended."""


class Address(NamedTuple):
    """A service that runs, or ran.

    place   host and port        scheme  http or https        user  whose token lies beside
    apart   whether users are kept apart, so that several may have jobs
    cert    file of the certificate that it shows, '' for none
    logins  how the jobs of others get their own accounts, '' where they do not
    """

    place: str
    scheme: str
    user: str
    pid: int
    apart: bool
    cert: str = ""
    logins: str = ""

    @property
    def url(self) -> str:
        """Where browsers find it."""
        return f"{self.scheme}://{self.place}"


def default_data() -> Path:
    """Beside the run directories of this user."""
    return rundir.runs_folder().parent / "service"


def note(data: Path, address: Address) -> None:
    """Write down where the service of a data folder answers now."""
    rundir.write_private(data / _FILE, json.dumps(address._asdict()) + "\n")


def forget(data: Path) -> None:
    """Write down that it answers nowhere."""
    (data / _FILE).unlink(missing_ok=True)


def find(data: Path) -> Address | None:
    """The service of a data folder if it answers now, None otherwise; it proves itself by knowing the token that lies there."""
    try:
        address = Address(**json.loads((data / _FILE).read_text()))
        token = (data / "token").read_text().strip()
    except (OSError, ValueError, TypeError):
        return None
    import requests

    try:
        reply = requests.get(f"{address.url}/api/v1alpha/userinfo", headers={"Authorization": f"Bearer {token}"}, timeout=_ASK_S, verify=address.cert or True)
        return address if reply.status_code == 200 and reply.json()["username"] == address.user else None
    except (OSError, ValueError, KeyError):  # those of requests are OSErrors
        return None


def environment(data: Path, address: Address) -> dict[str, str]:
    """The variables that point our client at it, and Hail's with a `remote_tmpdir` of its own."""
    where = {"HAIL_LOCATION": "external", "HAIL_BASE_PATH": _BASE} if address.scheme == "https" else {"HAIL_TERRA": "1", "HAIL_LOCATION": "gce"}
    return {
        **where,
        "HAIL_DOMAIN": address.place,
        "HAIL_BATCH_BILLING_PROJECT": PROJECT,
        "HAIL_BATCH_BACKEND": "service",
        "HAIL_TOKENS_FILE": str(data / "tokens.json"),
    }


def start(data: Path, words: Sequence[str], env: Mapping[str, str] = os.environ) -> Address:
    """Start a service with these words of `serve`, in a session of its own, and wait until it answers.

    Raises ConfigError with what it said when it ended instead, StorageError for a folder that cannot be made.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        said = data / _SAID
        with open(said, "wb") as output:
            argv = [sys.executable, "-m", "hail_batch_jupyter", "serve", "--data", str(data), *words]
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=dict(env))
    except OSError as error:
        raise StorageError(f"the folder {str(data)!r} cannot be used ({error.strerror}); choose another with --data", str(data)) from error
    _children[child.pid] = child
    until_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until_s:
        if child.poll() is not None:
            last = said.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise ConfigError(f"the service did not start: {last[0].removeprefix('hail-batch-jupyter: ')}")
        address = find(data) if (data / _FILE).exists() else None
        if address is not None and address.pid == child.pid:
            return address
        time.sleep(_LOOK_S)
    child.terminate()
    raise ConfigError(f"the service did not answer in {_PATIENCE_S:g} s; see {str(said)!r} and service.log beside it")


def stop(data: Path) -> Address | None:
    """End the service of a data folder and wait until it has; gives what ended, None when none runs. Its jobs go on.

    Raises ConfigError when it does not end.
    """
    address = find(data)
    if address is None:
        return None
    with suppress(ProcessLookupError):
        os.kill(address.pid, signal.SIGTERM)
    until_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until_s:
        if not _lives(address.pid):
            return address
        time.sleep(_LOOK_S)
    raise ConfigError(f"the service at {address.url}, process {address.pid}, does not end; see service.log in {str(data)!r}")


def _lives(pid: int) -> bool:
    child = _children.get(pid)
    if child is not None:
        return child.poll() is None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

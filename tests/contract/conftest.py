"""The backends that the contract is held against: a new one is one line more."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.backends.service.backend import ServiceBackend
from hail_batch_jupyter.backends.slurm import SlurmBackend
from hail_batch_jupyter.core.ports import Backend
from hail_batch_jupyter.storage import cold, router
from tests.service.conftest import point_at
from tests.service.servers import Server
from tests.slurm_cluster import SlurmCluster
from tests.storage.emulators import gcs_emulator, make_bucket

BACKENDS: dict[str, Callable[[], Any]] = {
    "local": lambda: LocalBackend(cores=2),
    "slurm": SlurmBackend,
    "service": ServiceBackend,
}
NEEDS = {"slurm": ("slurm", "slurm"), "service": ("fake-gcs-server", "on_service")}
"""Backend -> the component and the fixture that it needs."""


ELSEWHERE = "slurm by ssh"
"""SlurmBackend with its runner on the machine that a protocol leads to: one half of the cases by each, for time's sake."""
PROTOCOLS = ("ssh", "paramiko")


def _marks(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.requires("slurm", "sshd")] if name == ELSEWHERE else [pytest.mark.requires(NEEDS[name][0])] if name in NEEDS else []


@pytest.fixture(params=[pytest.param(name, marks=_marks(name)) for name in (*BACKENDS, ELSEWHERE)])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """One backend after the other, each with two cores or more."""
    if request.param == ELSEWHERE:
        cluster: SlurmCluster = request.getfixturevalue("slurm")
        protocol = request.getfixturevalue(f"{PROTOCOLS[crc32(request.node.name.encode()) % 2]}_connection")
        with SlurmBackend(protocol, tmp_path / "work", login_setup=cluster.login) as there:
            yield there
        return
    if request.param in NEEDS:
        request.getfixturevalue(NEEDS[request.param][1])
    with BACKENDS[request.param]() as made:
        yield made


@pytest.fixture(scope="session")
def service_on_bucket(all_runs: Path) -> Iterator[tuple[Server, dict[str, str]]]:
    """A service whose files go through a bucket, and the environment that says so."""
    folder = Path(tempfile.mkdtemp(prefix="gcs-", dir=all_runs))
    with gcs_emulator(folder) as url:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("STORAGE_EMULATOR_HOST", url)
            address = make_bucket("contract")
            server = Server(folder / "service").start()
        yield server, {"STORAGE_EMULATOR_HOST": url, "HAIL_BATCH_REMOTE_TMPDIR": f"{address}/tmp"}
        server.close()


@pytest.fixture
def on_service(service_on_bucket: tuple[Server, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The settings of this process point at that service and its bucket."""
    server, environment = service_on_bucket
    point_at(server, monkeypatch, tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    router.forget()
    cold.forget()
    yield
    router.forget()
    cold.forget()

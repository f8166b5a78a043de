"""The backends that the contract is held against: a new one is one line more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.backends.slurm import SlurmBackend
from hail_batch_jupyter.core.ports import Backend
from tests.slurm_cluster import SlurmCluster, slurm
from tests.ssh_server import paramiko_connection, ssh_connection, sshd

__all__ = ["paramiko_connection", "slurm", "ssh_connection", "sshd"]

BACKENDS: dict[str, Callable[[], Any]] = {
    "local": lambda: LocalBackend(cores=2),
    "slurm": SlurmBackend,
}
NEEDS = {"slurm": "slurm"}
"""Backend -> the fixture, and the component, that it needs."""


ELSEWHERE = "slurm by ssh"
"""SlurmBackend with its runner on the machine that a protocol leads to: one half of the cases by each, for time's sake."""
PROTOCOLS = ("ssh", "paramiko")


def _marks(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.requires("slurm", "sshd")] if name == ELSEWHERE else [pytest.mark.requires(NEEDS[name])] if name in NEEDS else []


@pytest.fixture(params=[pytest.param(name, marks=_marks(name)) for name in (*BACKENDS, ELSEWHERE)])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """One backend after the other, each with two cores or more."""
    if request.param == ELSEWHERE:
        cluster: SlurmCluster = request.getfixturevalue("slurm")
        protocol = request.getfixturevalue(f"{PROTOCOLS[crc32(request.node.name.encode()) % 2]}_connection")
        there: Backend = SlurmBackend(protocol, tmp_path / "work", login_setup=cluster.login)
        return there
    if request.param in NEEDS:
        request.getfixturevalue(NEEDS[request.param])
    made: Backend = BACKENDS[request.param]()
    return made

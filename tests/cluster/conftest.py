"""Real Slurm, sshd and sudo for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hail_batch_jupyter.cluster import ConnectionParameters
from hail_batch_jupyter.cluster.protocols.local import LocalProtocol
from hail_batch_jupyter.cluster.protocols.shelled import ShelledProtocol
from hail_batch_jupyter.cluster.protocols.sudo import SudoProtocol

SHELLED = [pytest.param(kind, marks=pytest.mark.requires("sudo" if kind == "sudo" else "sshd")) for kind in ("ssh", "paramiko", "sudo")]


@pytest.fixture(scope="session")
def sudo_connection() -> Iterator[ShelledProtocol]:
    """A shell under sudo that the tests share; it is root's, who sees the folders of the tests."""
    with SudoProtocol(ConnectionParameters(user="root")) as protocol:
        yield protocol


@pytest.fixture(params=SHELLED)
def remote(request: pytest.FixtureRequest) -> ShelledProtocol:
    """The protocols with a shell that stays open: to the sshd of this session, and by sudo."""
    protocol: ShelledProtocol = request.getfixturevalue(f"{request.param}_connection")
    return protocol


@pytest.fixture(params=["local", *SHELLED])
def protocol(request: pytest.FixtureRequest) -> LocalProtocol | ShelledProtocol:
    """All protocols to this machine."""
    if request.param == "local":
        return LocalProtocol()
    protocol: ShelledProtocol = request.getfixturevalue(f"{request.param}_connection")
    return protocol

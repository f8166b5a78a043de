"""Real Slurm and real sshd for the tests of this folder."""

from __future__ import annotations

import pytest

from hail_batch_jupyter.cluster.protocols.local import LocalProtocol
from hail_batch_jupyter.cluster.protocols.shelled import ShelledProtocol


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.requires("sshd")) for kind in ("ssh", "paramiko")])
def remote(request: pytest.FixtureRequest) -> ShelledProtocol:
    """Both protocols, connected to the sshd of this session."""
    protocol: ShelledProtocol = request.getfixturevalue(f"{request.param}_connection")
    return protocol


@pytest.fixture(params=["local", *[pytest.param(kind, marks=pytest.mark.requires("sshd")) for kind in ("ssh", "paramiko")]])
def protocol(request: pytest.FixtureRequest) -> LocalProtocol | ShelledProtocol:
    """All three protocols to this machine."""
    if request.param == "local":
        return LocalProtocol()
    protocol: ShelledProtocol = request.getfixturevalue(f"{request.param}_connection")
    return protocol

"""Protocols to the sshd of the tests."""

from __future__ import annotations

from pathlib import Path

from hail_batch_jupyter.cluster import ConnectionParameters
from hail_batch_jupyter.cluster.protocols.paramiko import ParamikoProtocol
from hail_batch_jupyter.cluster.protocols.shelled import ShelledProtocol
from hail_batch_jupyter.cluster.protocols.ssh import SshProtocol

PROTOCOLS = {"ssh": SshProtocol, "paramiko": ParamikoProtocol}


def connected(kind: str, config: Path, host: str = "node", **options: bool) -> ShelledProtocol:
    """A protocol of that kind to a host of the configuration."""
    return PROTOCOLS[kind](ConnectionParameters(host), config_file=str(config), **options)

"""A real Slurm and a real sshd for the tests of its backend."""

from __future__ import annotations

from tests.slurm_cluster import slurm
from tests.ssh_server import paramiko_connection, ssh_connection, sshd

__all__ = ["paramiko_connection", "slurm", "ssh_connection", "sshd"]

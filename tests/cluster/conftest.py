"""Real Slurm and real sshd for the tests of this folder."""

from __future__ import annotations

from tests.slurm_cluster import slurm

__all__ = ["slurm"]

"""A real Slurm for the tests of its backend."""

from __future__ import annotations

from tests.slurm_cluster import slurm  # noqa: F401 - a fixture

"""The backends that the contract is held against: a new one is one line more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.backends.slurm import SlurmBackend
from hail_batch_jupyter.core.ports import Backend
from tests.slurm_cluster import slurm  # noqa: F401 - a fixture

BACKENDS: dict[str, Callable[[], Any]] = {
    "local": lambda: LocalBackend(cores=2),
    "slurm": SlurmBackend,
}
NEEDS = {"slurm": "slurm"}
"""Backend -> the fixture, and the component, that it needs."""


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.requires(NEEDS[name]) if name in NEEDS else ()) for name in BACKENDS])
def backend(request: pytest.FixtureRequest) -> Backend:
    """One backend after the other, each with two cores or more."""
    if request.param in NEEDS:
        request.getfixturevalue(NEEDS[request.param])
    made: Backend = BACKENDS[request.param]()
    return made

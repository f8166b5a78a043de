"""The backends that the contract is held against: a new one is one line more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.core.ports import Backend

BACKENDS: dict[str, Callable[[], Any]] = {
    "local": lambda: LocalBackend(cores=2),
}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """One backend after the other, each with two cores or more."""
    made: Backend = BACKENDS[request.param]()
    return made

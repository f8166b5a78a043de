"""Object stores that the tests of this folder speak to."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hail_batch_jupyter.storage import cold, router
from tests.storage.emulators import gcs_emulator, make_bucket


@pytest.fixture(scope="session")
def gcs_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for all tests."""
    with gcs_emulator(tmp_path_factory.mktemp("gcs")) as url:
        yield url


@pytest.fixture
def bucket(gcs_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """gs://NAME of an empty bucket, with this process and those that it starts pointed at its server."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_url)
    router.forget()
    cold.forget()
    yield make_bucket(f"b-{os.urandom(4).hex()}")
    router.forget()
    cold.forget()

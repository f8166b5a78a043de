"""One service for all tests that leave it alive, and one of its own for each test that kills it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RUNS
from tests.service.servers import Server


@pytest.fixture(scope="session")
def shared_server(all_runs: Path) -> Iterator[Server]:
    server = Server(Path(tempfile.mkdtemp(prefix="serve-", dir=all_runs)) / "data").start()
    yield server
    server.close()


@pytest.fixture
def server(shared_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    """The service that lives on, which the settings of this process point at."""
    point_at(shared_server, monkeypatch, tmp_path)
    return shared_server


@pytest.fixture
def own_server(runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A service of this test alone."""
    server = Server(runs / "data").start()
    point_at(server, monkeypatch, tmp_path)
    yield server
    server.close()


def point_at(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("HAIL_") and name != RUNS]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HAIL_BATCH_REMOTE_TMPDIR", f"file://{server.data}/files/by-path")  # tests/service/test_files.py does without

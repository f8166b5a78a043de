"""Fixtures for describing batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hail_batch_jupyter.batch import Batch
from tests.batch.running import Ended, run_spec


@pytest.fixture(autouse=True)
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of the user who runs it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.delenv("HAIL_BATCH_BACKEND", raising=False)


@pytest.fixture
def b() -> Batch:
    """An empty batch."""
    return Batch(name="b")


@pytest.fixture
def run(b: Batch, tmp_path: Path) -> Callable[[], dict[str, Ended]]:
    """Runs what `b` says now, in a scratch folder with a blank in its name."""
    return lambda: run_spec(b.compile(), tmp_path / "scratch folder")

"""A configuration folder of each test's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the configuration files, with none in it; nothing of the user's environment or home is seen."""
    for name in [name for name in os.environ if name.startswith("HAIL_")]:
        if name != "HAIL_BATCH_JUPYTER_RUNS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "hail").mkdir()
    return tmp_path / "hail"

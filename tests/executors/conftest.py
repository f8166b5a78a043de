"""The container engines of this machine, each started once and only when a test needs it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.executors.engines import FLAGS, RealEngine, docker, make_image, podman

_START = {"docker": docker, "podman": podman}


@pytest.fixture(scope="session")
def image_tar() -> Iterator[Path]:
    """The image as a file."""
    folder = Path(tempfile.mkdtemp(prefix="hbj-image-"))
    yield make_image(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="session", params=[pytest.param(name, marks=pytest.mark.requires(name)) for name in _START])
def started_engine(request: pytest.FixtureRequest, image_tar: Path) -> Iterator[RealEngine]:
    """An engine that has the image; its folder has a short path, because sockets must."""
    folder = Path(tempfile.mkdtemp(prefix="hbj-"))
    with _START[request.param](folder, image_tar) as engine:
        yield engine
    shutil.rmtree(folder)


@pytest.fixture
def engine(started_engine: RealEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealEngine]:
    """The engine as the one that LocalBackend uses; a test must leave no container behind."""
    for name, value in {**started_engine.env, "HAIL_BATCH_CONTAINER_ENGINE": started_engine.name, "HAIL_BATCH_EXTRA_DOCKER_RUN_FLAGS": FLAGS}.items():
        monkeypatch.setenv(name, value)
    yield started_engine
    left = started_engine.containers()
    if left:
        started_engine.ask("rm", "--force", *left)
    assert left == []

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hail_batch_jupyter.core import registry
from hail_batch_jupyter.errors import ConfigError


@pytest.fixture
def another_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution that brings the backend 'moon'."""
    (tmp_path / "moon_backend.py").write_text("class MoonBackend:\n    name = 'moon'\n")
    facts = tmp_path / "moon_backend-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: moon-backend\nVersion: 1\n")
    (facts / "entry_points.txt").write_text(f"[{registry.BACKEND_GROUP}]\nmoon = moon_backend:MoonBackend\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "moon_backend", raising=False)


def test_an_unknown_backend_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"backend 'lokal' is not known; use one of: .*local"):
        registry.backend_class("lokal")


def test_the_local_backend_is_known() -> None:
    assert registry.backend_class("local").name == "local"


@pytest.mark.usefixtures("another_distribution")
def test_a_backend_of_another_distribution_is_found_by_its_entry_point() -> None:
    assert registry.backend_class("moon").name == "moon"


@pytest.mark.usefixtures("another_distribution")
def test_the_backends_of_other_distributions_are_among_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"use one of: .*local, moon"):
        registry.backend_class("sun")


def test_a_target_names_a_module_and_an_attribute() -> None:
    assert registry.load("os.path:join") is __import__("os").path.join


def test_a_missing_module_or_attribute_is_the_error_of_python() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        registry.load("no_such_module:thing")
    with pytest.raises(AttributeError, match="no_such_name"):
        registry.load("os.path:no_such_name")


def test_every_registered_target_is_written_as_module_and_attribute() -> None:
    for target in (*registry.BACKENDS.values(), *registry.HOOKS.values()):
        module, _, attribute = target.partition(":")
        assert module.startswith("hail_batch_jupyter.")
        assert attribute.isidentifier()

"""The reference names everything that a script can import, and shows each setter in use; `make docs` runs the examples."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter import errors
from hail_batch_jupyter.batch.bash_job import BashJob
from hail_batch_jupyter.batch.groups import JobGroup
from hail_batch_jupyter.batch.job import Job, PythonJob
from hail_batch_jupyter.batch.resource import JobResourceFile, PythonResult
from hail_batch_jupyter.batch.settings import Settings
from hail_batch_jupyter.batch.stage import JobStage
from tests.requirements import ROOT

REFERENCE = ROOT / "docs" / "api"
SUBMODULES = ("backend", "batch", "batch_pool_executor", "docker", "exceptions", "groups", "job", "resource", "stage", "utils")
FORMER_NAMES = {"gcsfuse"}
"""Setters that warn of themselves; an example would teach them."""


def reference() -> str:
    return "\n".join(path.read_text() for path in sorted(REFERENCE.glob("*.md")))


def is_shown(name: str) -> bool:
    """Whether the reference has an entry of its own for the name; that of the errors shows a whole module."""
    return name in vars(errors) or re.search(rf"auto\w+:: [\w.]+\.{name}\b", reference()) is not None


def described_members(cls: type) -> list[str]:
    """What the reference lists of a class, in its own order."""
    found = re.search(rf"autoclass:: [\w.]+\.{cls.__name__}(?:\(\))?\n   :members:(.*)", reference())
    assert found is not None, f"docs/api shows no members of {cls.__name__}"
    named = [name.strip() for name in found[1].split(",") if name.strip()]
    return named or [name for name, member in vars(cls).items() if not name.startswith("_") and isinstance(member, (FunctionType, property))]


def setters() -> Iterator[tuple[type, str]]:
    """Public methods that give the job back."""
    for cls in (Settings, Job, BashJob, PythonJob):
        for name, member in vars(cls).items():
            if inspect.isfunction(member) and not name.startswith("_") and inspect.get_annotations(member).get("return") == "Self":
                yield cls, name


def public_classes() -> Iterator[tuple[str, str]]:
    for name in SUBMODULES:
        module: Any = importlib.import_module(f"hail_batch_jupyter.batch.{name}")
        own = [known for known, found in vars(module).items() if inspect.isclass(found) and found.__module__ == module.__name__]
        for known in getattr(module, "__all__", own):
            if inspect.isclass(getattr(module, known)) and not known.startswith("_"):
                yield name, known


def has_example(member: Any) -> bool:
    return ">>> " in (inspect.getdoc(member) or "")


@pytest.mark.parametrize("name", hb.__all__)
def test_every_name_of_the_package_is_in_the_reference(name: str) -> None:
    assert is_shown(name)


@pytest.mark.parametrize(("module", "name"), sorted(set(public_classes())))
def test_every_public_class_of_a_submodule_is_in_the_reference(module: str, name: str) -> None:
    assert is_shown(name), f"hail_batch_jupyter.batch.{module}.{name} is nowhere in docs/api"


@pytest.mark.parametrize(("cls", "name"), [pytest.param(*setter, id=setter[1]) for setter in setters()])
def test_every_setter_of_a_job_has_an_example_and_a_place_in_the_reference(cls: type, name: str) -> None:
    shown = [*described_members(Job), *described_members(BashJob), *described_members(PythonJob)]

    assert name in shown
    assert has_example(getattr(cls, name)) or name in FORMER_NAMES


@pytest.mark.parametrize("cls", [hb.Batch, Job, BashJob, PythonJob, JobGroup, JobStage, JobResourceFile, PythonResult], ids=lambda cls: cls.__name__)
def test_what_the_reference_lists_of_these_classes_has_an_example(cls: type) -> None:
    without = [name for name in described_members(cls) if name not in FORMER_NAMES and not has_example(inspect.getattr_static(cls, name))]

    assert without == []


PATH = re.compile(r"`((?:[\w-]+/)+[\w-]+\.(?:py|ts|md|mjs|ipynb|css))[`:]")
"""A file of the repository, or of a part of the package."""


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md", *(f"docs/adr/{path.name}" for path in sorted((ROOT / "docs/adr").glob("0*.md")))])
def test_files_that_are_named_are_there(page: str) -> None:
    named = PATH.findall((ROOT / page).read_text())
    known = (ROOT, ROOT / "hail_batch_jupyter", ROOT / "labextension" / "src")

    assert [path for path in named if not any((place / path).exists() for place in known)] == []


def test_all_decisions_are_listed_in_their_order() -> None:
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", (ROOT / "docs/adr/README.md").read_text())

    assert listed == sorted(path.name for path in (ROOT / "docs/adr").glob("0*.md"))

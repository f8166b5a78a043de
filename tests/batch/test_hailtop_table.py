"""The table of hailtop's names in the documentation says nothing that is not so."""

from __future__ import annotations

import re
from typing import Any

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.batch import batch_pool_executor, job, resource
from tests.batch.test_signatures import FUNCTIONS, MODULES, SIGNATURES
from tests.requirements import ROOT

ROW = re.compile(r"^\| `([\w.]+)` \| (\w+) \| (.*)\|$", re.MULTILINE)
TEXT = (ROOT / "docs" / "hailtop.md").read_text(encoding="utf-8")
ROWS = {name: (word, note.strip()) for name, word, note in ROW.findall(TEXT)}
ABSENT = [name for name, (_, note) in ROWS.items() if note.startswith("Not there")]
PARTS = {"BatchPoolExecutor": r"BatchPool|batch_pool_executor", "ServiceBackend": r"ServiceBackend|from_batch_id"}
"""Name of the package -> rows that go with it."""


def found(name: str) -> Any:
    """What a name of the table stands for."""
    owner, _, attribute = name.rpartition(".")
    if owner == "hb":
        return getattr(hb, attribute)
    for place in (hb, job, resource, batch_pool_executor):
        if hasattr(place, owner):
            return getattr(getattr(place, owner), attribute)
    return getattr(getattr(hb, owner), attribute)


def offered(name: str) -> bool:
    """Whether the part of the package that a row belongs to is offered by this distribution."""
    return all(part in hb.__all__ for part, pattern in PARTS.items() if re.search(pattern, name))


@pytest.mark.parametrize("name", [name for name in ROWS if name not in ABSENT and offered(name)])
def test_every_name_of_the_table_is_there(name: str) -> None:
    if name in ("Batch.name", "Batch.attributes", "Batch.requester_pays_project"):
        assert isinstance(vars(hb.Batch)[name.split(".")[1]], property)
    else:
        assert found(name) is not None


def test_what_the_table_calls_absent_is_absent() -> None:
    for name in ABSENT:
        with pytest.raises(AttributeError):
            found(name)


def test_every_public_name_has_a_row() -> None:
    methods = {f"{owner.__name__}.{name}" for owner, names in SIGNATURES.items() for name in names if owner is not job.BashJob and owner is not job.PythonJob}
    methods |= {"BashJob.command", "BashJob.declare_resource_group", "BashJob.image", "PythonJob.call", "PythonJob.image"}
    modules = {f"{module}.{name}" for module, names in MODULES.items() for name in names}
    package = {f"hb.{name}" for name in (*hb.__all__, *FUNCTIONS)}

    assert sorted((methods | modules | package) - ROWS.keys()) == []


def test_every_row_has_one_of_four_words_and_says_why() -> None:
    assert {word for word, _ in ROWS.values()} == {"same", "better", "different", "more"}
    assert [name for name, (word, note) in ROWS.items() if (word == "same") is bool(note)] == []
    assert len(ROWS) == TEXT.count("\n| `")

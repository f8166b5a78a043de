"""What a beginner pastes first: the cells of the README and of the guide, as they stand and in their order."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.requirements import ROOT

CELL = re.compile(r"^```(?:python)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("page", "first", "last", "result"),
    [
        pytest.param("README.md", "## The smallest example", "## Where to start", "be", id="readme"),
        pytest.param("docs/guide/notebook.md", "# In a notebook", "## Changing a cell", "apple", id="guide"),
    ],
)
def test_the_first_cells_give_what_the_page_promises(cells: Any, page: str, first: str, last: str, result: str) -> None:
    text = (ROOT / page).read_text().split(f"{first}\n")[1].split(f"{last}\n")[0]
    found = CELL.findall(text)

    given = [cells.run(cell.rstrip("\n")) for cell in found]

    assert len(found) == 4
    assert given[-1] == result

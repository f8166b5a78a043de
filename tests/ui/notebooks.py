"""Notebooks that the tests write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path


def write_notebook(path: Path, cells: Sequence[str]) -> Path:
    """A notebook of code cells, to be run by the kernel of this environment."""
    made = [_cell(number, source) for number, source in enumerate(cells)]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}, "language_info": {"name": "python"}}
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": made}))
    return path


def _cell(number: int, source: str) -> dict[str, object]:
    return {"cell_type": "code", "id": f"cell-{number}", "metadata": {}, "execution_count": None, "outputs": [], "source": source}

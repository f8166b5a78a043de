"""The runner's zipapp where it was sent to: a run that was given up before it began never does."""

from __future__ import annotations

from pathlib import Path

import pytest

from hail_batch_jupyter.core.spec import BatchSpec, to_json
from hail_batch_jupyter.engine import shipped
from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.observe import rundir, uploads


def test_a_run_that_has_not_begun_when_it_is_asked_for_never_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(rundir.RUNS_VARIABLE, str(tmp_path))
    (tmp_path / uploads.OWN).mkdir()
    half_made = tmp_path / "run-1"
    half_made.mkdir()
    (half_made / "run.json").write_text("{}")
    asked = {"place": str(tmp_path), "spec": to_json(BatchSpec("b", ())), "uploads": [], "description": {"run_id": "run-1"}, "orders": {}, "job": None}

    assert shipped.tend(half_made) == {"state": "gone"}
    assert not half_made.exists()
    with pytest.raises(SubmitError, match="run run-1 was given up before it began"):
        shipped.begin(asked)
    assert not half_made.exists()

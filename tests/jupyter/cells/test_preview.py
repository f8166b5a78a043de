from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def cells_b(cells: Any) -> Any:
    cells.run("alphas = list(range(12))\nb = %batch b --default-memory 200Mi")
    return cells


def shown(cells: Any, capsys: pytest.CaptureFixture[str], cell: str) -> str:
    capsys.readouterr()
    cells.run(cell)
    return capsys.readouterr().out


def test_a_dry_run_of_a_stage_shows_what_differs_and_defines_nothing(cells_b: Any, capsys: pytest.CaptureFixture[str]) -> None:
    line = "%%batch_job fit --each alpha=alphas --cpu 1 --retry 3 --timeout 2m --env TOKEN=hush --group g --output model=out/{alpha} --dry-run"

    text = shown(cells_b, capsys, line + "\nset -u\necho {alpha} > {fit.model}")

    lines = text.splitlines()
    assert lines[0] == "would be fit: 12 jobs over alpha; makes model"
    assert any(one.startswith("  cores    1; granted 1 of ") for one in lines)
    assert "  memory   200Mi; granted 200.0 MiB" in lines
    assert "  timeout  2 min 00 s" in lines
    assert "  retry    3 tries in all, after exit, out of memory, timeout" in lines
    assert "  env      TOKEN=…" in lines
    assert "  group    g" in lines
    assert "  writes   model to out/0 … out/11" in lines
    assert text.count("set -u") == 1
    assert '# fit-01: alpha = 1\necho 1 > "${BATCH_TMPDIR}"/fit-01.model\n' in text
    assert "# … and 2 more, to fit-11" in text
    assert "hush" not in text
    assert cells_b["b"].jobs == []
    assert cells_b["b"].draft.groups == []
    assert "fit" not in cells_b.names


def test_a_dry_run_of_a_python_cell_shows_what_it_takes_and_gives(cells_b: Any, capsys: pytest.CaptureFixture[str]) -> None:
    cells_b.run("x = 3")

    text = shown(cells_b, capsys, "%%batch_python double -o y --dry-run\ny = 2 * x")

    assert "# takes x from the notebook, gives y back\ny = 2 * x" in text
    assert cells_b["b"].jobs == []


def test_a_job_that_asks_for_more_than_there_is_would_run_alone(cells_b: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert "more than there is: it would run alone" in shown(cells_b, capsys, "%%batch_job big --cpu 5000 --dry-run\ntrue")

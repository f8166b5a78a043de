from __future__ import annotations

import pytest

from hail_batch_jupyter.jupyter.cells.madewords import made_line

FITS = [(f"fit-{number}", "model") for number in range(1, 25)]


@pytest.mark.parametrize(
    ("after", "reads", "makes", "line"),
    [
        pytest.param([], [], [], "fit: a job of 'study'", id="nothing"),
        pytest.param(["check"], [("load", "table"), (None, "data.csv")], ["model"], "fit: after check; reads data.csv, load.table; makes model", id="all"),
        pytest.param([], FITS, [], "fit: reads model of fit-1 … fit-24 (24 jobs)", id="scattered"),
        pytest.param([], [(job, "result1") for job, _ in FITS[:3]], [], "fit: reads results of fit-1 … fit-3 (3 jobs)", id="results"),
        pytest.param([], FITS[:2], [], "fit: reads fit-1.model, fit-2.model", id="two"),
        pytest.param([], [("a", name) for name in "pqrstuvw"], [], "fit: reads a.p, a.q, a.r, a.s, a.t, a.u and 2 more", id="many of one job"),
    ],
)
def test_a_job_says_in_one_line_what_it_waits_for_reads_and_makes(after: list[str], reads: list[tuple[str | None, str]], makes: list[str], line: str) -> None:
    assert made_line("fit", "study", after, reads, makes) == line

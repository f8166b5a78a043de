"""Batches of very many jobs: nothing recurses, and a job takes little memory."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import pytest

from benchmarks.scripts.shapes import SHAPES
from hail_batch_jupyter.batch import Batch, LocalBackend
from hail_batch_jupyter.core.spec import BatchSpec

MOST_BYTES = 2000
"""What a job with one file may take, described and compiled."""


def described(b: Batch, shape: str, count: int) -> BatchSpec:
    SHAPES[shape](b, count)
    return b.compile()


@pytest.mark.parametrize("shape", ["files", "chain"])
def test_a_job_with_a_file_takes_two_kilobytes_at_most(shape: str) -> None:
    count = 2000
    described(Batch(), shape, 50)
    tracemalloc.start()
    try:
        b = Batch()
        spec = described(b, shape, count)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert len(spec.jobs) == count
    assert held / count < MOST_BYTES


@pytest.mark.slow
def test_a_chain_of_a_hundred_thousand_jobs_compiles() -> None:
    spec = described(Batch(), "chain", 100_000)

    assert [edge.job_id for edge in spec.jobs[-1].parents] == [99_999]
    assert spec.jobs[-1].needs == spec.jobs[-2].promises


@pytest.mark.slow
def test_a_chain_of_three_thousand_jobs_runs_to_its_end(tmp_path: Path) -> None:
    b = Batch(backend=LocalBackend(tmp_dir=str(tmp_path)))
    SHAPES["chain"](b, 3000)
    last = b.jobs[-1]
    b.write_output(last.ofile, tmp_path / "last.txt")
    run = b.run()

    assert run.status()["state"] == "success"
    assert (tmp_path / "last.txt").read_text() == "0\n"

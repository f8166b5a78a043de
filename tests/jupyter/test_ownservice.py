"""`%batch_service`: from no service to a batch that ran on one, and back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError

from hail_batch_jupyter.backends import own_service
from hail_batch_jupyter.backends.service.backend import ServiceBackend
from hail_batch_jupyter.errors import ConfigError
from tests.engine.jobs import LONG_S

HELPED = ("HAIL_DOMAIN", "HAIL_TOKENS_FILE", "HAIL_BATCH_BACKEND", "HAIL_BATCH_REMOTE_TMPDIR")


@pytest.fixture
def stopped(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Whatever the test starts ends with it."""
    for name in [name for name in os.environ if name.startswith("HAIL_") and not name.startswith("HAIL_BATCH_JUPYTER")]:
        monkeypatch.delenv(name)
    yield
    own_service.stop(own_service.default_data())


@pytest.mark.usefixtures("stopped")
def test_the_magic_starts_a_service_finds_it_again_and_stops_it(cells: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    batch = cells.run("%batch study")
    (tmp_path / "in.txt").write_text("one\n")
    cells.shell.user_ns["source"] = str(tmp_path / "in.txt")
    cells.shell.run_cell_magic("batch_job", "copy", "cat {source} > {copy.text}")

    cells.run("%batch_service --no-images")
    first = capsys.readouterr().out
    cells.run("%batch_service")
    second = capsys.readouterr().out
    address = own_service.find(own_service.default_data())

    assert address is not None
    assert f"Batch service at {address.url} started; files at hbj://{address.user}/" in first
    assert "Batch 'study' and new ones of this notebook run there." in first
    assert f"{address.url} runs" in second
    assert isinstance(batch.backend, ServiceBackend)
    assert os.environ["HAIL_DOMAIN"] == address.place
    run = batch.run(wait=False, disable_progress_bar=True)
    assert run.wait(LONG_S)["state"] == "success"
    cells.run("%batch_service")
    assert "Batch 'study' has run already and stays where it is" in capsys.readouterr().out

    cells.run("%batch_service --stop")
    assert f"The batch service at {address.url} has ended" in capsys.readouterr().out
    assert own_service.find(own_service.default_data()) is None
    assert not any(name in os.environ for name in HELPED)
    cells.run("%batch_service --stop")
    assert "No batch service runs" in capsys.readouterr().out


@pytest.mark.usefixtures("stopped")
def test_a_service_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)

    with pytest.raises(ConfigError, match="the service did not start: .* is open to other users; close it"):
        own_service.start(tmp_path / "open", ["--no-images"])


@pytest.mark.requires("slurm")
@pytest.mark.usefixtures("stopped", "slurm")
def test_a_service_that_the_magic_starts_may_be_in_front_of_slurm(cells: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_SLURM_PARTITION", "second")
    batch = cells.run("%batch study")
    cells.shell.run_cell_magic("batch_job", "where", "echo $SLURM_JOB_PARTITION")

    cells.run("%batch_service --no-images --slurm")
    run = batch.run(wait=False, disable_progress_bar=True)
    run.wait(LONG_S)
    log = run.get_job_log(1)["main"]
    cells.run("%batch_service --stop")

    assert log == "second\n"


def test_a_port_that_cannot_be_is_refused_before_anything_starts(cells: Any) -> None:
    with pytest.raises(UsageError, match="--port 99999: a port is a number from 0, any free one, to 65535"):
        cells.run("%batch_service --port 99999")

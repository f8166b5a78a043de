"""Copies of a data folder in which other things happen meanwhile."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hail_batch_jupyter.service.backup import back_up
from hail_batch_jupyter.service.store.database import FILE, Database
from tests.conftest import wait_until
from tests.requirements import ROOT


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "files" / "ann").mkdir(parents=True)
    (folder / "files" / "ann" / "kept").write_text("kept")
    Database(folder / FILE).close()
    return folder


def test_pipes_that_jobs_left_are_not_copied(data: Path, tmp_path: Path) -> None:
    os.mkfifo(data / "files" / "ann" / "pipe")
    (data / "files" / "ann" / "link").symlink_to("nowhere")

    back_up(data, tmp_path / "copy")

    copied = tmp_path / "copy" / "files" / "ann"
    assert (sorted(os.listdir(copied)), os.readlink(copied / "link"), (copied / "kept").read_text()) == (["kept", "link"], "nowhere", "kept")


def test_what_is_removed_meanwhile_is_not_missed(data: Path, tmp_path: Path) -> None:
    for number in range(500):
        run = data / "runs" / f"run-{number:03}" / "jobs"
        run.mkdir(parents=True)
        (run / "log").write_text("x")

    def remove() -> None:
        wait_until(lambda: any(tmp_path.glob(".copy.*/runs/run-001")))
        (data / "runs").rename(tmp_path / "gone")

    remover = threading.Thread(target=remove)
    remover.start()

    back_up(data, tmp_path / "copy")

    remover.join()
    assert (tmp_path / "copy" / "files" / "ann" / "kept").read_text() == "kept"
    assert (tmp_path / "copy" / "runs" / "run-000" / "jobs" / "log").read_text() == "x"


def test_a_file_for_which_there_is_no_room_is_named_and_nothing_is_left(data: Path, tmp_path: Path) -> None:
    (data / "files" / "ann" / "large").write_bytes(bytes(3 << 20))
    argv = [sys.executable, "-m", "hail_batch_jupyter", "backup", "--data", str(data), str(tmp_path / "copy")]

    def with_little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    done = subprocess.run(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, preexec_fn=with_little_room)

    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert re.search(r"ann/large' cannot be copied \(.*File too large.*\); change who may read it, or free space", done.stderr), done.stderr
    assert os.listdir(tmp_path) == ["data"]

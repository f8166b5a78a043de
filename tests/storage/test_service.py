from __future__ import annotations

from pathlib import Path

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.storage.router import file_system
from tests.recorder import Recorder

pytestmark = pytest.mark.requires("fake-gcs-server")


def test_files_of_this_machine_and_code_go_to_the_folder_of_the_service(bucket: str, service: Recorder, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x").write_text("x")
    b = hb.Batch(backend=hb.ServiceBackend(billing_project="lab", remote_tmpdir=f"{bucket}/tmp", regions=["r"]))
    j = b.new_bash_job(name="long")
    j.command(f"cat {b.read_input(tmp_path / 'in')}/x; " + "echo;" * 4000)

    b.run(wait=False)

    names = sorted(found.name.split("/", 1)[1] for found in file_system(bucket).files(f"{bucket}/tmp"))
    assert [name.split("/")[0] for name in names] == ["code", "inputs"] and names[1].endswith("/in/x")

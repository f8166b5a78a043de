from __future__ import annotations

import os
import signal
import threading
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.observe import owner
from hail_batch_jupyter.storage.router import file_system
from tests.conftest import wait_until
from tests.engine.jobs import Gate, gone, pid_in
from tests.recorder import Recorder
from tests.service.servers import Server, job
from tests.storage.emulators import proxied

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


def test_a_job_whose_runner_was_killed_has_its_outputs_in_the_store_before_it_succeeds(
    bucket: str, gcs_url: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, where = Gate(tmp_path / "gate"), tmp_path / "pid"
    begun, go_on = threading.Event(), threading.Event()

    def hold_up(method: str, path: str) -> None:
        if method == "POST" and "/upload/" in path:
            begun.set()
            go_on.wait(60)

    with proxied(gcs_url, hold_up) as slow:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", slow)
        with closing(Server(runs / "data").start()) as server:
            files = [{"from": "/io/out", "to": f"{bucket}/out"}]
            number = server.post(job(1, f"echo $$ > {where}; {gate.shell}; echo late > /io/out", output_files=files), job(2, "", [1]))
            pid = pid_in(where)
            (runner,) = [facts["pid"] for path in (server.data / "runs").iterdir() if (facts := owner.read_owner(path)) is not None]
            os.kill(runner, signal.SIGSTOP)
            gate.let_through()
            wait_until(lambda: gone(pid))
            os.kill(runner, signal.SIGKILL)

            wait_until(begun.is_set, 60, lambda: server.states(number))
            assert (server.states(number)[0] == "Success", server.states(number)[1]) == (False, "Pending")
            go_on.set()
            wait_until(lambda: server.states(number)[0] == "Success", 60, lambda: server.states(number))
            assert file_system(bucket).read(f"{bucket}/out") == b"late\n"


def test_each_job_pays_for_its_own_files(bucket: str, gcs_url: str, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file_system(bucket).write(f"{bucket}/in", b"paid\n")
    refusal = (400, b'{"error": {"code": 400, "message": "Bucket is a requester pays bucket but no user project provided."}}')
    paid: set[tuple[str, str]] = set()

    def at_the_door(_: str, path: str) -> tuple[int, bytes] | None:
        payer = parse_qs(urlsplit(path).query).get("userProject")
        if payer is None:
            return refusal
        paid.add((payer[0], urlsplit(path).path.split("/")[1]))
        return None

    def copying(job_id: int, **more: Any) -> dict[str, Any]:
        inputs = [{"from": f"{bucket}/in", "to": "/io/in"}]
        return job(job_id, "cat /io/in > /io/out", input_files=inputs, output_files=[{"from": "/io/out", "to": f"{bucket}/{job_id}"}], **more)

    with proxied(gcs_url, at_the_door) as door:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", door)
        with closing(Server(runs / "data").start()) as server:
            jobs = copying(1, requester_pays_project="lab-one"), copying(2, requester_pays_project="lab-two"), copying(3)
            number = server.post(*jobs)
            server.ended(number)
            log = server.log(number, 3, "input")
            story = [server.log(number, job_id, part) for job_id in (1, 2) for part in ("input", "main", "output")]

            assert server.states(number) == ["Success", "Success", "Failed"], (log, story)
            assert "say who pays for bucket" in log
            batch = {"billing_project": "local", "token": "t", "n_jobs": 1}
            refused = server.ask("POST", "/batches/create-fast", {"bunch": [copying(1, requester_pays_project="my lab/1")], "batch": batch})
            assert (refused.status, "'my lab/1' is no Google project; write its id" in refused.reason) == (400, True), refused
    assert paid == {(payer, part) for payer in ("lab-one", "lab-two") for part in ("storage", "download", "upload")}

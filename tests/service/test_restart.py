"""A service, or a runner, that is killed: nothing is lost and no job runs twice at once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

import requests

from hail_batch_jupyter.backends.service.backend import ServiceBackend
from hail_batch_jupyter.batch import Batch
from hail_batch_jupyter.observe import owner, rundir
from tests.conftest import wait_until
from tests.engine.jobs import LONG_S, Gate
from tests.service.servers import Server, job


def kill_runners(server: Server) -> None:
    """End the runners and their guards as a crash of the machine does."""
    for directory in (server.data / "runs").glob("*"):
        facts = owner.read_owner(directory)
        if facts is not None and owner.owner_alive(directory):
            for pid in (facts["guard"], facts["pid"]):
                with suppress(ProcessLookupError):  # its run has ended
                    os.kill(pid, signal.SIGKILL)
            wait_until(lambda directory=directory: not owner.owner_alive(directory))


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def test_jobs_go_on_when_the_service_is_killed_and_its_client_waits(own_server: Server, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    b = Batch(name="b", backend=ServiceBackend())
    first = b.new_job("first").command(f"echo first >> {tmp_path}/ran; {gate.shell}")
    b.new_job("second").command(f"echo second >> {tmp_path}/ran").depends_on(first)
    run = b.run(wait=False)
    gate.reached()

    own_server.kill()
    waiting = threading.Thread(target=run.wait, args=(LONG_S,))
    waiting.start()
    gate.let_through()
    wait_until(lambda: lines(tmp_path / "ran") == ["first", "second"])
    own_server.start()
    waiting.join()

    assert [entry["state"] for entry in run.jobs()] == ["Success", "Success"]
    assert lines(tmp_path / "ran") == ["first", "second"]
    assert [len(run.get_job(number).attempts()) for number in (1, 2)] == [1, 1]


def test_what_was_open_when_runner_and_service_were_killed_runs_again_and_the_rest_does_not(own_server: Server, tmp_path: Path) -> None:
    gate, ran = Gate(tmp_path / "gate"), tmp_path / "ran"
    jobs = [
        job(1, f"echo 1 >> {ran}; echo one > /io/out", output_files=[{"from": "/io/out", "to": f"file://{tmp_path}/out"}]),
        job(2, f"echo 2 >> {ran}; if [ -e {tmp_path}/again ]; then exit 0; fi; {gate.shell}", [1]),
        job(3, f"echo 3 >> {ran}; cat /io/in", [2], input_files=[{"from": f"file://{tmp_path}/out", "to": "/io/in"}]),
        job(4, "exit 1"),
    ]
    batch_id = own_server.post(*jobs)
    gate.reached()
    wait_until(lambda: own_server.states(batch_id)[3] == "Failed")

    own_server.kill()
    kill_runners(own_server)
    (tmp_path / "again").touch()
    own_server.start()
    status = own_server.ended(batch_id)

    assert own_server.states(batch_id) == ["Success", "Success", "Success", "Failed"]
    assert (status["state"], lines(ran), own_server.log(batch_id, 3)) == ("failure", ["1", "2", "2", "3"], "one\n")
    attempts = own_server.get(f"/batches/{batch_id}/jobs/2/attempts")
    assert [attempt["reason"] for attempt in attempts] == ["terminated", "completed"]
    assert len({attempt["attempt_id"] for attempt in attempts}) == 2
    assert len(own_server.get(f"/batches/{batch_id}/jobs/1/attempts")) == 1


def test_a_job_is_given_up_after_its_attempts(own_server: Server, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    batch_id = own_server.post(job(1, gate.shell, n_max_attempts=1), job(2, "true", [1]))
    gate.reached()

    kill_runners(own_server)
    own_server.ended(batch_id)

    assert own_server.states(batch_id) == ["Error", "Cancelled"]
    status, attempts = own_server.get(f"/batches/{batch_id}/jobs/1")["status"], own_server.get(f"/batches/{batch_id}/jobs/1/attempts")
    assert (status["state"], status["error"], status["worker"]) == ("error", "job has too many prior attempts", None)
    page = requests.get(f"http://127.0.0.1:{own_server.port}/batches/{batch_id}/jobs/1", headers={"Authorization": f"Bearer {own_server.token}"}, timeout=30)
    assert (page.status_code, "job has too many prior attempts" in page.text) == (200, True)
    assert (status["container_statuses"], [attempt["reason"] for attempt in attempts]) == ({"main": None}, ["terminated"])


def test_jobs_that_are_posted_but_not_begun_begin_at_the_next_start(own_server: Server, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    first = own_server.post(job(1, gate.shell))
    gate.reached()
    update = {"token": "second", "n_jobs": 1, "n_job_groups": 0}
    child = {**job(1, "echo child"), "absolute_parent_ids": [1]}
    own_server.ask("POST", f"/batches/{first}/update-fast", {"bunch": [child], "update": update})

    own_server.kill()
    gate.let_through()
    own_server.start()

    assert own_server.ended(first)["n_succeeded"] == 2
    assert own_server.log(first, 2) == "child\n"


def test_no_time_is_less_than_none_when_the_clock_was_set_back(own_server: Server) -> None:
    number = own_server.post(job(1, "true"))
    own_server.ended(number)
    own_server.stop()
    database = sqlite3.connect(own_server.data / "batches.sqlite")
    database.execute("UPDATE batches SET created_ms = created_ms + 86400000")  # as if the clock had been a day ahead when it was made
    database.commit()
    database.close()
    own_server.start()

    batch, group = own_server.get(f"/batches/{number}"), own_server.get(f"/batches/{number}/job-groups/0")

    assert (batch["duration_ms"], batch["duration"], group["duration"], batch["state"]) == (0, "0μs", 0, "success")
    assert [entry["id"] for entry in own_server.get("/api/v2alpha/batches?q=duration%20%3D%200")["batches"]] == [number]


def test_a_cancelled_batch_stays_cancelled(own_server: Server, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    batch_id = own_server.post(job(1, gate.shell), job(2, "true", [1]), job(3, "echo always", [2], always_run=True))
    gate.reached()
    own_server.kill()
    kill_runners(own_server)
    own_server.start()

    own_server.ask("PATCH", f"/batches/{batch_id}/cancel")
    status = own_server.ended(batch_id)

    assert (status["state"], own_server.states(batch_id)) == ("cancelled", ["Cancelled", "Cancelled", "Success"])


def test_it_ends_when_it_is_asked_to_and_keeps_its_token(own_server: Server) -> None:
    token = own_server.token
    batch_id = own_server.post(job(1, "true"))
    own_server.ended(batch_id)

    assert own_server.stop() == 0
    own_server.start()

    assert own_server.token == token
    assert own_server.ended(batch_id)["state"] == "success"


def test_a_service_starts_whatever_a_killed_one_left_of_its_runs(own_server: Server, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    first = own_server.post(job(1, f"echo first >> {ran}"))
    own_server.ended(first)
    folder = own_server.data / "runs"
    earlier = set(folder.iterdir())
    gate = Gate(tmp_path / "gate")
    second = own_server.post(job(1, f"echo second >> {ran}; if [ -e {tmp_path}/again ]; then exit 0; fi; {gate.shell}"))
    gate.reached()
    (noted,) = set(folder.iterdir()) - earlier
    own_server.kill()
    kill_runners(own_server)
    (tmp_path / "again").touch()
    (noted / "run.json").unlink()
    described = {"format": rundir.FORMAT, "run_id": "described", "created_ms": 1, "name": "", "lineage": "x", "n_jobs": 1, "kept": True, "backend": "service"}
    for name, text in (("empty", None), ("cut", ""), ("described", json.dumps(described))):
        (folder / name).mkdir()
        if text is not None:
            (folder / name / "run.json").write_text(text)

    own_server.start()

    assert own_server.ended(first)["state"] == "success"
    assert own_server.ended(second)["state"] == "success"
    assert lines(ran) == ["first", "second", "second"]
    assert not {path.name for path in folder.iterdir()} & {"empty", "cut", "described"}
    assert f"run {noted.name} cannot be read and is taken for lost" in (own_server.data / "service.log").read_text()

"""Who waits for a batch is told at once; and how the service is watched over, backed up and ended."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from pathlib import Path

from hail_batch_jupyter.backends.service.backend import ServiceBackend
from hail_batch_jupyter.batch import Batch
from tests.conftest import wait_until
from tests.engine.jobs import LONG_S, Gate
from tests.service.servers import Server, job


def test_who_waits_is_answered_when_something_happened(server: Server, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    number = server.post(job(1, gate.shell))
    server.running(number, 1)
    seen = server.get(f"/batches/{number}")["mark"]
    assert server.get(f"/batches/{number}/wait?seen={seen}&timeout_s=0")["complete"] is False
    assert server.get(f"/batches/{number}/wait?seen=other")["mark"] == seen
    told: list[bool] = []

    def wait() -> None:
        mark = seen
        while not told:
            found = server.get(f"/batches/{number}/wait?seen={mark}")
            mark = found["mark"]
            told.extend([True] if found["complete"] else [])

    waiting = threading.Thread(target=wait)
    waiting.start()
    gate.let_through()
    waiting.join(LONG_S)

    assert told == [True]
    for text in ("x", "-1", "26", "nan"):
        refused = server.ask("GET", f"/batches/{number}/wait?timeout_s={text}")
        assert (refused.status, "is not between 0 and 25" in refused.text) == (400, True)


def test_who_waits_may_have_the_jobs_told_that_changed(server: Server, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    number = server.post(job(1, "true"), job(2, gate.shell), job(3, "true", in_update_parent_ids=[2]))
    gate.reached()
    wait_until(lambda: server.get(f"/batches/{number}")["n_completed"] == 1)
    found = server.get(f"/batches/{number}")
    assert "jobs" not in server.get(f"/batches/{number}/wait?seen=other&jobs=true")
    assert "jobs" not in server.get(f"/batches/{number}/wait?seen={'0' * 5000}&jobs=true")
    assert "jobs" not in server.get(f"/batches/{number}/wait?seen={found['mark'].partition('-')[0]}-{'9' * 5000}&jobs=true")

    gate.let_through()
    told: dict[int, list[str]] = {}
    while not found["complete"]:
        found = server.get(f"/batches/{number}/wait?seen={found['mark']}&jobs=true")
        for entry in found.get("jobs", ()):
            told.setdefault(entry["job_id"], []).append(entry["state"])

    assert (sorted(told), told[2][-1], told[3][-1]) == ([2, 3], "Success", "Success")


def test_our_client_waits_for_news_and_asks_a_service_of_ours_for_no_more(server: Server, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    b = Batch(backend=ServiceBackend())
    b.new_job("j").command(gate.shell)
    run = b.run(wait=False)
    gate.reached()
    run.snapshot()
    before = requests_of(server)
    seq = run.snapshot().seq
    began = time.monotonic()

    run.snapshot(newer_than=seq, timeout_s=1.0)

    asked = requests_of(server) - before
    gate.let_through()
    assert run.wait(LONG_S)["state"] == "success"
    assert asked <= 10 * (time.monotonic() - began) + 10


def requests_of(server: Server) -> int:
    lines = server.ask("GET", "/metrics", token="").text.splitlines()
    return sum(int(line.rpartition(" ")[2]) for line in lines if line.startswith("batch_service_requests_total{"))


def test_counters_say_what_was_asked_and_what_goes_on(server: Server, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    number = server.post(job(1, gate.shell), job(2, "true", [1]))
    server.running(number, 1)
    server.ask("GET", "/batches", token="x")

    text = server.ask("GET", "/metrics", token="").text

    lines = dict(line.rpartition(" ")[::2] for line in text.splitlines() if not line.startswith("#"))
    assert int(lines['batch_service_jobs{state="Running"}']) >= 1
    assert int(lines['batch_service_batches{state="running"}']) >= 1
    assert int(lines['batch_service_requests_total{method="GET",status="401"}']) >= 1
    assert int(lines['batch_service_request_seconds_bucket{le="+Inf"}']) == int(lines["batch_service_request_seconds_count"])
    gate.let_through()
    server.ended(number)


def test_what_happens_is_written_as_lines_of_json(own_server: Server) -> None:
    own_server.ended(own_server.post(job(1, "true")))
    own_server.ask("GET", "/batches", token="secret-token")
    own_server.stop()

    entries = [json.loads(line) for line in (own_server.data / "service.log").read_text().splitlines()]

    assert [entry["said"] for entry in entries if entry["said"] in ("began", "ended")] == ["began", "ended"]
    posted = [entry for entry in entries if entry.get("path") == "/api/v1alpha/batches/create-fast"]
    assert [(entry["method"], entry["status"], entry["user"] != "") for entry in posted] == [("POST", 200, True)]
    assert "secret-token" not in (own_server.data / "service.log").read_text()


def test_who_waits_is_answered_when_the_service_ends(own_server: Server, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    number = own_server.post(job(1, gate.shell))
    own_server.running(number, 1)
    seen, told = own_server.get(f"/batches/{number}")["mark"], list[str]()
    waiting = threading.Thread(target=lambda: told.append(own_server.get(f"/batches/{number}/wait?seen={seen}")["mark"]))
    waiting.start()
    wait_until(lambda: "\nbatch_service_requests_open 2\n" in own_server.ask("GET", "/metrics", token="").text)

    assert own_server.stop() == 0
    waiting.join(LONG_S)
    gate.let_through()

    assert told == [seen]


def test_a_backup_is_a_data_folder_that_a_service_starts_from(own_server: Server, tmp_path: Path) -> None:
    number = own_server.post(job(1, "echo kept"), attributes={"name": "kept"})
    own_server.ended(number)
    copy = tmp_path / "copy"

    said = own_server.command("backup", "--data", str(own_server.data), str(copy))
    again = own_server.command("backup", "--data", str(own_server.data), str(copy))

    assert (said.returncode, again.returncode, "is there already" in again.stderr) == (0, 1, True), said.stderr
    restored = Server(copy).start()
    assert restored.get(f"/batches/{number}")["state"] == "success"
    assert (restored.log(number, 1), restored.token) == ("kept\n", own_server.token)
    restored.close()


def test_data_of_an_earlier_version_is_brought_up_to_date_and_data_of_a_later_one_is_refused(tmp_path: Path) -> None:
    from hail_batch_jupyter.service.store.migrations import MIGRATIONS

    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    old = sqlite3.connect(data / "batches.sqlite")
    old.executescript(f"{MIGRATIONS[0]} PRAGMA user_version=1;")
    old.execute("INSERT INTO users VALUES ('ada', x'00')")
    old.execute("INSERT INTO billing_projects (name) VALUES ('local')")
    old.execute("INSERT INTO members VALUES ('local', 'ada')")
    old.execute("INSERT INTO batches (user, project, token, attributes, created_ms) VALUES ('ada', 'local', 't', '{\"name\": \"old\"}', 5)")
    old.execute("INSERT INTO updates VALUES (1, 1, 't', 1, 2, 1)")
    granted = {"preemptible": True, "req_cpu": "0.5", "req_memory": "standard", "req_storage": "0Gi"}
    counted = {"cores_mcpu": 500, "memory_bytes": 500 * (3840 << 20) // 1000, "storage_gib": 0}
    ran = {"process": {"command": ["true"], "image": "", "type": "docker"}, "job_id": 2, "env": [{"name": "a", "value": "b"}], "always_run": True}
    for job_id, name, parents, spec in ((1, "first", [], {}), (2, None, [1], {**ran, "resources": {**granted, **counted}})):
        facts = json.dumps([name, bool(parents), 7, parents, {"name": name, "x": "y"} if name else {}])
        values = (job_id, facts, json.dumps(spec))
        old.execute("INSERT INTO jobs (batch_id, job_id, update_id, facts, spec, state) VALUES (1, ?, 1, ?, ?, 'Cancelled')", values)
    old.commit()
    old.close()

    server = Server(data).start()
    found, jobs, job = server.get("/batches/1"), server.get("/batches/1/jobs?q=x%3Dy")["jobs"], server.get("/batches/1/jobs/2")
    server.close()

    assert (found["attributes"], found["state"], found["n_jobs"], found["cost"]) == ({"name": "old"}, "cancelled", 2, 0.0)
    assert [(entry["job_id"], entry["name"]) for entry in jobs] == [(1, "first")]
    assert {key: job["spec"][key] for key in ran} == ran
    assert job["spec"]["resources"] == {**granted, **counted}
    newer = sqlite3.connect(data / "batches.sqlite")
    newer.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    newer.close()
    refused = server.command("serve", "--no-images", "--port", "0", "--data", str(data))
    assert (refused.returncode, "use the version that wrote it" in refused.stderr) == (1, True)

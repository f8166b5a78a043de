"""Requests as any client may send them: what is taken, what is refused and with which words."""

from __future__ import annotations

import json
import re
import stat
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
import requests

from hail_batch_jupyter.service.api import signing
from hail_batch_jupyter.service.api.refusal import Refusal
from tests.conftest import wait_until
from tests.engine.jobs import HOLD, Gate
from tests.service.servers import Server, job


def head(token: str, n_jobs: int, **fields: Any) -> dict[str, Any]:
    return {"billing_project": "local", "token": token, "n_jobs": n_jobs, "n_job_groups": 0, **fields}


def test_who_has_no_token_is_told_nothing(server: Server) -> None:
    for token in ("", "x", server.token + "x", server.token[:-1]):
        reply = server.ask("GET", "/batches", token=token)
        assert (reply.status, reply.text) == (401, "401: Unauthorized")
    assert server.ask("GET", "/healthcheck", token="").status == 200
    assert server.ask("GET", "/cloud", token="").text == "gcp"


def test_its_files_are_closed_to_others(server: Server) -> None:
    modes = {name: stat.S_IMODE((server.data / name).stat().st_mode) for name in (".", "token", "tokens.json", "batches.sqlite", "files", "io")}

    assert modes == {".": 0o700, "token": 0o600, "tokens.json": 0o600, "batches.sqlite": 0o600, "files": 0o700, "io": 0o700}


def test_a_batch_is_filled_in_bunches_in_any_order_and_every_call_may_be_repeated(server: Server) -> None:
    made = [server.ask("POST", "/batches/create", head("in-bunches", 3)).json for _ in range(2)]
    number = made[0]["id"]
    second = [job(3, "echo 3", [1])]
    first = [job(1, "echo 1"), job(2, "echo 2")]
    bunches = f"/batches/{number}/updates/1/jobs/create"

    assert made[0] == made[1] == {"id": number, "update_id": 1, "start_job_group_id": 1, "start_job_id": 1}
    assert server.ask("POST", bunches, second).status == 200
    early = server.ask("PATCH", f"/batches/{number}/updates/1/commit")
    assert (early.status, early.reason) == (400, "wrong number of jobs: expected 3, actual 1")
    assert server.get(f"/batches/{number}")["n_jobs"] == 0
    assert [server.ask("POST", bunches, first).status for _ in range(2)] == [200, 200]
    commits = [server.ask("PATCH", f"/batches/{number}/updates/1/commit").json for _ in range(2)]

    assert commits == [{"start_job_id": 1, "start_job_group_id": 1}] * 2
    assert server.ended(number)["n_succeeded"] == 3
    late = server.ask("POST", bunches, first)
    assert (late.status, late.text) == (400, "400: update 1 is already committed")


def test_the_same_token_is_the_same_batch_and_its_jobs_run_once(server: Server) -> None:
    body = {"bunch": [job(1, "echo hi")], "job_groups": [], "batch": head("same", 1)}
    made = [server.ask("POST", "/batches/create-fast", body).json for _ in range(2)]
    number = made[0]["id"]
    update = {"bunch": [{**job(1, "echo more"), "absolute_parent_ids": [1]}], "update": {"token": "more", "n_jobs": 1}}
    more = [server.ask("POST", f"/batches/{number}/update-fast", update).json for _ in range(2)]

    assert made == [{"id": number, "start_job_group_id": 1, "start_job_id": 1}] * 2
    assert more == [{"update_id": 2, "start_job_group_id": 1, "start_job_id": 2}] * 2
    assert server.ended(number)["n_jobs"] == 2


def test_an_empty_batch_is_a_success_at_once(server: Server) -> None:
    made = server.ask("POST", "/batches/create", head("empty", 0)).json
    status = server.get(f"/batches/{made['id']}")

    assert (made["update_id"], made["start_job_id"]) == (None, None)
    assert (status["state"], status["complete"], status["duration"]) == ("success", True, "0μs")
    assert status["time_completed"] == status["time_created"]
    assert "attributes" not in status


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"resources": {"cpu": "3"}}, "cpu must be a power of two with a min of 0.25; found 3."),
        ({"resources": {"cpu": 1}}, "jobs[0].resources.cpu is not <class 'str'>."),
        ({"resources": {"memory": "3Gb"}}, "bad resource request for job"),
        ({"resources": {"machine_type": "n1-standard-4"}}, "unknown machine type n1-standard-4 for cloud gcp"),
        ({"colour": "red"}, "unknown keys in jobs[0]: {'colour'}"),
        ({"process": {"type": "docker", "command": []}}, "has an empty command"),
        ({"process": {"type": "jvm", "command": ["x"]}}, "runs 'docker' only"),
        ({"in_update_parent_ids": [1]}, "is not an earlier job"),
        ({"absolute_parent_ids": [99]}, "which is no job of a committed update"),
        ({"regions": []}, "regions must not be an empty array"),
        ({"env": [{"name": "A=B", "value": ""}]}, "has a variable 'A=B'"),
        ({"env": [{"name": "A", "value": "a\0b"}]}, "has a NUL"),
        ({"input_files": [{"from": "s3://b/x", "to": "/io/x"}]}, "name one of file:///"),
        ({"input_files": [{"from": "file:///x", "to": "/io/../etc/x"}]}, "has no '..'"),
        ({"output_files": [{"from": "/etc/passwd", "to": "file:///x"}]}, "begins with /io/"),
        ({"attributes": {"name": 1}}, "jobs[0].attributes.name is not <class 'str'>."),
        ({"in_update_job_group_id": 1}, "is in the job group 1, which does not exist"),
        ({"absolute_job_group_id": 7}, "is in the job group 7, which does not exist"),
        ({"attributes": {"name": "x" * (1 << 20)}}, "jobs[0].attributes has more than 65536 characters in all"),
        ({"in_update_parent_ids": [0] * 1_000_000}, "is not an earlier job"),
        ({"absolute_parent_ids": list(range(1, 1_000_000))}, "is no job of a committed update"),
        ({"resources": {"memory": "9" * 30}}, "bad resource request for job"),
        ({"resources": {"cpu": "1" + "0" * 30}}, "bad resource request for job"),
        ({"resources": {"cpu": "1", "machine_type": "n1-standard-4"}}, "cannot specify cpu and memory with machine_type"),
        ({"output_files": [{"from": "/io/../etc/passwd", "to": "file:///x"}]}, "has no '..'"),
        ({"job_id": 2}, "job ids [2, 2] are out of range [1, 1] allocated by update"),
        ({"timeout": 0}, "jobs[0].timeout does not satisfy the condition x > 0."),
        ({"always_run": "yes"}, "jobs[0].always_run is not <class 'bool'>."),
        ({"secrets": [{"namespace": "n", "name": "s", "mount_path": "/s"}]}, "unauthorized secret (n, s) for user"),
        ({"service_account": {"namespace": "n", "name": "a"}}, "unauthorized service account (n, a) for user"),
        ({"unconfined": True}, "unauthorized use of unconfined=True"),
        ({"network": "private"}, "unauthorized network private"),
        ({"mount_tokens": True}, "mounts no tokens"),
        ({"port": 80}, "publishes no ports"),
        ({"resources": {"cpu": "\u0661"}}, "bad resource request for job"),
        ({"cloudfuse": [{"bucket": "b", "mount_path": "/m", "read_only": True}]}, "mounts no buckets"),
    ],
)
def test_a_job_that_cannot_be_taken_is_refused_and_nothing_is_kept(server: Server, change: dict[str, Any], words: str) -> None:
    before = len(server.get("/batches?q=")["batches"])

    reply = server.ask("POST", "/batches/create-fast", {"bunch": [{**job(1, "true"), **change}], "batch": head("refused", 1)})

    assert (reply.status, words in reply.text, reply.text.startswith("400: ")) == (400, True, True), reply
    assert len(server.get("/batches?q=")["batches"]) == before


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/batches/create", b"{", 400),
        ("POST", "/batches/create", b"[1]", 400),
        ("POST", "/batches/create", b"\xff", 400),
        ("POST", "/batches/create", b"[" * 100_000, 400),
        ("POST", "/batches/create", json.dumps(head("\ud800", 0)).encode(), 400),
        ("POST", "/batches/create", json.dumps(head("t", 0, billing_project="\udfff")).encode(), 400),
        ("POST", "/batches/create", json.dumps(head("t", 0, billing_project="käse\n\x00")).encode(), 403),
        ("POST", "/batches/create", json.dumps(head("t", -1)).encode(), 400),
        ("POST", "/batches/create", json.dumps(head("t", 10**30)).encode(), 400),
        ("POST", "/batches/create", json.dumps(head("t" * 101, 0)).encode(), 400),
        ("POST", "/batches/create", json.dumps(head("t", 0, billing_project="lab")).encode(), 403),
        ("POST", "/batches/create-fast", json.dumps({"bunch": [], "batch": head("t", 0)}).encode(), 400),
        ("GET", "/batches/99999", None, 404),
        ("GET", "/batches/" + "9" * 40, None, 404),
        ("GET", "/batches/x", None, 404),
        ("GET", "/nothing", None, 404),
        ("PUT", "/batches/create", b"{}", 405),
        ("GET", "/batches?q=nonsense", None, 400),
        ("GET", "/batches?last_batch_id=x", None, 400),
        ("GET", "/api/v2alpha/batches?q=cost+%7E+1", None, 400),
        ("PATCH", "/batches/99999/cancel", None, 404),
        ("GET", "/billing_projects/lab", None, 403),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(server: Server, method: str, path: str, body: bytes | None, status: int) -> None:
    reply = server.ask(method, path, data=body)

    assert (reply.status, reply.text.startswith(f"{status}: "), "\n" in reply.text) == (status, True, False), reply


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_the_limit_is_read_to_its_end_and_refused_in_one_sentence(server: Server, chunked: bool) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    body = iter([b" " * (1 << 20)] * 32) if chunked else b" " * (32 << 20)
    connection.request("POST", "/api/v1alpha/batches/create", body, {"Authorization": f"Bearer {server.token}"}, encode_chunked=chunked)

    reply = connection.getresponse()

    assert (reply.status, reply.read()) == (413, b"413: the body has more than 8 MiB; send less at a time")
    connection.request("GET", "/healthcheck")  # the connection is as good as before
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data", "application/json; charset=none", ""])
def test_a_body_is_what_was_sent_whatever_it_is_called(server: Server, kind: str) -> None:
    path = f"/files/content?path={server.get('/files')['remote_tmpdir'].removeprefix('hbj://')}/kinds"
    data = b"a=%ff&" * 5000 + b"\0"

    written = server.ask("PUT", path, data=data, **{"Content-Type": kind})

    assert (written.status, server.ask("GET", path).text.encode()) == (200, data)


def test_methods_that_nobody_knows_are_refused_and_counted_together(server: Server) -> None:
    for method in ("TRACE", "NONSENSE"):
        assert server.ask(method, "/batches").status == 405

    counters = server.ask("GET", "/metrics", token="").text

    assert re.search(r"^batch_service_requests_open [1-9]", counters, re.MULTILINE)  # at least the one that asks
    assert ('method="other",status="405"' in counters, "TRACE" in counters, "NONSENSE" in counters) == (True, False, False)


def test_lists_are_in_pages_and_their_queries_hold(server: Server) -> None:
    numbers = [server.ask("POST", "/batches/create", head(f"page-{n}", 0, attributes={"page": "p"})).json["id"] for n in range(51)]

    page = server.get("/batches?q=page%3Dp")
    rest = server.get(f"/batches?q=page%3Dp&last_batch_id={page['last_batch_id']}")
    assert [batch["id"] for batch in page["batches"] + rest["batches"]] == numbers[::-1]
    assert (len(page["batches"]), "last_batch_id" in rest) == (50, False)
    assert len(server.get("/api/v2alpha/batches?q=page+%3D+p%0Astate+%3D+success")["batches"]) == 50

    number = server.post(job(1, "exit 2", attributes={"name": "bad", "chr": "22"}), *[job(n, "true", attributes={"chr": str(n)}) for n in range(2, 52)])
    server.ended(number)
    first = server.get(f"/batches/{number}/jobs")
    assert (len(first["jobs"]), first["last_job_id"]) == (50, 50)
    assert [entry["job_id"] for entry in server.get(f"/batches/{number}/jobs?last_job_id=50")["jobs"]] == [51]
    for version, query, expected in [
        (1, "bad", [1]),
        (1, "failed has:chr", [1]),
        (1, "!success", [1]),
        (1, "name=bad", [1]),
        (1, "job_id=7", [7]),
        (2, "exit_code != 0", [1]),
        (2, "job_id > 49", [50, 51]),
        (2, "chr =~ 22", [1, 22]),
        (2, '"22"', [1, 22]),
        (2, "name = bad\nstate = done", [1]),
    ]:
        found = server.ask("GET", f"/api/v{version}alpha/batches/{number}/jobs?q={query.replace(' ', '%20').replace(chr(10), '%0A').replace('=', '%3D')}").json
        assert [entry["job_id"] for entry in found["jobs"]] == expected, query


def test_queries_ask_for_attempts_also_while_they_go_on(own_server: Server, tmp_path: Path) -> None:
    gate, began = Gate(tmp_path / "gate"), datetime.now(UTC).isoformat().replace("+00:00", "Z")
    number = own_server.post(job(1, gate.shell, attributes={"name": "first"}), job(2, "true", [1]))
    gate.reached()
    wait_until(lambda: own_server.states(number) == ["Running", "Pending"])
    here = own_server.get(f"/batches/{number}/jobs/1/attempts")[0]["instance_name"]

    def found(query: str) -> list[int]:
        return [entry["job_id"] for entry in own_server.get(f"/api/v2alpha/batches/{number}/jobs?q={quote(query)}")["jobs"]]

    try:
        for query, expected in [
            (f"instance = {here}", [1]),
            (f"instance =~ {here[:-1]}", [1]),
            (f"instance != {here}", []),
            (f'"{here}"', [1]),
            (here.upper(), [1]),
            ("instance_collection = standard", [1, 2]),
            ("instance_collection !~ stand", []),
            (f"start_time >= {began}", [1]),
            (f"start_time < {began}", []),
            ("duration >= 0", [1]),
            ("duration > 86400", []),
            (f"end_time >= {began}", []),
        ]:
            assert found(query) == expected, query
        refused = own_server.ask("GET", f"/api/v2alpha/batches/{number}/jobs?q={quote('instance > x')}")
        assert (refused.status, refused.text) == (400, '400: unexpected operator ">" expected one of {!=, !~, =, ==, =~}')
    finally:
        gate.let_through()
    own_server.ended(number)


def test_a_batch_is_cancelled_where_somebody_cancelled_it_whatever_its_state_is(own_server: Server) -> None:
    batches = [own_server.post(job(1, "exit 1")), own_server.post(job(1, "exit 1"), job(2, "true", [1])), own_server.post(job(1, "true"))]
    for number in batches:
        own_server.ended(number)
    own_server.ask("PATCH", f"/batches/{batches[0]}/cancel")  # it is a failure all the same; a job of the second was cancelled, but not the batch

    for version, query, expected in [(1, "cancelled", batches[:1]), (2, "state = cancelled", batches[:1]), (1, "!cancelled", batches[:0:-1])]:
        found = own_server.get(f"/api/v{version}alpha/batches?q={quote(query)}")["batches"]
        assert [batch["id"] for batch in found] == expected, query


def test_the_list_tells_of_ended_batches_what_they_are_now(own_server: Server) -> None:
    number = own_server.post(job(1, "true"))
    own_server.ended(number)

    def listed(query: str = "") -> Any:
        (entry,) = own_server.get(f"/batches?q={query}")["batches"]
        return {key: entry[key] for key in ("state", "n_jobs", "n_succeeded", "n_cancelled", "complete")}

    def told() -> Any:
        batch = own_server.get(f"/batches/{number}")
        return {key: batch[key] for key in ("state", "n_jobs", "n_succeeded", "n_cancelled", "complete")}

    assert [listed() for _ in range(2)] == [told()] * 2
    more = {"bunch": [job(1, "exit 1")], "update": {"token": "more", "n_jobs": 1}}
    assert own_server.ask("POST", f"/batches/{number}/update-fast", more).status == 200
    assert (listed()["n_jobs"], own_server.ended(number)["n_jobs"]) == (2, 2)
    wait_until(lambda: [listed("failure") for _ in range(2)] == [told()] * 2)
    own_server.ask("PATCH", f"/batches/{number}/cancel")
    assert (listed("cancelled"), own_server.get("/batches?q=!cancelled")["batches"]) == (told(), [])
    own_server.ask("DELETE", f"/batches/{number}")
    assert own_server.get("/batches?q=")["batches"] == []


def test_a_signed_address_gives_one_log_to_nobody_known(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    number = own_server.post(job(1, "echo signed"), job(2, "exit 1"), job(3, "true", [2]))
    own_server.ended(number)
    path = f"/batches/{number}/jobs/1/log/main"

    made = own_server.get(f"{path}/signed_url")

    address = made["signed_url"]
    assert address.startswith(f"http://127.0.0.1:{own_server.port}/api/v1alpha{path}?attempt_id=")
    assert requests.get(address, timeout=30).text == "signed\n"
    assert requests.get(address, headers={"Range": "bytes=0-1"}, timeout=30).text == "si"
    others = (
        ["jobs/1/", "jobs/2/"],
        ["until=", "until=9"],
        ["attempt_id=", "attempt_id=x"],
        ["user=", "user=x"],
        ["signature=", "signature=0"],
        ["/main", "/input"],
    )
    assert {requests.get(address.replace(*words), timeout=30).status_code for words in others} == {401}
    assert requests.get(address.partition("?")[0], timeout=30).status_code == 401
    assert own_server.ask("GET", f"/batches/{number}/jobs/3/log/main/signed_url").reason == "no attempt found for this job"
    assert own_server.ask("GET", f"/batches/{number}/jobs/1/log/input/signed_url").status == 400
    monkeypatch.setattr(signing, "_GOOD_MS", -1)
    words = dict(parse_qsl(signing.signed("", path, "ann", "a")[0].partition("?")[2]))
    with pytest.raises(Refusal, match="the address is over"):
        signing.signer(path, words)


def test_what_is_quoted_in_a_refusal_has_an_end(server: Server) -> None:
    reply = server.ask("POST", "/batches/create", dict.fromkeys(map(str, range(100_000))))

    assert (reply.status, len(reply.text)) == (400, len("400: ") + 2001)


def test_a_job_is_told_with_all_that_was_posted_and_granted(server: Server) -> None:
    number = server.post(
        job(
            1,
            'echo "$A $HAIL_BATCH_ID $HAIL_JOB_ID $HAIL_REGION"; pwd > /io/pwd; ls /io',
            env=[{"name": "A", "value": "a b"}],
            resources={"cpu": "0.5"},
            attributes={"name": "n"},
        )
    )
    server.ended(number)
    found = server.get(f"/batches/{number}/jobs/1")

    assert server.log(number, 1) == f"a b {number} 1 local\npwd\n"
    assert (found["name"], found["attributes"], found["exit_code"], found["cost"]) == ("n", {"name": "n"}, 0, 0.0)
    assert found["spec"]["resources"] == {
        "preemptible": True,
        "req_cpu": "0.5",
        "req_memory": "standard",
        "req_storage": "0Gi",
        "cores_mcpu": 500,
        "memory_bytes": 3840 * (1 << 20) // 2,
        "storage_gib": 0,
    }
    assert found["spec"]["env"] == [{"name": "A", "value": "a b"}]
    assert found["status"]["attempt_id"] == server.get(f"/batches/{number}/jobs/1/attempts")[0]["attempt_id"]
    assert server.ask("GET", f"/batches/{number}/jobs/1/log/output").text.startswith("400: unknown container output")
    assert server.ask("GET", f"/batches/{number}/jobs/1/log").json == {"main": f"a b {number} 1 local\npwd\n"}
    assert server.ask("GET", f"/batches/{number}/jobs/1/log/main?attempt_id=nobody").status == 404


def test_what_attempts_were_given_and_used_is_told(server: Server) -> None:
    hungry = "python3 -c \"block = b'x' * (60 << 20); import time; t = time.process_time()\nwhile time.process_time() < t + 0.2: pass\""
    number = server.post(job(1, hungry, resources={"cpu": "0.5", "memory": "2Gi"}), job(2, "exit 3"))
    server.ended(number)
    path = f"/batches/{number}/jobs/1"

    (attempt,) = server.get(f"{path}/attempts")
    assert (attempt["cores_mcpu"], attempt["memory_bytes"], attempt["exit_code"]) == (500, 2 << 30, 0)
    assert attempt["max_rss_bytes"] > 60 << 20
    assert 0.2 <= attempt["cpu_s"] < 10
    table = server.get(f"{path}/resource_usage")["main"]
    (row,) = [dict(zip(table["columns"], line, strict=True)) for line in table["data"]]
    assert (row["time_msecs"], row["memory_in_bytes"]) == (attempt["end_time_ms"], attempt["max_rss_bytes"])
    assert row["cpu_usage"] == pytest.approx(attempt["cpu_s"] / attempt["duration_ms"] * 1000, abs=0.001)
    assert row["io_storage_in_bytes"] is None
    assert server.get(f"{path}/resource_usage?attempt_id={attempt['attempt_id']}") == {"main": table}
    assert server.ask("GET", f"{path}/resource_usage?attempt_id=nobody").status == 404
    one, two = server.get(f"/batches/{number}/jobs")["jobs"]
    assert [(each["number"], each["max_rss_bytes"]) for each in one["attempts"]] == [(1, attempt["max_rss_bytes"])]
    assert [(each["exit_code"], each["end_time_ms"] >= each["start_time_ms"]) for each in two["attempts"]] == [(3, True)]
    assert server.get(path)["attempts"] == one["attempts"]


def test_a_missing_input_never_starts_the_job_and_a_missing_output_fails_it(server: Server) -> None:
    missing = [{"from": "file:///nowhere/x", "to": "/io/x"}]
    number = server.post(job(1, "echo ran", input_files=missing), job(2, "echo ran", output_files=[{"from": "/io/none", "to": "file:///nowhere/y"}]))
    server.ended(number)

    assert server.states(number) == ["Failed", "Failed"]
    assert (server.log(number, 1), "input copy failed" in server.log(number, 1, "input")) == ("", True)
    assert (server.log(number, 2), "output copy failed" in server.log(number, 2, "output")) == ("ran\n", True)
    states = [{name: part["state"] for name, part in server.get(f"/batches/{number}/jobs/{n}")["status"]["container_statuses"].items()} for n in (1, 2)]
    assert states == [{"input": "failed", "main": "pending"}, {"main": "succeeded", "output": "failed"}]


def test_a_batch_is_cancelled_after_so_many_failures(server: Server) -> None:
    number = server.post(job(1, "exit 1"), job(2, HOLD), job(3, "true", [2]), cancel_after_n_failures=1)

    assert server.ended(number)["state"] == "failure"
    assert server.states(number) == ["Failed", "Cancelled", "Cancelled"]
    refused = server.ask("POST", f"/batches/{number}/updates/create", {"token": "x", "n_jobs": 1})
    assert (refused.status, refused.reason) == (400, "Cannot submit new jobs or job groups to a cancelled batch")


def test_why_a_batch_is_cancelled_or_deleted_is_kept_in_one_line(server: Server) -> None:
    number = server.post(job(1, HOLD))
    reason = quote(" the\r\nwrong\x00 reference\u2028 <b>panél</b> " + "x" * 300)

    assert server.ask("PATCH", f"/batches/{number}/job-groups/0/cancel?why={reason}").status == 200
    assert server.ask("PATCH", f"/batches/{number}/cancel?why=again").status == 200
    (deed,) = server.get(f"/batches/{number}/deeds")
    assert (deed["why"][:36], len(deed["why"])) == ("the wrong reference <b>panél</b> xxx", 200)
    assert server.ask("DELETE", f"/batches/{number}?why=%20no%20use%20").status == 200
    assert server.ask("GET", f"/batches/{number}").text.endswith("Z (no use)")


def test_a_deleted_batch_is_gone_with_its_files_and_its_token_stays_taken(server: Server) -> None:
    number = server.post(job(1, f"echo here; {HOLD}"), token="deleted")
    wait_until(lambda: server.log(number, 1) == "here\n")
    folders = {path.name for path in (server.data / "runs").glob(f"*-batch-{number}-*")}

    assert server.ask("DELETE", f"/batches/{number}").status == 200

    assert [server.ask(method, f"/batches/{number}").status for method in ("GET", "DELETE")] == [404, 404]
    assert number not in [batch["id"] for batch in server.get("/batches?q=")["batches"]]
    wait_until(lambda: not folders & {path.name for path in (server.data / "runs").glob("*")})
    assert server.ask("POST", "/batches/create", head("deleted", 0)).json["id"] == number


def test_the_root_group_stands_for_the_batch(server: Server) -> None:
    number = server.post(job(1, "true"))
    server.ended(number)
    group = server.get(f"/batches/{number}/job-groups/0")

    assert (group["job_group_id"], group["n_succeeded"], isinstance(group["duration"], int)) == (0, 1, True)
    assert server.get(f"/batches/{number}/job-groups") == {"job_groups": []}
    assert server.ask("GET", f"/batches/{number}/job-groups/1").status == 404
    assert server.ask("PATCH", f"/batches/{number}/job-groups/1/cancel").status == 403


def test_clients_that_log_in_and_out_find_what_they_ask_for(server: Server) -> None:
    user = server.get("/userinfo")

    assert set(user["system_permissions"].values()) == {True}
    assert server.get("/check_system_permission?permission=read_all_billing_projects") == {"has_permission": True}
    assert server.get("/check_system_permission?permission=fly") == {"has_permission": False}
    assert server.ask("GET", "/check_system_permission").reason.startswith("permission is required")
    assert (server.get("/users"), server.get(f"/users/{user['username']}")) == ([user], user)
    assert server.ask("GET", "/users/nobody").status == 404
    for method, path in (("GET", "/oauth2-client"), ("POST", "/copy-paste-login?copy_paste_token=x")):
        refused = server.ask(method, path, token="")
        assert (refused.status, "auth login --token" in refused.text) == (404, True)
    assert (server.ask("POST", "/logout").status, server.ask("POST", "/logout", token="").status) == (200, 401)
    assert server.get("/userinfo") == user


def test_the_user_has_a_project(server: Server) -> None:
    user = server.get("/userinfo")["username"]

    assert server.get("/billing_projects") == [{"billing_project": "local", "status": "open", "users": [user], "limit": None, "accrued_cost": 0.0}]
    assert server.get("/billing_projects/local")["users"] == [user]
    assert (server.ask("GET", "/default_region").text, server.get("/supported_regions")) == ("local", ["local"])

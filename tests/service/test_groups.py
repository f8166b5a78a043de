"""Job groups: posted, nested, counted, listed, limited, cancelled, and called back about."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import wait_until
from tests.engine.jobs import HOLD, Gate
from tests.service.servers import Server, job


def group(number: int, parent: int = 0, **fields: Any) -> dict[str, Any]:
    return {"job_group_id": number, "in_update_parent_id": parent, **fields}


def in_group(number: int, group_id: int, script: str, parents: list[int] | None = None, **fields: Any) -> dict[str, Any]:
    return job(number, script, parents, in_update_job_group_id=group_id, **fields)


def create_fast(server: Server, groups: list[dict[str, Any]], jobs: list[dict[str, Any]], **head: Any) -> int:
    batch = {"billing_project": "local", "token": head.pop("token", f"groups-{id(groups)}"), "n_jobs": len(jobs), "n_job_groups": len(groups), **head}
    reply = server.ask("POST", "/batches/create-fast", {"bunch": jobs, "job_groups": groups, "batch": batch})
    assert reply.status == 200, reply
    return int(reply.json["id"])


def test_groups_are_counted_with_what_is_below_them_and_listed_in_pages(server: Server) -> None:
    groups = [group(1, attributes={"name": "outer"}), group(2, 1), *[group(number, 1) for number in range(3, 54)]]
    jobs = [in_group(1, 1, "true"), in_group(2, 2, "exit 3"), job(3, 'echo "$HAIL_JOB_GROUP_ID"')]
    number = create_fast(server, groups, jobs)
    whole = server.ended(number)

    outer, inner = (server.get(f"/batches/{number}/job-groups/{each}") for each in (1, 2))
    assert (whole["n_jobs"], outer["n_jobs"], outer["n_failed"], inner["n_jobs"], inner["state"]) == (3, 2, 1, 1, "failure")
    assert (outer["attributes"], "attributes" in inner, outer["duration"] >= 0) == ({"name": "outer"}, False, True)
    assert [each["job_group_id"] for each in server.get(f"/batches/{number}/job-groups")["job_groups"]] == [1]
    page = server.get(f"/batches/{number}/job-groups/1/job-groups")
    assert ([each["job_group_id"] for each in page["job_groups"]], page["last_job_group_id"]) == (list(range(2, 52)), 51)
    rest = server.get(f"/batches/{number}/job-groups/1/job-groups?last_job_group_id=51")
    assert ([each["job_group_id"] for each in rest["job_groups"]], "last_job_group_id" in rest) == ([52, 53], False)
    for path, expected in [
        ("/jobs", [3]),
        ("/jobs?recursive=True", [1, 2, 3]),
        ("/job-groups/1/jobs", [1]),
        ("/job-groups/1/jobs?recursive=1", [1, 2]),
        ("/job-groups/2/jobs", [2]),
        ("/job-groups/3/jobs?recursive=true", []),
    ]:
        assert [entry["job_id"] for entry in server.get(f"/batches/{number}{path}")["jobs"]] == expected, path
    found = server.get(f"/batches/{number}/jobs/2")
    assert (found["spec"]["job_group_id"], found["status"]["job_group_id"], server.log(number, 3)) == (2, 2, "0\n")
    assert [server.ask("GET", f"/batches/{number}/job-groups/99{end}").status for end in ("", "/jobs", "/job-groups")] == [404, 404, 403]


def test_groups_are_posted_in_bunches_which_may_be_repeated_and_later_updates_name_them(server: Server) -> None:
    head = {"billing_project": "local", "token": "group-bunches", "n_jobs": 1, "n_job_groups": 2}
    number = server.ask("POST", "/batches/create", head).json["id"]
    bunches, commit = f"/batches/{number}/updates/1/job-groups/create", f"/batches/{number}/updates/1/commit"

    assert [server.ask("POST", bunches, [group(1)]).status for _ in range(2)] == [200, 200]
    partly = server.ask("POST", bunches, [group(1), group(2)])
    assert partly.reason == "1 of 2 job groups in this request already exist in update 1"
    assert server.ask("POST", f"/batches/{number}/updates/1/jobs/create", [in_group(1, 1, "true")]).status == 200
    assert server.ask("PATCH", commit).reason == "wrong number of job groups: expected 2, actual 1"
    assert server.ask("GET", f"/batches/{number}/job-groups/1").status == 404
    assert server.ask("POST", bunches, [group(2, 1)]).status == 200
    assert server.ask("PATCH", commit).status == 200

    update = {"update": {"token": "later", "n_jobs": 1, "n_job_groups": 1}, "job_groups": [{"job_group_id": 1, "absolute_parent_id": 1}]}
    more = server.ask("POST", f"/batches/{number}/update-fast", {**update, "bunch": [in_group(1, 1, "true")]})
    assert more.json == {"update_id": 2, "start_job_group_id": 3, "start_job_id": 2}
    server.ended(number)
    assert server.get(f"/batches/{number}/job-groups/3")["n_succeeded"] == 1
    assert server.get(f"/batches/{number}/job-groups/1")["n_succeeded"] == 2


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([group(1), group(3)], "noncontiguous job group ids found in the spec: 1 -> 3"),
        ([group(2), group(3)], "job group ids [2, 3] are out of range [1, 2] allocated by update 1"),
        ([{"job_group_id": 1}], "job group must define in_update_parent_id or absolute_parent_id"),
        ([group(1, 2)], "error while inserting job group 1 into batch"),
        ([group(1, 2)], "job group parent 2 does not exist"),
        ([group(1, 1)], "job group parent 1 does not exist"),
        ([{**group(1), "colour": 1}], "unknown keys in job_groups[0]: {'colour'}"),
        ([group(1, callback="ftp://x")], "job_groups[0].callback is no http"),
        ([group(1, callback="http://x/" + "y" * 255)], "at most 255 characters"),
        ([group(1, cancel_after_n_failures=0)], "job_groups[0].cancel_after_n_failures does not satisfy the condition x > 0."),
    ],
)
def test_a_group_that_makes_no_sense_is_refused_and_nothing_of_it_is_kept(server: Server, groups: list[dict[str, Any]], words: str) -> None:
    head = {"billing_project": "local", "token": "bad-groups", "n_jobs": 0, "n_job_groups": 2}
    number = server.ask("POST", "/batches/create", head).json["id"]

    reply = server.ask("POST", f"/batches/{number}/updates/1/job-groups/create", groups)

    assert (reply.status, words in reply.text) == (400, True), reply
    assert server.ask("PATCH", f"/batches/{number}/updates/1/commit").reason == "wrong number of job groups: expected 2, actual 0"


def test_groups_are_two_levels_deep_at_most(server: Server) -> None:
    head = {"billing_project": "local", "token": "deep", "n_jobs": 0, "n_job_groups": 3}
    reply = server.ask("POST", "/batches/create-fast", {"bunch": [], "job_groups": [group(1), group(2, 1), group(3, 2)], "batch": head})

    assert (reply.status, reply.text.endswith("job group exceeded the maximum level of nesting")) == (400, True)


def test_cancelling_a_group_ends_its_jobs_and_no_others(server: Server, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    jobs = [
        in_group(1, 1, HOLD),
        in_group(2, 2, "true", [1]),
        in_group(3, 2, "true", [1], always_run=True),
        in_group(4, 3, gate.shell),
    ]
    number = create_fast(server, [group(1), group(2, 1), group(3)], jobs)
    gate.reached()

    assert [server.ask("PATCH", f"/batches/{number}/job-groups/1/cancel").status for _ in range(2)] == [200, 200]
    wait_until(lambda: server.get(f"/batches/{number}/job-groups/1")["complete"], story=lambda: server.states(number))
    server.running(number, 4)
    for bad, words in [
        ({"bunch": [{**job(1, "true"), "absolute_job_group_id": 2}], "update": {"token": "a", "n_jobs": 1}}, "where the job group has already been cancelled"),
        (
            {"bunch": [], "job_groups": [{"job_group_id": 1, "absolute_parent_id": 1}], "update": {"token": "b", "n_jobs": 0, "n_job_groups": 1}},
            "job group parent has already been cancelled",
        ),
    ]:
        refused = server.ask("POST", f"/batches/{number}/update-fast", bad)
        assert (refused.status, words in refused.text) == (400, True), refused
    gate.let_through()

    server.ended(number)
    assert server.states(number) == ["Cancelled", "Cancelled", "Success", "Success"]
    assert [server.get(f"/batches/{number}/job-groups/{each}")["state"] for each in (1, 2, 3)] == ["cancelled", "cancelled", "success"]
    assert server.ask("PATCH", f"/batches/{number}/job-groups/9/cancel").reason == f"Job Group ({number}, 9) does not exist."


def test_a_group_is_cancelled_after_so_many_failures_and_the_rest_goes_on(server: Server, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    number = create_fast(server, [group(1, cancel_after_n_failures=1)], [in_group(1, 1, "exit 1"), in_group(2, 1, HOLD), job(3, gate.shell)])
    gate.reached()

    wait_until(lambda: server.get(f"/batches/{number}/job-groups/1")["complete"], story=lambda: server.states(number))
    gate.let_through()

    server.ended(number)
    assert server.states(number) == ["Failed", "Cancelled", "Success"]


@pytest.fixture
def called() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A place to call, and the bodies that it got."""
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listener.server_port}/done", bodies
    listener.shutdown()
    thread.join()
    listener.server_close()


def test_who_is_to_be_called_is_called_once_for_each_end(server: Server, called: tuple[str, list[dict[str, Any]]]) -> None:
    address, bodies = called
    number = create_fast(server, [group(1, callback=address)], [in_group(1, 1, "true")], callback=address)
    wait_until(lambda: len(bodies) == 2)
    assert sorted((body.get("job_group_id", -1), body["complete"], body["n_jobs"]) for body in bodies) == [(-1, True, 1), (1, True, 1)]

    server.ask("POST", f"/batches/{number}/update-fast", {"bunch": [job(1, "true")], "update": {"token": "more", "n_jobs": 1}})
    wait_until(lambda: len(bodies) == 3)

    assert (bodies[2]["id"], bodies[2]["n_succeeded"]) == (number, 2)

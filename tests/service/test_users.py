"""Several users of one service: who sees, cancels and reads what, and who is not let in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hail_batch_jupyter.core.spec import Transfer
from hail_batch_jupyter.engine.localize import Localizer
from tests.conftest import wait_until
from tests.service.plain_engine import post, shared_server, token_of, user
from tests.service.servers import Server, job
from tests.service.test_images import start

ALONE = "would read each other's files; run jobs in containers"


@pytest.fixture
def shared(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A service with the users ann and ben."""
    server = shared_server(runs, monkeypatch, "ann", "ben")
    yield server
    server.close()


def test_nobody_sees_or_ends_the_batch_of_another_without_membership_in_its_project(shared: Server) -> None:
    ann, ben = token_of(shared, "ann"), token_of(shared, "ben")
    number = post(shared, "ann", job(1, "sleep 100")).json["id"]
    asked = [("GET", ""), ("GET", "/jobs"), ("GET", "/jobs/1"), ("GET", "/jobs/1/log/main"), ("GET", "/deeds"), ("PATCH", "/cancel"), ("DELETE", "")]

    assert {shared.ask(method, f"/batches/{number}{path}", token=ben).status for method, path in asked} == {404}
    assert shared.ask("GET", "/batches?q=", token=ben).json["batches"] == []
    assert post(shared, "ben", job(1, "true"), project="ann").reason == "Unknown Hail Batch billing project ann."
    added = "/billing_projects/ann/users/ben/add"
    assert shared.ask("POST", added, token=ben).status == shared.ask("POST", added, token=ann).status == 401
    assert shared.ask("POST", added).status == 200

    assert shared.ask("PATCH", f"/batches/{number}/cancel", token=ben).status == 200
    (deed,) = shared.ask("GET", f"/batches/{number}/deeds", token=ann).json
    assert (deed["deed"], deed["user"], deed["why"], deed["job_group_id"]) == ("cancel", "ben", "asked for", 0)
    assert shared.ask("POST", f"/batches/{number}/updates/create", {"token": "t", "n_jobs": 1}, ben).status == 404


def test_what_others_may_have_run_is_less_than_what_the_owner_may(shared: Server) -> None:
    own, file = shared.get("/userinfo")["username"], [{"from": "file:///etc/hostname", "to": "/io/x"}]
    refused = [
        ({"input_files": file}, "does not reach; name one of hbj://ann/…"),
        ({"input_files": [{"from": "gs://bucket/x", "to": "/io/x"}]}, "takes a service account that you do not have here"),
        ({"input_files": [{"from": f"hbj://{own}/x", "to": "/io/x"}]}, "is not yours"),
        ({"process": {"type": "docker", "image": "", "command": ["id"]}}, "names no image"),
        ({"process": {"type": "docker", "image": "--privileged", "command": ["ubuntu:24.04"]}}, "is no name of one"),
        ({"process": {"type": "docker", "image": "docker-archive:/etc/x.tar", "command": ["id"]}}, "take those of registries only"),
        ({"process": {"type": "docker", "image": "oci-archive:///etc/x.tar", "command": ["id"]}}, "take those of registries only"),
    ]

    for fields, words in refused:
        reply = post(shared, "ann", {**job(1, "true"), **fields})
        assert (reply.status // 100, words in reply.text) == (4, True), reply
    assert shared.ask("GET", f"/files/list?path={own}", token=token_of(shared, "ann")).status == 403
    (shared.data / "files" / "ann").mkdir()
    (shared.data / "files" / "ann" / "out").symlink_to(shared.data / "token")
    assert "leads out of your files" in shared.ask("GET", "/files/content?path=ann/out", token=token_of(shared, "ann")).text


def test_users_are_listed_removed_and_made_again_with_another_token(shared: Server) -> None:
    before = token_of(shared, "ann")
    own = shared.get("/userinfo")["username"]

    assert sorted(user(shared, "list").stdout.splitlines()) == sorted([f"{own}\tadmin\tlocal", "ann\tuser\tann", "ben\tuser\tben"])
    assert "there is a user 'Ann' already" in user(shared, "add", "Ann").stderr
    assert "is no name of a user" in user(shared, "add", "../x").stderr
    assert "it stays" in user(shared, "remove", own).stderr
    assert "let in no more" in user(shared, "remove", "ann").stdout
    assert "there is no user 'ann'" in user(shared, "remove", "ann").stderr
    assert shared.ask("GET", "/userinfo", token=before).status == 401
    assert user(shared, "add", "ann", "--role", "admin", "--project", "local").returncode == 0
    assert shared.ask("GET", "/userinfo", token=before).status == 401
    assert shared.ask("POST", "/billing_projects/of-ann/create", token=token_of(shared, "ann")).status == 200
    digests = (shared.data / "batches.sqlite").read_bytes()
    assert token_of(shared, "ann").encode() not in digests


def test_a_second_user_is_refused_where_jobs_are_processes(shared: Server, own_server: Server) -> None:
    assert ALONE in user(own_server, "add", "ann").stderr

    shared.stop()
    status, words = start("--no-images", "--data", str(shared.data))
    shared.start()
    assert (status, "ann, ben" in words, ALONE in words) == (1, True, True)


def test_an_output_that_is_a_link_out_of_the_jobs_files_is_not_copied(tmp_path: Path) -> None:
    own, secret = tmp_path / "own", tmp_path / "secret"
    (own / "folder").mkdir(parents=True)
    secret.write_text("secret")
    (own / "good").write_text("good")
    (own / "link").symlink_to(secret)
    (own / "folder" / "deep").symlink_to(tmp_path)
    localizer = Localizer(str(tmp_path), confined=str(own))

    localizer.copy_out([Transfer(str(own / "good"), str(tmp_path / "out"))])
    for name in ("link", "folder"):
        with pytest.raises(PermissionError, match="outside of the job's files"):
            localizer.copy_out([Transfer(str(own / name), str(tmp_path / f"out-{name}"))])

    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "own", "secret"]


def test_everybody_is_told_of_own_spending_and_administrators_of_all(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = shared_server(runs, monkeypatch, "ann", "ben", card="hail")
    try:
        ann, ben = token_of(server, "ann"), token_of(server, "ben")
        assert server.ask("POST", "/billing_projects/ann/users/ben/add").status == 200
        for name in ("ann", "ben"):
            number = post(server, name, job(1, "true"), project="ann").json["id"]
            wait_until(lambda number=number: server.ask("GET", f"/batches/{number}", token=ann).json["complete"])

        def seen(token: str | None) -> set[str]:
            days = "start=01/01/2020&end=12/31/2999"
            reports = [server.ask("GET", f"/{report}?{days}", token=token).json for report in ("billing", "billing_breakdown")]
            assert {line["user"] for line in reports[0]} == {line["user"] for line in reports[1]}
            return {line["user"] for line in reports[0]}

        assert (seen(ann), seen(ben), seen(None)) == ({"ann"}, {"ben"}, {"ann", "ben"})
        projects = [[each["billing_project"] for each in server.ask("GET", "/billing_projects", token=token).json] for token in (ann, ben, None)]
        assert projects == [["ann"], ["ann", "ben"], ["ann", "ben", "local"]]
        assert server.ask("GET", "/check_system_permission?permission=read_all_billing_projects", token=ann).json == {"has_permission": False}
        assert [server.ask("GET", path, token=ann).status for path in ("/users", "/users/ben", "/users/nobody", "/users/ann")] == [401, 401, 401, 200]
    finally:
        server.close()

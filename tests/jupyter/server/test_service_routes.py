"""Batches of a real batch service, through a real Jupyter server."""

from __future__ import annotations

import base64
import json
import os
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.jupyter.server.servicelist import ServiceList
from tests.conftest import RUNS, wait_until
from tests.jupyter.jupyter_server import Server
from tests.service.servers import Server as BatchService
from tests.service.servers import job

pytestmark = pytest.mark.slow

BATCHES = "hail-batch-jupyter/batches"


@pytest.fixture(scope="module")
def service(all_runs: Path) -> Iterator[BatchService]:
    made = BatchService(all_runs / "routes-service" / "data")
    made.data.parent.mkdir()
    made.start()
    yield made
    made.close()


@contextmanager
def pointed(folder: Path, **environment: str) -> Iterator[None]:
    """Points the settings, which a Jupyter server inherits, at a service."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("HAIL_") and name != RUNS]:
            patch.delenv(name)
        for name, value in {"XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder), **environment}.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def served(service: BatchService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Jupyter server whose user has logged in to the service."""
    folder = tmp_path_factory.mktemp("served")
    with pointed(folder, **service.environment()):
        server = Server(folder)
    try:
        yield server.wait()
    finally:
        server.close()


def rows_of(server: Server, query: str = "") -> dict[str, Any]:
    status, answer = server.ask(BATCHES + query, "GET")
    assert (status, answer["trouble"]) == (200, "")
    return answer


def test_batches_of_the_service_are_listed_page_by_page_and_opened_and_deleted(served: Server, service: BatchService, tmp_path: Path) -> None:
    ids = [service.post(job(1, "true"), attributes={"name": f"many-{number}"}) for number in range(51)]
    failed = service.post(job(1, "echo said"), job(2, "exit 3", [1]), attributes={"name": "broken"})
    service.ended(failed)

    first = rows_of(served)
    assert first["service"] == f"127.0.0.1:{service.port}"
    assert [row["run_id"] for row in first["runs"]] == [str(number) for number in (failed, *ids[:1:-1])][:50]
    row = first["runs"][0]
    assert [row[name] for name in ("name", "state", "complete", "n_jobs", "counts", "cost_usd")] == [
        "broken", "failure", True, 2, [0, 0, 0, 0, 1, 1, 0, 0, 0], 0.0,
    ]  # fmt: skip
    assert first["now_ms"] >= row["ended_ms"] >= row["created_ms"] > 0
    assert row["url"].endswith(f"/batches/{failed}")
    assert [row["run_id"] for row in rows_of(served, f"?before={first['next']}")["runs"]] == [str(number) for number in ids[1::-1]]

    status, answer = served.ask(
        f"{BATCHES}/{failed}/feed", body={"page": "p", "messages": [{"kind": "hello", "version": 1}, {"kind": "job", "request": 1, "job": 0}]}
    )
    assert status == 200
    [snapshot, detail] = [letter["content"] for letter in answer["messages"]]
    assert [snapshot["n"], snapshot["run"]["name"], snapshot["run"]["clock"]["state"]] == [2, "broken", "failure"]
    assert [(failure["job"], failure["exit_code"]) for failure in snapshot["failures"]] == [(1, 3)]
    assert [attempt["exit_code"] for attempt in detail["detail"]["attempts"]] == [0]
    body = base64.b64decode(answer["messages"][0]["buffer"])
    assert snapshot["n"] == 2 and (zlib.decompress(body, -15) if snapshot["deflate"] else body)

    assert served.ask(f"{BATCHES}/{failed}", "DELETE") == (200, {"ok": True, "text": "The batch is deleted"})
    assert rows_of(served)["runs"][0]["run_id"] == str(ids[-1])
    assert served.ask(f"{BATCHES}/{failed}/cancel")[0] == 404
    assert served.ask(f"{BATCHES}/{failed}/feed", body={"page": "q", "messages": []})[0] == 404
    for number in ids:
        service.ended(number)


def test_a_live_batch_is_cancelled(served: Server, service: BatchService, tmp_path: Path) -> None:
    live = service.post(job(1, f"until [ -e {tmp_path}/gate ]; do sleep 0.02; done"), attributes={"name": "live"})
    wait_until(lambda: service.states(live) == ["Running"])
    [row] = [row for row in rows_of(served)["runs"] if row["run_id"] == str(live)]
    assert [row[name] for name in ("state", "complete", "ended_ms", "cancelling")] == ["running", False, None, False]

    assert served.ask(f"{BATCHES}/{live}/cancel") == (200, {"ok": True, "text": "The batch is being cancelled"})

    assert service.ended(live)["state"] == "cancelled"


def test_who_has_no_token_of_the_jupyter_server_is_told_nothing(served: Server) -> None:
    asked: list[tuple[str, str, object]] = [("", "GET", None), ("/1", "DELETE", None), ("/1/cancel", "POST", None), ("/1/feed", "POST", {"page": "a"})]

    for path, method, body in asked:
        assert served.ask(BATCHES + path, method, token=None, body=body)[0] == 403
        assert served.ask(BATCHES + path, method, token="guess", body=body)[0] == 403


def test_what_is_no_number_and_no_turn_is_refused(served: Server) -> None:
    assert served.ask(f"{BATCHES}?before=x", "GET")[0] == 400
    assert served.ask(f"{BATCHES}?before=-1", "GET")[0] == 400
    assert served.ask(f"{BATCHES}/7x/cancel")[0] == 404
    assert served.ask(f"{BATCHES}/1/feed", body=[1])[0] == 400


def test_without_a_login_there_are_no_batches_and_no_trouble(tmp_path: Path) -> None:
    with pointed(tmp_path):
        assert ServiceList().page(None) == {"service": "", "trouble": "", "runs": [], "next": None}


def test_settings_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_text("no json")
    with pointed(tmp_path, HAIL_TOKENS_FILE=str(tmp_path / "tokens.json")):
        assert "cannot be read as JSON" in ServiceList().page(None)["trouble"]


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[int]:
    """A port that takes connections and never answers, which the settings point at."""
    (tmp_path / "tokens.json").write_text(json.dumps({"default": "a-token"}))
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        port = listener.getsockname()[1]
        place = {"HAIL_TERRA": "1", "HAIL_LOCATION": "gce", "HAIL_DOMAIN": f"127.0.0.1:{port}"}
        with pointed(tmp_path, HAIL_TOKENS_FILE=str(tmp_path / "tokens.json"), **place):
            yield port


def test_a_silent_service_is_told_in_a_sentence_and_holds_up_no_run_of_this_machine(silent: int, tmp_path: Path) -> None:
    server = Server(tmp_path)
    try:
        told = ask_often(server.wait())
    finally:
        server.close()

    assert f"the batch service at http://127.0.0.1:{silent} cannot be reached" in told[0]
    assert all("cannot be reached" in text or "does not answer" in text for text in told)


def ask_often(server: Server) -> list[str]:
    """What is said of the service to twelve who ask at once, while the runs of this machine are listed."""
    answers: list[tuple[int, dict[str, Any]]] = []
    waiting = [threading.Thread(target=lambda: answers.append(server.ask(BATCHES, "GET"))) for _ in range(12)]
    for thread in waiting:
        thread.start()

    status, listed = server.ask("hail-batch-jupyter/runs", "GET")
    assert (status, listed["runs"], answers) == (200, [], [])
    for thread in waiting:
        thread.join(90)
    told = [answer["trouble"] if status == 200 else answer["text"] for status, answer in answers]
    assert len(told) == 12
    return told

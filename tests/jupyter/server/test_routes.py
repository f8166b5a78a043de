from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.batch.batch import Batch
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import attach
from hail_batch_jupyter.observe.running import RunningBatch
from tests.engine.jobs import begun
from tests.jupyter.jupyter_server import Server
from tests.requirements import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def live_run(server: Server, tmp_path: Path) -> Iterator[RunningBatch]:
    """A run that goes on until it is cancelled."""
    batch = Batch(name="live")
    batch.new_job(name="held").command(f"until [ -e {tmp_path}/gate ]; do sleep 0.02; done")
    running = batch.backend.submit(batch.compile(), SubmitOptions(keep_files=True, detach=True))
    yield running
    (tmp_path / "gate").touch()
    running.wait(90)


def test_a_run_is_cancelled_without_any_kernel(server: Server, live_run: RunningBatch) -> None:
    status, answer = server.ask(f"hail-batch-jupyter/runs/{live_run.id}/cancel")

    assert (status, answer) == (200, {"ok": True, "text": "The run is being cancelled"})
    assert live_run.wait(90)["state"] == "cancelled"
    assert server.ask(f"hail-batch-jupyter/runs/{live_run.id}/cancel") == (409, {"ok": False, "text": f"run {live_run.id} has ended already"})


def test_who_has_no_token_cancels_nothing(server: Server, live_run: RunningBatch) -> None:
    for token in (None, "guess"):
        assert server.ask(f"hail-batch-jupyter/runs/{live_run.id}/cancel", token=token)[0] == 403

    assert live_run.alive()
    assert not (rundir.find(str(live_run.id)) / "cancel").exists()


@pytest.mark.parametrize(
    ("run_id", "status", "words"),
    [
        pytest.param("20260101-000000-no-such", 404, "there is no run '20260101-000000-no-such'", id="unknown"),
        pytest.param("a%20b", 400, "'a b' is not the id of a run", id="blank"),
        pytest.param("..", 404, "", id="parent"),
        pytest.param("%2e%2e", 404, "", id="parent, quoted"),
        pytest.param("..%2f..%2fetc", 400, "is not the id of a run", id="path"),
        pytest.param("x" * 300, 400, "is not the id of a run", id="long"),
    ],
)
def test_an_id_that_is_none_is_refused(server: Server, run_id: str, status: int, words: str) -> None:
    found, answer = server.ask(f"hail-batch-jupyter/runs/{run_id}/cancel")

    assert found == status or (not words and found in (400, 404))
    assert words in str(answer.get("text", ""))
    assert not answer.get("ok")


def test_asking_without_post_does_nothing(server: Server, live_run: RunningBatch) -> None:
    assert server.ask(f"hail-batch-jupyter/runs/{live_run.id}/cancel", "GET")[0] == 405
    assert live_run.alive()


RUNS = "hail-batch-jupyter/runs"


@pytest.fixture
def ended_run(server: Server) -> RunningBatch:
    """A run of three jobs in a notebook of the server's folder, one of which failed."""
    batch = Batch(name="ended")
    first = batch.new_job(name="first").command("echo one line")
    batch.new_job(name="second").command("printf '%01000d' 7; exit 3").depends_on(first)
    (server.root / "study.ipynb").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JPY_SESSION_NAME", str(server.root / "study.ipynb"))
        running = batch.backend.submit(batch.compile(), SubmitOptions(keep_files=True, detach=True))
    running.wait(90)
    return running


def test_all_runs_are_listed_without_any_kernel(server: Server, live_run: RunningBatch, ended_run: RunningBatch) -> None:
    status, answer = server.ask(RUNS, "GET")

    assert status == 200
    rows = {row["name"]: row for row in answer["runs"]}
    assert list(rows) == ["ended", "live"]
    assert [rows["ended"][name] for name in ("run_id", "state", "complete", "n_jobs", "backend", "notebook_path")] == [
        ended_run.id, "failure", True, 2, "local", "study.ipynb",
    ]  # fmt: skip
    assert rows["ended"]["counts"] == [0, 0, 0, 0, 1, 1, 0, 0, 0]
    assert [rows["live"][name] for name in ("state", "complete", "cancelling", "notebook_path")] == ["running", False, False, ""]
    assert answer["now_ms"] >= rows["ended"]["ended_ms"] >= rows["ended"]["created_ms"]


def test_an_ended_run_is_deleted_and_a_live_one_is_not(server: Server, live_run: RunningBatch, ended_run: RunningBatch) -> None:
    assert server.ask(f"{RUNS}/{live_run.id}", "DELETE") == (409, {"ok": False, "text": f"run {live_run.id!r} has not ended; cancel it first"})
    assert server.ask(f"{RUNS}/{ended_run.id}", "DELETE") == (200, {"ok": True, "text": "The run is deleted"})

    assert ended_run.directory and not ended_run.directory.exists()
    assert ended_run.scratch and not ended_run.scratch.exists()
    assert live_run.alive()
    assert server.ask(f"{RUNS}/{ended_run.id}", "DELETE")[0] == 404
    assert [row["run_id"] for row in server.ask(RUNS, "GET")[1]["runs"]] == [live_run.id]


def test_one_job_or_group_of_a_run_is_cancelled_without_any_kernel(server: Server, tmp_path: Path) -> None:
    batch = Batch(name="parts")
    group = batch.new_group("slow")
    hold = f"until [ -e {tmp_path}/gate ]; do sleep 0.02; done"
    for made, name in ((batch, "one"), (group, "two"), (batch, "three")):
        made.new_job(name=name).command(hold)
    running = batch.backend.submit(batch.compile(), SubmitOptions(keep_files=True, detach=True))
    cancel = f"{RUNS}/{running.id}/cancel"

    assert server.ask(cancel, body={"job_ids": [1]}) == (200, {"ok": True, "text": "Job 'one' is being cancelled"})
    assert server.ask(cancel, body={"group": "slow"}) == (200, {"ok": True, "text": "Group 'slow' is being cancelled"})
    running.wait(90, [1, 2])
    assert server.ask(cancel, body={"job_ids": [1]}) == (409, {"ok": False, "text": f"job 'one' of run {running.id} has ended already"})
    assert server.ask(cancel, body={"job_ids": [9]})[0] == server.ask(cancel, body={"group": "fast"})[0] == 409
    for body in ({"job_ids": []}, {"job_ids": ["1"]}, {"job_ids": 1}, [1]):
        assert server.ask(cancel, body=body)[0] == 400
    (tmp_path / "gate").touch()
    running.wait(90)

    assert [job["state"] for job in running.jobs()] == ["Cancelled", "Cancelled", "Success"]


MAKE_A_RUN = """
import sys
from pathlib import Path
from hail_batch_jupyter.batch.batch import Batch
from hail_batch_jupyter.core.ports import SubmitOptions

def shout(word):
    return word.upper()

batch = Batch(name="mends")
first = batch.new_python_job(name="first")
first.call(shout, "a")
batch.new_job(name="second").command(f"test -e {sys.argv[1]}/fixed").depends_on(first)
batch.new_job(name="third").command("false")
running = batch.backend.submit(batch.compile()._replace(lineage="notes"), SubmitOptions(keep_files=True, detach=True))
running.wait(90)
print(running.id)
"""


def test_a_run_and_a_single_job_of_it_are_retried_by_the_server(server: Server, tmp_path: Path) -> None:
    (server.root / "study.ipynb").touch()
    environment = {**os.environ, "JPY_SESSION_NAME": str(server.root / "study.ipynb"), "HAIL_BATCH_JUPYTER_CELL": "c-1"}
    made = subprocess.run([sys.executable, "-c", MAKE_A_RUN, str(tmp_path)], env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    run_id = made.stdout.strip()
    (tmp_path / "fixed").touch()

    status, answer = server.ask(f"{RUNS}/{run_id}/retry", body={"job_ids": [2]})

    assert (status, answer["text"]) == (200, f"Retrying job 'second' in run {answer['run']}")
    again = attach(answer["run"])
    again.wait(90)
    assert [job["state"] for job in again.jobs()] == ["Success", "Success", "Cancelled"]
    noted = rundir.info(rundir.find(answer["run"]))
    assert (again.previous, noted.notebook, noted.cell) == (run_id, str(server.root / "study.ipynb"), "c-1")

    status, answer = server.ask(f"{RUNS}/{run_id}/retry")

    assert (status, answer["ok"]) == (200, True)
    attach(answer["run"]).wait(90)
    assert server.ask(f"{RUNS}/{run_id}/retry", body={"job_ids": [1]})[0] == 409
    assert server.ask(f"{RUNS}/{run_id}/retry", token=None)[0] == 403


def test_a_retry_that_the_server_cannot_make_says_where_it_can_be_made(server: Server, live_run: RunningBatch, tmp_path: Path) -> None:
    assert "is still going on" in server.ask(f"{RUNS}/{live_run.id}/retry")[1]["text"]
    batch = Batch(name="secret")
    batch.new_job(name="login").env("TOKEN", "t0psecret").command("false")
    running = batch.backend.submit(batch.compile(), SubmitOptions(keep_files=True, detach=True))
    running.wait(90)

    status, answer = server.ask(f"{RUNS}/{running.id}/retry")

    assert status == 409
    assert "job 'login' needs values of TOKEN, which are never written down" in answer["text"]
    assert running.directory is not None
    assert not any(b"t0psecret" in path.read_bytes() for path in running.directory.rglob("*") if path.is_file())


def test_a_page_whose_kernel_is_busy_asks_the_server(server: Server, ended_run: RunningBatch) -> None:
    def ask(**question: object) -> tuple[dict[str, Any], bytes]:
        status, answer = server.ask(f"{RUNS}/{ended_run.id}/ask", body={"request": 3, **question})
        assert status == 200
        return answer["content"], base64.b64decode(answer["buffer"] or "")

    detail, _ = ask(kind="job", job=1)
    part, data = ask(kind="log", job=1, start=-5, length=100)
    found, _ = ask(kind="find", job=1, text="7", start=0)
    missing, _ = ask(kind="job", job=7)

    assert (detail["request"], detail["detail"]["name"], detail["detail"]["exit_code"]) == (3, "second", 3)
    assert (part["start"], part["size"], data) == (995, 1000, b"00007")
    assert (found["at"], found["size"]) == (999, 1000)
    assert missing == {"kind": "answer", "request": 3, "ok": False, "text": "job: this run has no job 7"}
    assert ask(kind="views")[0]["script"] > 1000
    assert server.ask(f"{RUNS}/{ended_run.id}/ask", body={"kind": "cancel"})[0] == 400
    assert server.ask(f"{RUNS}/no-such/ask", body={"kind": "job", "job": 0})[0] == 404
    assert server.ask(f"{RUNS}/{ended_run.id}/ask", body={"kind": "job", "job": 0}, token=None)[0] == 403


def test_a_page_is_told_the_run_and_then_what_changed(server: Server, live_run: RunningBatch, tmp_path: Path) -> None:
    def turn(*messages: object, page: str = "page-1") -> list[dict[str, Any]]:
        status, answer = server.ask(f"{RUNS}/{live_run.id}/feed", body={"page": page, "messages": messages})
        assert status == 200
        return answer["messages"]  # type: ignore[no-any-return] - JSON

    begun(live_run, 1)  # so that nothing changes between the turns
    [snapshot] = turn({"kind": "hello", "version": 1})
    assert [snapshot["content"][name] for name in ("kind", "n")] == ["snapshot", 1]
    assert snapshot["content"]["run"]["id"] == live_run.id
    assert base64.b64decode(snapshot["buffer"])
    [detail] = turn({"kind": "job", "request": 1, "job": 0}, "no message")
    assert (detail["content"]["kind"], detail["buffer"]) == ("job", None)

    (tmp_path / "gate").touch()
    live_run.wait(90)

    [*_, last] = turn()
    assert last["content"]["kind"] == "changes"
    assert last["content"]["clock"]["complete"]
    assert turn() == []
    assert [message["content"]["kind"] for message in turn(page="page-2")] == ["snapshot"]


def test_only_the_end_of_a_log_is_read(server: Server, ended_run: RunningBatch) -> None:
    log = f"{RUNS}/{ended_run.id}/jobs/2/log"

    assert server.ask(f"{log}?bytes=5", "GET") == (200, {"text": "00007"})
    assert len(server.ask(log, "GET")[1]["text"]) == 1000
    assert server.ask(f"{log}?bytes=0", "GET") == (200, {"text": ""})
    assert server.ask(f"{log}?container=input", "GET") == (200, {"text": ""})
    for query in ("container=../spec", "bytes=-1", "bytes=all"):
        assert server.ask(f"{log}?{query}", "GET")[0] == 400
    assert server.ask(f"{RUNS}/no-such/jobs/1/log", "GET")[0] == 404


def test_who_has_no_token_sees_and_deletes_nothing(server: Server, ended_run: RunningBatch) -> None:
    asked = [("", "GET", None), (f"/{ended_run.id}", "DELETE", None), (f"/{ended_run.id}/feed", "POST", {"page": "a", "messages": []})]

    for path, method, body in [*asked, (f"/{ended_run.id}/jobs/1/log", "GET", None)]:
        assert server.ask(RUNS + path, method, token=None, body=body)[0] == 403
        assert server.ask(RUNS + path, method, token="guess", body=body)[0] == 403
    assert ended_run.directory and ended_run.directory.exists()


def test_a_turn_that_is_none_is_refused(server: Server, ended_run: RunningBatch) -> None:
    for body in ({}, {"page": "a/b", "messages": []}, {"page": "a", "messages": {}}, [1]):
        assert server.ask(f"{RUNS}/{ended_run.id}/feed", body=body)[0] == 400
    assert server.ask(f"{RUNS}/a%20b/feed", body={"page": "a", "messages": []})[0] == 400
    assert server.ask(f"{RUNS}/no-such/feed", body={"page": "a", "messages": []})[0] == 404

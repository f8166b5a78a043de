from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hail_batch_jupyter.batch.batch import Batch
from hail_batch_jupyter.core.ports import SubmitOptions
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.running import RunningBatch
from tests.conftest import free_port, wait_until
from tests.requirements import ROOT

TOKEN = "token-of-this-test"


class Server:
    """A Jupyter server without kernels; only what is asked of it starts one."""

    def __init__(self, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}/base/"
        port = self.url.split(":")[2].split("/")[0]
        options = {"port": port, "base_url": "/base/", "root_dir": str(folder), "open_browser": "False", "allow_root": "True", "port_retries": "0"}
        words = [f"--ServerApp.{name}={value}" for name, value in options.items()]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder)}
        words += [f"--IdentityProvider.token={TOKEN}", "--ServerApp.jpserver_extensions=hail_batch_jupyter=True"]
        command = [sys.executable, "-m", "jupyter_server", *words]
        self.log = open(folder / "server.log", "wb")
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=self.log, stderr=self.log)

    def ask(self, path: str, method: str = "POST", token: str | None = TOKEN) -> tuple[int, dict[str, object]]:
        """Status and JSON of an answer."""
        headers = {"Authorization": f"token {token}"} if token else {}
        request = urllib.request.Request(self.url + path, method=method, headers=headers, data=b"" if method == "POST" else None)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
                return error.code, json.loads(text) if text.startswith(b"{") else {}

    def answers(self) -> bool:
        assert self.process.poll() is None, "the server ended"
        try:
            return self.ask("api", "GET")[0] == 200
        except OSError:
            return False

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


@pytest.fixture
def server(tmp_path: Path, runs: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    try:
        wait_until(made.answers, story=(tmp_path / "server.log").read_text)
        yield made
    finally:
        made.close()


@pytest.fixture
def live_run(tmp_path: Path) -> Iterator[RunningBatch]:
    """A run that goes on until it is cancelled."""
    batch = Batch(name="live")
    batch.new_job(name="held").command(f"until [ -e {tmp_path}/gate ]; do sleep 0.02; done")
    running = batch.backend.submit(batch.compile(), SubmitOptions(keep_files=True, detach=True))
    yield running
    (tmp_path / "gate").touch()
    running.wait(30)


def test_a_run_is_cancelled_without_any_kernel(server: Server, live_run: RunningBatch) -> None:
    status, answer = server.ask(f"hail-batch-jupyter/runs/{live_run.id}/cancel")

    assert (status, answer) == (200, {"ok": True, "text": "The run is being cancelled"})
    assert live_run.wait(30)["state"] == "cancelled"
    assert server.ask(f"hail-batch-jupyter/runs/{live_run.id}/cancel") == (409, {"ok": False, "text": f"run {live_run.id!r} has ended"})


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

"""Services as real processes on loopback, and plain requests to them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import requests

from hail_batch_jupyter.errors import RunLostError
from hail_batch_jupyter.observe import owner, rundir
from tests.conftest import free_port, wait_until
from tests.requirements import ROOT

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")
FINAL = {"Success", "Failed", "Error", "Cancelled"}


class Reply(NamedTuple):
    status: int
    reason: str
    text: str
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Server:
    """A service on a data folder; it can be killed and started again at the same port."""

    def __init__(self, data: Path, *, images: bool = False, card: str = "", words: Sequence[str] = ()) -> None:
        self.data = data
        self.images = images
        self.card = card
        self.words = words
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        said, env = self.data.with_suffix(".said"), {name: value for name, value in os.environ.items() if not name.startswith("HAIL_BATCH_JUPYTER")}
        argv = [
            sys.executable,
            "-m",
            "hail_batch_jupyter",
            "serve",
            "--port",
            str(self.port),
            "--data",
            str(self.data),
            *([] if self.images else ["--no-images"]),
            *(["--rate-card", self.card] if self.card else []),
            *self.words,
        ]
        with open(said, "wb") as output:
            self.process = subprocess.Popen(argv, stdout=output, stderr=output, env={**env, "PYTHONPATH": str(ROOT)}, start_new_session=True)
        found = wait_until(lambda: ADDRESS.search(said.read_text()) or self._gone(said), story=said.read_text)
        self.port = int(found[1])
        return self

    def _gone(self, said: Path) -> None:
        assert self.process is not None
        assert self.process.poll() is None, said.read_text()

    @property
    def said(self) -> str:
        return self.data.with_suffix(".said").read_text()

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end, and give its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(90)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the package, to its end."""
        argv = [sys.executable, "-m", "hail_batch_jupyter", *words]
        return subprocess.run(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=180)

    def close(self) -> None:
        """Stop it, and all that its runs still do."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        for directory in self._live():
            with contextlib.suppress(RunLostError):  # it has ended and is removed meanwhile
                rundir.request_cancel(directory, "the test has ended")
        wait_until(lambda: not self._live())

    def _live(self) -> list[Path]:
        return [directory for directory in (self.data / "runs").glob("*") if owner.owner_alive(directory)]

    @property
    def token(self) -> str:
        return (self.data / "token").read_text().strip()

    def environment(self) -> dict[str, str]:
        """What the service says is to be exported, as variables."""
        return dict(re.findall(r"(HAIL_\w+)=(\S+)", self.said))

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None, data: bytes | None = None, **headers: str) -> Reply:
        headers["Authorization"] = f"Bearer {self.token if token is None else token}"
        content = data if data is not None else None if body is None else json.dumps(body).encode()
        own = path.startswith("/api") or path in ("/healthcheck", "/openapi.json", "/openapi.yaml", "/metrics")
        address = f"http://127.0.0.1:{self.port}{path if own else f'/api/v1alpha{path}'}"
        reply = requests.request(method, address, data=content, headers=headers, timeout=90)
        return Reply(reply.status_code, reply.reason, reply.text, reply.headers)

    def get(self, path: str) -> Any:
        reply = self.ask("GET", path)
        assert reply.status == 200, reply
        return reply.json

    def post(self, *jobs: dict[str, Any], **head: Any) -> int:
        """Post a batch of these jobs in one request; gives its number."""
        batch = {"billing_project": "local", "token": os.urandom(8).hex(), "n_jobs": len(jobs), "n_job_groups": 0, **head}
        reply = self.ask("POST", "/batches/create-fast", {"bunch": list(jobs), "job_groups": [], "batch": batch})
        assert reply.status == 200, reply
        return int(reply.json["id"])

    def ended(self, batch_id: int) -> Any:
        """The batch when it is complete."""
        return wait_until(lambda: found if (found := self.get(f"/batches/{batch_id}"))["complete"] else None, story=lambda: self._story(batch_id))

    def running(self, batch_id: int, *job_ids: int) -> None:
        """Wait until the service knows that these jobs run: what a job does may be seen before its runner has written that down."""
        wait_until(lambda: {self.states(batch_id)[job_id - 1] for job_id in job_ids} == {"Running"}, story=lambda: self._story(batch_id))

    def _story(self, batch_id: int) -> str:
        log = self.data / "service.log"
        return f"{self.states(batch_id)}\n{log.read_text()[-4000:] if log.exists() else ''}"

    def states(self, batch_id: int) -> list[str]:
        return [job["state"] for job in self.get(f"/batches/{batch_id}/jobs?recursive=True")["jobs"]]

    def log(self, batch_id: int, job_id: int, container: str = "main") -> str:
        return self.ask("GET", f"/batches/{batch_id}/jobs/{job_id}/log/{container}").text


def job(job_id: int, script: str, parents: list[int] | None = None, **fields: Any) -> dict[str, Any]:
    """A job as a client posts it."""
    process = {"type": "docker", "image": "ubuntu:24.04", "command": ["/bin/bash", "-c", f"set -e\n{script}"]}
    return {"job_id": job_id, "process": process, "in_update_parent_ids": parents or [], "in_update_job_group_id": 0, "always_copy_output": False, **fields}

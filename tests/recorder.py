"""A batch service on the loopback interface that records what it is asked, and answers as the protocol says; it runs nothing by itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

PAGE = 50
FINAL = ("Success", "Failed", "Error", "Cancelled")
Json = Any


class Request(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    data: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.data)

    @property
    def short(self) -> str:
        """'POST batches/create-fast'."""
        return f"{self.method} {re.sub('^/api/v[12]alpha/', '', self.path)}"


class Refusal(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Recorder:
    """The service: `requests` in the order of their coming, batches by number.

    outcome   spec -> (state, exit code) of each job when it is committed; None leaves jobs Ready until `set_state`
    trouble   answers to give first, to whatever comes: (status, body)
    token     the only one that is let in
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.batches: dict[int, dict[str, Json]] = {}
        self.outcome: Callable[[Json], tuple[str, int | None]] | None = lambda _: ("Success", 0)
        self.trouble: list[tuple[int, str]] = []
        self.headers: dict[str, str] = {}
        self.token = "a-token"
        self.regions: list[str] | None = ["us-central1", "us-east1"]
        self.lock = threading.RLock()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                recorder.serve(self)

            do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - names of the base class

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # what tests ask

    @property
    def short(self) -> list[str]:
        return [request.short for request in self.requests]

    def posted(self, ending: str = "") -> list[Json]:
        """Bodies of POST requests whose path ends so."""
        return [request.json for request in self.requests if request.method == "POST" and request.path.endswith(ending)]

    def specs(self, batch_id: int = 1) -> list[Json]:
        """The jobs of a batch as they were posted, in the order of their numbers."""
        return [job["spec"] for _, job in sorted(self.batches[batch_id]["jobs"].items())]

    def set_state(self, job_id: int, state: str, exit_code: int | None = None, *, batch_id: int = 1, log: str = "", reason: str = "", ended: int = 0) -> None:
        with self.lock:
            job = self.batches[batch_id]["jobs"][job_id]
            job.update(state=state, exit_code=exit_code, log=log or job["log"], reason=reason)
            job["end_time"] = f"2026-03-04T05:06:{ended:02d}.500Z" if state in FINAL else None
            job["duration"] = 1500 if exit_code is not None else None
            job["cost"] = 0.25 if state in FINAL else 0.0

    # serving

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        request = Request(handler.command, parts.path, query, dict(handler.headers.items()), handler.rfile.read(length))
        with self.lock:
            self.requests.append(request)
            status, data = self.answer(request)
        handler.send_response(status, data.decode(errors="replace").splitlines()[0] if status >= 400 and data else None)
        for name, value in {"Content-Length": str(len(data)), **self.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    def answer(self, request: Request) -> tuple[int, bytes]:
        if self.trouble:
            status, text = self.trouble.pop(0)
            return status, text.encode()
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return 401, b"401: Unauthorized"
        try:
            for pattern, method in ROUTES:
                found = re.fullmatch(pattern, f"{request.method} {re.sub('^/api/v[12]alpha', '', request.path)}")
                if found:
                    made = method(self, request, *map(as_number, found.groups()))
                    return 200, made if isinstance(made, bytes) else json.dumps(made).encode()
            raise Refusal(404, "no such page")
        except Refusal as refusal:
            return refusal.status, f"{refusal.status}: {refusal}".encode()

    def batch(self, number: int) -> dict[str, Json]:
        if number not in self.batches:
            raise Refusal(404, "no such batch")
        return self.batches[number]

    def create(self, request: Request) -> Json:
        return self.make(request.json)

    def make(self, head: Json) -> Json:
        unknown = head.keys() - {"billing_project", "token", "n_jobs", "n_job_groups", "attributes", "callback", "cancel_after_n_failures"}
        if unknown:
            raise Refusal(400, f"unknown keys in batch: {unknown}")
        if head["billing_project"] == "closed":
            raise Refusal(403, "Billing project closed is closed or deleted.")
        same = [number for number, batch in self.batches.items() if batch["head"]["token"] == head["token"]]
        number = same[0] if same else len(self.batches) + 1
        if not same:
            self.batches[number] = {"head": head, "updates": [], "jobs": {}, "cancelled": False}
        opened = self.open_update(number, head) if head["n_jobs"] else {"update_id": None, "start_job_id": None, "start_job_group_id": None}
        return {"id": number, **opened}

    def create_fast(self, request: Request) -> Json:
        made = self.make(request.json["batch"])
        self.fill(made["id"], made["update_id"], request.json["bunch"])
        self.commit(request, made["id"], made["update_id"])
        return {key: made[key] for key in ("id", "start_job_id", "start_job_group_id")}

    def open_update(self, number: int, head: Json) -> Json:
        batch = self.batch(number)
        updates = batch["updates"]
        if head["token"] not in [update["token"] for update in updates]:
            if batch["cancelled"]:
                raise Refusal(400, "Cannot submit new jobs or job groups to a cancelled batch")
            start = updates[-1]["start"] + updates[-1]["n_jobs"] if updates else 1
            updates.append({"token": head["token"], "start": start, "n_jobs": head["n_jobs"], "jobs": {}, "committed": False})
        index = [update["token"] for update in updates].index(head["token"])
        return {"update_id": index + 1, "start_job_id": updates[index]["start"], "start_job_group_id": 1}

    def create_update(self, request: Request, number: int) -> Json:
        return self.open_update(number, request.json)

    def update_fast(self, request: Request, number: int) -> Json:
        made = self.open_update(number, request.json["update"])
        self.fill(number, made["update_id"], request.json["bunch"])
        self.commit(request, number, made["update_id"])
        return made

    def create_jobs(self, request: Request, number: int, update_id: int) -> bytes:
        self.fill(number, update_id, request.json)
        return b""

    def fill(self, number: int, update_id: int, bunch: Json) -> None:
        update = self.batch(number)["updates"][update_id - 1]
        for before, after in pairwise(bunch):
            if after["job_id"] != before["job_id"] + 1:
                raise Refusal(400, f"noncontiguous job ids found in the spec: {before['job_id']} -> {after['job_id']}")
        for spec in bunch:
            cpu = spec.get("resources", {}).get("cpu", "1")
            if cpu == "3":
                job = (number, spec["job_id"])
                raise Refusal(400, f"bad resource request for job {job}: cpu must be a power of two with a min of 0.25; found {cpu}.")
            update["jobs"].setdefault(spec["job_id"], spec)

    def commit(self, request: Request, number: int, update_id: int) -> Json:
        update = self.batch(number)["updates"][update_id - 1]
        if len(update["jobs"]) != update["n_jobs"]:
            raise Refusal(400, f"wrong number of jobs: expected {update['n_jobs']}, actual {len(update['jobs'])}")
        if not update["committed"]:
            update["committed"] = True
            for job_id, spec in sorted(update["jobs"].items()):
                self.batch(number)["jobs"][update["start"] + job_id - 1] = {"spec": spec, "state": "Ready", "log": "", "reason": "", "cost": 0.0}
                self.set_state(update["start"] + job_id - 1, *(("Ready", None) if self.outcome is None else self.outcome(spec)), batch_id=number)
        return {"start_job_id": update["start"], "start_job_group_id": 1}

    def status(self, request: Request, number: int) -> Json:
        batch = self.batch(number)
        states = [job["state"] for job in batch["jobs"].values()]
        done = [state for state in states if state in FINAL]
        failed = sum(state in ("Failed", "Error") for state in states)
        complete = len(done) == len(states)
        cancelled = batch["cancelled"] or "Cancelled" in states
        state = "failure" if failed else "cancelled" if cancelled else "success" if complete else "running"
        head = batch["head"]
        counts = {"n_jobs": len(states), "n_completed": len(done), "n_succeeded": states.count("Success"), "n_failed": failed}
        times = {"time_created": "2026-03-04T05:06:00.000Z", "time_completed": "2026-03-04T05:08:00.000Z" if complete else None}
        attributes = {"attributes": head["attributes"]} if head.get("attributes") else {}
        facts = {"id": number, "user": "ada", "billing_project": head["billing_project"], "token": head["token"], "cost": 0.25 * len(done)}
        return {**facts, "state": state, "complete": complete, **counts, "n_cancelled": states.count("Cancelled"), **times, **attributes}

    def entry(self, number: int, job_id: int) -> Json:
        job = self.batch(number)["jobs"].get(job_id)
        if job is None:
            raise Refusal(404, "no such job")
        name = job["spec"].get("attributes", {}).get("name")
        kept = {key: job[key] for key in ("state", "exit_code", "end_time", "duration", "cost")}
        return {"batch_id": number, "job_id": job_id, "name": name, "user": "ada", "always_run": job["spec"]["always_run"], **kept}

    def list_jobs(self, request: Request, number: int) -> Json:
        assert request.query["recursive"] == "True"
        wanted, after = request.query["q"], int(request.query.get("last_job_id", 0))
        entries = [self.entry(number, job_id) for job_id in sorted(self.batch(number)["jobs"]) if job_id > after]
        page = [entry for entry in entries if wanted in ("", entry["state"].lower())][:PAGE]
        return {"jobs": page, **({"last_job_id": page[-1]["job_id"]} if len(page) == PAGE else {})}

    def get_job(self, request: Request, number: int, job_id: int) -> Json:
        entry = self.entry(number, job_id)
        job = self.batch(number)["jobs"][job_id]
        code = {"container_status": {"exit_code": entry["exit_code"]}} if entry["exit_code"] is not None else {}
        main = {"name": "main", **code, **({"short_error": job["reason"]} if job["reason"] else {})}
        attributes = job["spec"].get("attributes")
        return {**entry, "status": {"container_statuses": {"main": main}}, **({"attributes": attributes} if attributes else {})}

    def attempts(self, request: Request, number: int, job_id: int) -> Json:
        entry = self.entry(number, job_id)
        return [{"batch_id": number, "job_id": job_id, "attempt_id": "Zk3p9Q", "reason": "completed"}] if entry["state"] in FINAL else None

    def usage(self, request: Request, number: int, job_id: int) -> Json:
        self.entry(number, job_id)
        return {}

    def job_log(self, request: Request, number: int, job_id: int, container: str) -> bytes:
        spec = self.batch(number)["jobs"][job_id]["spec"]
        if container != "main" and f"{container}_files" not in spec:
            raise Refusal(400, f"unknown container {container}")
        return str(self.batch(number)["jobs"][job_id]["log"]).encode() if container == "main" else b""

    def cancel(self, request: Request, number: int) -> bytes:
        self.batch(number)["cancelled"] = True
        for job_id, job in self.batch(number)["jobs"].items():
            if job["state"] not in FINAL:
                self.set_state(job_id, "Cancelled", batch_id=number)
        return b""

    def delete(self, request: Request, number: int) -> bytes:
        self.batch(number)
        del self.batches[number]
        return b""

    def default_region(self, request: Request) -> bytes:
        if self.regions is None:
            raise Refusal(404, "no regions here")
        return self.regions[0].encode()

    def supported_regions(self, request: Request) -> Json:
        return self.regions


def as_number(text: str) -> Json:
    return int(text) if text.isdigit() else text


ROUTES: list[tuple[str, Callable[..., Json]]] = [
    ("POST /batches/create", Recorder.create),
    ("POST /batches/create-fast", Recorder.create_fast),
    (r"POST /batches/(\d+)/updates/create", Recorder.create_update),
    (r"POST /batches/(\d+)/update-fast", Recorder.update_fast),
    (r"POST /batches/(\d+)/updates/(\d+)/jobs/create", Recorder.create_jobs),
    (r"PATCH /batches/(\d+)/updates/(\d+)/commit", Recorder.commit),
    (r"GET /batches/(\d+)", Recorder.status),
    (r"DELETE /batches/(\d+)", Recorder.delete),
    (r"PATCH /batches/(\d+)/job-groups/0/cancel", Recorder.cancel),
    (r"GET /batches/(\d+)/job-groups/0/jobs", Recorder.list_jobs),
    (r"GET /batches/(\d+)/jobs/(\d+)", Recorder.get_job),
    (r"GET /batches/(\d+)/jobs/(\d+)/log/(\w+)", Recorder.job_log),
    (r"GET /batches/(\d+)/jobs/(\d+)/attempts", Recorder.attempts),
    (r"GET /batches/(\d+)/jobs/(\d+)/resource_usage", Recorder.usage),
    ("GET /default_region", Recorder.default_region),
    ("GET /supported_regions", Recorder.supported_regions),
]


def run_posted(spec: Json, machine: Path) -> int:
    """Do what a worker does with a posted job, on a machine that is the folder `machine`; gives the exit status."""
    shutil.rmtree(machine, ignore_errors=True)
    env = {pair["name"]: pair["value"] for pair in spec.get("env", [])}
    if "BATCH_TMPDIR" in env:
        env["BATCH_TMPDIR"] = str(machine) + env["BATCH_TMPDIR"]
        os.makedirs(env["BATCH_TMPDIR"])
    for copy in spec.get("input_files", []):
        copy_all(copy["from"].removeprefix("file://"), f"{machine}{copy['to']}")
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(spec["process"]["command"], env={**os.environ, "PATH": path, **env}, cwd="/", check=False, stdin=subprocess.DEVNULL)
    if done.returncode == 0:
        for copy in spec.get("output_files", []):
            copy_all(f"{machine}{copy['from']}", copy["to"].removeprefix("file://"))
    return done.returncode


def copy_all(source: str, dest: str) -> None:
    os.makedirs(os.path.dirname(dest), exist_ok=True)
    if os.path.isdir(source):
        shutil.copytree(source, dest, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, dest)

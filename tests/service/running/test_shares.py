"""The machine as several users share it: how many jobs of each run at once, counted at a gate that every job waits at."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from hail_batch_jupyter.backends.service.backend import connect
from hail_batch_jupyter.backends.service.open import open_batch
from hail_batch_jupyter.engine.capacity import machine
from hail_batch_jupyter.jupyter.live.feed import Feed
from hail_batch_jupyter.jupyter.live.jobdetail import job_detail
from hail_batch_jupyter.jupyter.words import progress_text
from hail_batch_jupyter.observe.sharing import UseReader
from tests.conftest import wait_until
from tests.service.conftest import point_at
from tests.service.plain_engine import post, shared_server, token_of, user
from tests.service.servers import Server, job

MCPU = machine().cpu_mcpu
JOB_MCPU = 250 << max(0, (MCPU // 8 // 250).bit_length() - 1)
"""About an eighth of the machine, and a size that a job may have."""
PLACES = MCPU // JOB_MCPU
HALF = PLACES // 2


class Gate:
    """Where the jobs of all batches wait; each notes how many stood there when it came."""

    def __init__(self, folder: Path) -> None:
        self._here = folder / "here"
        self._here.mkdir(parents=True)
        self._seen = folder / "seen"
        name = f"'{self._here}'/$HAIL_BATCH_ID.$HAIL_JOB_ID"
        self._script = f"mkfifo {name}; ls '{self._here}' | wc -l >> '{self._seen}'; read -r _ < {name}; rm {name}"

    def jobs(self, count: int, **resources: str) -> list[dict[str, Any]]:
        """So many jobs that wait here."""
        asked = resources or {"cpu": str(JOB_MCPU / 1000)}
        return [job(number, self._script, resources={"memory": "1Mi", **asked}) for number in range(1, count + 1)]

    def running(self) -> Counter[int]:
        """How many jobs of each batch stand here."""
        return Counter(int(path.name.partition(".")[0]) for path in self._here.iterdir())

    def release(self, batch_id: int) -> None:
        """Let one job of a batch that stands here end."""
        path = min(self._here.glob(f"{batch_id}.*"), key=lambda path: int(path.suffix[1:]))
        fd = wait_until(lambda: _opened(path))
        os.write(fd, b"\n")
        os.close(fd)
        wait_until(lambda: not path.exists())

    def most(self) -> int:
        """The most jobs that ever stood here together."""
        return max(map(int, self._seen.read_text().split()))


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return 0


@pytest.fixture
def server(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    found = shared_server(runs, monkeypatch, "ann", "ben")
    yield found
    found.close()


@pytest.fixture
def gate(runs: Path) -> Gate:
    return Gate(runs / "gate")


def allowed_mcpu(server: Server, batch_id: int) -> int:
    """What the runner of a batch says that it keeps to."""
    (run,) = (server.data / "runs").glob(f"*-batch-{batch_id}-*")
    use = UseReader(run).read()
    return MCPU if use is None else use.allowed.cpu_mcpu


def filled(gate: Gate, **expected: int) -> None:
    """Wait until so many jobs of each batch stand at the gate; batches are named b1, b2, …"""
    wanted = {int(name[1:]): count for name, count in expected.items()}
    wait_until(lambda: {batch_id: gate.running()[batch_id] for batch_id in wanted} == wanted, story=lambda: (gate.running(), wanted))


def ended(server: Server, gate: Gate, who: str, batch_id: int) -> Any:
    """The batch at its end, with all its jobs let through."""

    def look() -> Any:
        for _ in range(gate.running()[batch_id]):
            gate.release(batch_id)
        found = server.ask("GET", f"/batches/{batch_id}", token=token_of(server, who)).json
        return found if found["complete"] else None

    return wait_until(look, story=gate.running)


def test_users_share_the_machine_half_and_half_whoever_came_first_and_without_the_service_too(server: Server, gate: Gate) -> None:
    n_jobs = 4 * PLACES
    ann = post(server, "ann", *gate.jobs(n_jobs)).json["id"]
    filled(gate, **{f"b{ann}": PLACES})  # alone she has all
    ben = post(server, "ben", *gate.jobs(n_jobs)).json["id"]

    wait_until(lambda: allowed_mcpu(server, ann) <= MCPU // 2)
    assert gate.running() == {ann: PLACES}  # and no job was ended for that
    for _ in range(PLACES - HALF):
        gate.release(ann)
    filled(gate, **{f"b{ann}": HALF, f"b{ben}": PLACES - HALF})
    server.kill()
    gate.release(ann)
    gate.release(ben)
    filled(gate, **{f"b{ann}": HALF, f"b{ben}": PLACES - HALF})
    server.start()
    gate.release(ann)
    filled(gate, **{f"b{ann}": HALF, f"b{ben}": PLACES - HALF})

    assert user(server, "quota", "ann", str(JOB_MCPU / 1000)).returncode == 0
    wait_until(lambda: allowed_mcpu(server, ann) == JOB_MCPU)
    for _ in range(HALF):
        gate.release(ann)
    filled(gate, **{f"b{ann}": 1, f"b{ben}": PLACES - 1})
    gate.release(ann)
    filled(gate, **{f"b{ann}": 1, f"b{ben}": PLACES - 1})
    assert server.ask("GET", "/userinfo", token=token_of(server, "ann")).json["max_cores"] == JOB_MCPU / 1000
    assert server.ask("POST", "/users/ann/quota", {"max_cores": None}).status == 200
    assert [ended(server, gate, who, number)["n_succeeded"] for who, number in (("ann", ann), ("ben", ben))] == [n_jobs, n_jobs]
    assert gate.most() <= PLACES


def test_a_job_of_the_whole_machine_gets_it_when_its_turn_comes(server: Server, gate: Gate) -> None:
    ann = post(server, "ann", *gate.jobs(3 * PLACES)).json["id"]
    filled(gate, **{f"b{ann}": PLACES})
    whole = str(1 << (-(-MCPU // 1000) - 1).bit_length())  # as many as there are, or more
    ben = post(server, "ben", *gate.jobs(2, cpu=whole)).json["id"]

    wait_until(lambda: allowed_mcpu(server, ann) < JOB_MCPU)  # his turn: hers begin no more
    for _ in range(PLACES):
        gate.release(ann)
    filled(gate, **{f"b{ann}": 0, f"b{ben}": 1})
    gate.release(ben)
    wait_until(lambda: gate.running()[ann] or gate.running()[ben])

    assert ended(server, gate, "ben", ben)["n_succeeded"] == 2
    assert ended(server, gate, "ann", ann)["n_succeeded"] == 3 * PLACES


def test_what_jobs_wait_for_is_told_to_programs_on_pages_and_in_notebooks(server: Server, gate: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ann = post(server, "ann", *gate.jobs(PLACES + 2)).json["id"]
    filled(gate, **{f"b{ann}": PLACES})
    assert "waits_for" not in told(server, "ann", ann)  # the machine is full with her own jobs
    ben = post(server, "ben", *gate.jobs(1)).json["id"]
    others = "a share of the cores, as another user has jobs"

    for who, number in (("ann", ann), ("ben", ben)):
        wait_until(lambda who=who, number=number: told(server, who, number).get("waits_for") == others)
    jobs = server.ask("GET", f"/batches/{ann}/jobs", token=token_of(server, "ann")).json["jobs"]
    assert {(each["state"], each.get("waits_for", "")) for each in jobs} == {("Running", ""), ("Ready", others)}
    assert told(server, "ann", f"{ann}/jobs/{PLACES + 1}")["waits_for"] == others

    point_at(server, monkeypatch, tmp_path)
    run = open_batch(connect(token_of(server, "ann")), ann, "")
    seen = list[Any]()
    feed = Feed(run, lambda content, _: seen.append(content))
    wait_until(lambda: feed.tell_all() or seen[-1]["run"]["note"] == f"Jobs wait for {others}", story=lambda: seen)
    assert progress_text(run, run.snapshot()).endswith(f"; jobs wait for {others}")
    assert run.jobs_frame("waiting")["reason"].tolist() == [f"waits for {others}"] * 2
    assert job_detail(run, PLACES)["reason"] == f"waits for {others}"

    assert user(server, "quota", "ann", str(JOB_MCPU / 1000)).returncode == 0
    quota = f"the quota of ann, {JOB_MCPU / 1000:g} cores at once"
    with requests.Session() as session:
        session.post(f"http://127.0.0.1:{server.port}/login", data={"token": token_of(server, "ann")}, timeout=30)
        wait_until(lambda: quota in session.get(f"http://127.0.0.1:{server.port}/batches/{ann}", timeout=30).text)
        assert f"<dt>Waits for</dt><dd>{quota}</dd>" in session.get(f"http://127.0.0.1:{server.port}/batches/{ann}/jobs/{PLACES + 1}", timeout=30).text
    assert "waits_for" not in ended(server, gate, "ann", ann)
    assert "waits_for" not in ended(server, gate, "ben", ben)
    wait_until(lambda: run.complete)
    assert run.waits_for == ""


def told(server: Server, who: str, number: int | str) -> Any:
    return server.ask("GET", f"/batches/{number}", token=token_of(server, who)).json


def test_who_may_set_quotas_and_what_is_refused(server: Server) -> None:
    ann = token_of(server, "ann")
    small = {"max_cores": 0.25}

    assert {server.ask("POST", path, small, ann).status for path in ("/users/ann/quota", "/billing_projects/ann/quota")} == {401}
    assert [server.ask("POST", path, small).status for path in ("/users/nobody/quota", "/billing_projects/nothing/quota")] == [404, 404]
    assert server.ask("POST", "/users/ann/quota", {"max_cores": 0}).status == 400
    assert server.ask("POST", "/billing_projects/ann/quota", small).json == {"project": "ann", "max_cores": 0.25}

    refused = post(server, "ann", job(1, "true", resources={"cpu": "0.5"}))
    assert (refused.status, "takes 0.5 cores, and your jobs have 0.25 at once; ask for less" in refused.reason) == (403, True), refused
    assert "there is no project 'nothing'" in user(server, "quota", "nothing", "2", "--project").stderr
    assert "or none for no limit" in user(server, "quota", "ann", "many").stderr
    assert user(server, "quota", "ann", "2").stdout == "jobs of the user 'ann' have 2 cores at once at most; what runs goes on\n"
    assert "ann\tuser\tann\t2 cores" in user(server, "list").stdout.splitlines()
    assert user(server, "quota", "ann", "none", "--project").returncode == 0
    assert post(server, "ann", job(1, "true", resources={"cpu": "0.5"})).status == 200

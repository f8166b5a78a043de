"""Jobs of the service in containers of their images, and what happens where none can be run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.executors.engines import FLAGS, IMAGE, make_image, podman
from tests.requirements import ROOT, requires
from tests.service.servers import Server, job


@pytest.fixture
def with_containers(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving_images(runs / "data", monkeypatch) as server:
        yield server


@contextmanager
def serving_images(data: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> Iterator[Server]:
    """A service that runs images by a podman of its own."""
    requires("podman")
    folder = Path(tempfile.mkdtemp(prefix="hbj-"))
    with podman(folder, make_image(folder)) as engine:
        for name, value in {**engine.env, "HAIL_BATCH_CONTAINER_ENGINE": "podman", "HAIL_BATCH_EXTRA_DOCKER_RUN_FLAGS": FLAGS}.items():
            monkeypatch.setenv(name, value)
        server = Server(data, images=True, words=words).start()
        try:
            yield server
        finally:
            server.close()
        assert engine.containers() == []
    shutil.rmtree(folder)


@pytest.mark.slow
def test_jobs_run_in_their_images_and_hand_files_on(with_containers: Server) -> None:
    files = f"file://{with_containers.data}/files"
    image = {"type": "docker", "image": IMAGE}
    first = {**image, "command": ["/bin/bash", "-c", "cat /of-the-image > /io/out; ls /etc/hostname-of-nobody"]}
    second = {**image, "command": ["/bin/bash", "-c", 'cat "$WHERE"/in']}
    missing = {"type": "docker", "image": "localhost/nobody:1", "command": ["true"]}

    number = with_containers.post(
        job(1, "", process=first, output_files=[{"from": "/io/out", "to": f"{files}/out"}], always_copy_output=True),
        job(2, "", [1], process=second, input_files=[{"from": f"{files}/out", "to": "/io/in"}], env=[{"name": "WHERE", "value": "/io"}], always_run=True),
        job(3, "", process=missing),
    )
    with_containers.ended(number)

    assert with_containers.states(number) == ["Failed", "Success", "Error"]
    assert with_containers.log(number, 2) == "from the image\n"
    used = [with_containers.get(f"/batches/{number}/jobs/{job_id}/attempts")[-1] for job_id in (1, 2, 3)]
    assert [(each["max_rss_bytes"] or 0) in range(1, 16 << 20) for each in used] == [True, True, False]
    assert [each["max_rss_at_most"] for each in used] == [False, False, False]
    assert with_containers.get(f"/batches/{number}/jobs/3")["status"]["container_statuses"]["main"]["short_error"] == "image cannot be pulled"


@pytest.mark.slow
def test_containers_of_another_user_see_their_own_files_and_what_they_asked_for_only(with_containers: Server) -> None:
    check_another_user(with_containers, with_containers.data / "io")


def check_another_user(server: Server, io: Path) -> None:
    """Jobs of a second user get no file of the first, and hand on none of the machine; `io` has the own folders of all jobs."""
    assert server.command("serve", "user", "add", "ann", "--project", "local", "--data", str(server.data)).returncode == 0
    token = json.loads((server.data / "tokens-ann.json").read_text())["default"]
    assert server.ask("PUT", "/files/content?path=ann/in", data=b"of ann\n", token=token).status == 200
    own = server.get("/userinfo")["username"]
    assert server.ask("PUT", f"/files/content?path={own}/secret", data=b"secret").status == 200
    image = {"type": "docker", "image": IMAGE}
    look = f"cat /io/in; cat {server.data}/files/{own}/secret || cat {server.data}/token || ls {io}/*/2 || echo nothing; cp /io/in /io/out"
    steal = f"ln -s {server.data}/token /io/out"
    jobs = [
        job(1, "", process={**image, "command": ["/bin/bash", "-c", look]}, input_files=[{"from": "hbj://ann/in", "to": "/io/in"}]),
        job(2, "", process={**image, "command": ["/bin/bash", "-c", steal]}),
        job(3, "", [1, 2], process={**image, "command": ["hbj-remove", "hbj://ann/in"]}, always_run=True),
    ]
    for number, each in enumerate(jobs[:2], 1):
        each["output_files"] = [{"from": "/io/out", "to": f"hbj://ann/out-{number}"}]

    body = {"bunch": jobs, "batch": {"billing_project": "local", "token": "of-ann", "n_jobs": 3}}
    number = server.ask("POST", "/batches/create-fast", body, token).json["id"]
    server.ended(number)

    assert "outside of the job's files" in server.log(number, 2, "output"), server.get(f"/batches/{number}/jobs/2/attempts")
    assert server.states(number) == ["Success", "Failed", "Success"]
    assert [line for line in server.log(number, 1).splitlines() if ":" not in line] == ["of ann", "nothing"]
    assert [name for name, *_ in server.ask("GET", "/files/list?path=ann", token=token).json] == ["out-1"]


def start(*words: str, path: str | None = None) -> tuple[int, str]:
    """Exit status and words of a service that does not start."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **({} if path is None else {"PATH": path})}
    done = subprocess.run([sys.executable, "-m", "hail_batch_jupyter", "serve", "--port", "0", *words], env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_without_a_container_engine_it_starts_only_when_told_to_ignore_images(tmp_path: Path) -> None:
    status, words = start("--data", str(tmp_path / "data"), path=str(tmp_path))

    assert (status, words.count("\n")) == (1, 1)
    assert "docker is not installed and podman is not installed" in words
    assert "start it with --no-images" in words


def test_a_place_that_cannot_be_served_is_refused_in_one_sentence(own_server: Server, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    refusals = [
        start("--no-images", "--host", "0.0.0.0"),
        start("--no-images", "--data", str(own_server.data)),
        start("--no-images", "--data", str(tmp_path / "open")),
        start("--no-images", "--data", str(tmp_path / "other"), "--port", str(own_server.port)),
    ]

    reasons = ["in the clear without TLS", "another service works on", "is open to other users", "Address already in use"]
    for (status, words), told in zip(refusals, reasons, strict=True):
        assert (status, words.count("\n"), told in words) == (1, 1, True), words

"""Finding an engine, with small programs that answer as the engines do; the engines themselves are in test_executor.py."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.errors import CapabilityError, SubmitError
from hail_batch_jupyter.executors.container.engine import find_engine
from tests.engine.jobs import bash, submit

DOCKER: dict[str, Any] = {"ServerVersion": "20.10.24", "NCPU": 2, "SecurityOptions": ["name=seccomp,profile=default"]}
PODMAN: dict[str, Any] = {"host": {"cpus": 4, "security": {"rootless": False}}}
NUMBERS = f"--user={os.getuid()}:{os.getgid()}"


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("HAIL_BATCH_CONTAINER_ENGINE", raising=False)
    return folder


def program(folder: Path, name: str, facts: dict[str, Any] | None, words: str = "") -> str:
    """A client that gives these facts, or fails with these words."""
    text = f"echo '{json.dumps(facts or {'ServerVersion': ''})}'; echo '{words}' >&2; exit {int(facts is None)}\n"
    (folder / name).write_text(f"#!/bin/sh\n{text}")
    (folder / name).chmod(0o755)
    return str(folder / name)


def test_docker_is_taken_first_and_podman_where_there_is_no_docker(bin_folder: Path) -> None:
    podman = program(bin_folder, "podman", PODMAN)
    assert find_engine("x").path == podman

    docker = program(bin_folder, "docker", DOCKER)
    assert find_engine("x").path == docker


def test_podman_is_taken_where_docker_s_daemon_does_not_answer(bin_folder: Path) -> None:
    program(bin_folder, "docker", None, "Cannot connect to the Docker daemon")

    podman = program(bin_folder, "podman", PODMAN)

    assert find_engine("x").path == podman


def test_the_variable_chooses_by_name_or_path(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker, podman = program(bin_folder, "docker", DOCKER), program(bin_folder, "podman", PODMAN)
    for value, path in (("podman", podman), (podman, podman), ("docker", docker)):
        monkeypatch.setenv("HAIL_BATCH_CONTAINER_ENGINE", value)
        assert find_engine("x").path == path


@pytest.mark.parametrize(
    ("name", "facts", "flags", "n_cores"),
    [
        pytest.param("docker", DOCKER, (NUMBERS, "--init"), 2, id="docker"),
        pytest.param("docker", {**DOCKER, "SecurityOptions": ["name=rootless"]}, ("--user=0:0", "--init"), 2, id="docker-rootless"),
        pytest.param("docker", {**DOCKER, "SecurityOptions": ["name=userns"]}, (NUMBERS, "--init", "--userns=host"), 2, id="docker-with-user-namespaces"),
        pytest.param("podman", PODMAN, (NUMBERS,), 4, id="podman"),
        pytest.param("podman", {"host": {"cpus": 4, "security": {"rootless": True}}}, ("--user=0:0",), 4, id="podman-rootless"),
        pytest.param("docker", PODMAN, (NUMBERS,), 4, id="podman-under-docker-s-name"),
    ],
)
def test_containers_run_as_the_user(
    bin_folder: Path, name: str, facts: dict[str, Any], flags: tuple[str, ...], n_cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hail_batch_jupyter.executors.container.engine._INIT", ("/none",))
    program(bin_folder, name, facts)

    engine = find_engine("x")

    assert tuple(flag for flag in engine.flags if flag not in ("--security-opt=label=disable", "--stop-timeout=0")) == flags
    assert engine.cpu_mcpu == n_cores * 1000
    assert engine.podman == ("host" in facts)


@pytest.mark.parametrize(
    ("here", "message"),
    [
        pytest.param(
            {},
            "job 'job1' has the image 'i:1', and docker is not installed and podman is not installed; "
            "install podman or docker .on Debian: apt-get install podman., "
            "or remove the image to run it without a container; HAIL_BATCH_CONTAINER_ENGINE chooses between docker and podman",
            id="none",
        ),
        pytest.param(
            {"docker": "Cannot connect to the Docker daemon"},
            "docker does not answer .Cannot connect to the Docker daemon. and podman is not installed; start it, or install podman",
            id="no-daemon",
        ),
    ],
)
def test_without_an_engine_nothing_is_started_and_the_error_says_what_to_install(bin_folder: Path, runs: Path, here: dict[str, str], message: str) -> None:
    for name, words in here.items():
        program(bin_folder, name, None, words)

    with pytest.raises(CapabilityError, match=message):
        submit(bash(1, ":", image="i:1"))

    assert not list(runs.glob("*"))


def test_an_engine_that_was_chosen_and_is_not_there_is_named(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bin_folder, "docker", DOCKER)
    monkeypatch.setenv("HAIL_BATCH_CONTAINER_ENGINE", "nerdctl")

    with pytest.raises(CapabilityError, match="nerdctl is not installed; install podman or docker"):
        find_engine("x")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"extra_docker_run_flags": "--env 'X"}, r"extra_docker_run_flags \"--env 'X\" cannot be split into words \(No closing quotation\); close the quotes"),
        ({"gsa_key_file": "/none/key.json"}, "gsa_key_file '/none/key.json' does not exist; name the JSON key of a service account, or leave it out"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_at_submit(bin_folder: Path, runs: Path, settings: dict[str, str], message: str) -> None:
    program(bin_folder, "docker", DOCKER)

    with pytest.raises(SubmitError, match=message):
        submit(bash(1, ":", image="i:1"), backend=LocalBackend(**settings))  # type: ignore[arg-type]  # both are text

    assert not list(runs.glob("*"))


def test_an_explicit_empty_text_overrides_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_BATCH_EXTRA_DOCKER_RUN_FLAGS", "--network none")
    monkeypatch.setenv("HAIL_BATCH_GSA_KEY_FILE", "/my/key")

    assert (LocalBackend().extra_docker_run_flags, LocalBackend().gsa_key_file) == ("--network none", "/my/key")
    assert (LocalBackend(extra_docker_run_flags="").extra_docker_run_flags, LocalBackend(gsa_key_file="").gsa_key_file) == ("", "")


def test_jobs_without_an_image_ask_for_no_engine(bin_folder: Path) -> None:
    (bin_folder / "bash").symlink_to("/bin/bash")

    running = submit(bash(1, ":"))

    assert running.wait(90)["state"] == "success"

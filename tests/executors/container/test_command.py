from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.core.ports import Attempt
from hail_batch_jupyter.core.spec import SCRATCH, Request
from hail_batch_jupyter.executors.container.command import Client, Containers, run_client
from tests.engine.jobs import bash

PLAIN = Containers("/usr/bin/engine", ("--init",), (), None, None, 4000, False)


def client(env: dict[str, str] | None = None, containers: Containers = PLAIN, scratch: str = "/s", inputs: tuple[str, ...] = (), **settings: Any) -> Client:
    job = bash(7, "echo", image="i:1", **settings)
    attempt = Attempt(job, 2, 0, job.command, env or {}, f"{scratch}/d7", "/log")
    return run_client(attempt, containers, "run-1", scratch, inputs)


def after(client: Client, flag: str) -> list[str]:
    """What stands behind each `flag`."""
    return [value for word, value in zip(client.argv, client.argv[1:], strict=False) if word == flag]


def test_the_whole_command_of_a_simple_job() -> None:
    head = ["/usr/bin/engine", "run", "--name", "run-1-7.2", "--label", "hail-batch-jupyter.run=run-1", "--entrypoint=", "--init", "--workdir", "/s/d7"]

    assert client() == ((*head, "--mount", "type=bind,source=/s,target=/s", "i:1", "/bin/bash", "-c", "set -e\necho\n"), {})


@pytest.mark.parametrize(
    ("path", "field"),
    [
        pytest.param("/a b:c", "source=/a b:c,target=/a b:c", id="blank-and-colon"),
        pytest.param("/a,b", '"source=/a,b","target=/a,b"', id="comma"),
        pytest.param('/a"b', '"source=/a""b","target=/a""b"', id="quote"),
    ],
)
def test_paths_of_mounts_are_quoted_as_csv(path: str, field: str) -> None:
    assert after(client(scratch=path), "--mount") == [f"type=bind,{field}"]


def test_inputs_are_mounted_where_they_lie_and_cannot_be_written() -> None:
    assert after(client(inputs=("/data/x",)), "--mount")[1:] == ["type=bind,source=/data/x,target=/data/x,readonly"]


@pytest.mark.parametrize(
    ("request_", "flags"),
    [
        (Request(), []),
        (Request(cpu_mcpu=250), ["--cpus=0.25"]),
        (Request(cpu_mcpu=9000, memory_bytes=1 << 30), ["--cpus=4", "--memory=1073741824b"]),
    ],
)
def test_limits_are_cores_as_decimals_within_what_there_is_and_bytes(request_: Request, flags: list[str]) -> None:
    assert [word for word in client(request=request_).argv if word.startswith(("--cpus", "--memory"))] == flags


def test_variables_are_named_on_the_command_line_and_valued_in_the_environment_only() -> None:
    made = client({"A": "secret", "B": "two\nlines"})

    assert after(made, "--env") == ["A", "B"]
    assert made.env == {"A": "secret", "B": "two\nlines"}
    assert not any("secret" in word for word in made.argv)


@pytest.mark.parametrize("name", ["PATH", "HOME", "DOCKER_HOST", "CONTAINERS_CONF", "XDG_RUNTIME_DIR", "LD_PRELOAD", "https_proxy", "NO_PROXY"])
def test_a_variable_that_the_client_would_use_itself_reaches_it_as_a_file(name: str) -> None:
    made = client({name: "of the job", "A": "1"})

    assert name not in made.env
    assert after(made, "--env") == ["A"]
    assert after(made, "--env-file") == ["/dev/stdin"]
    assert not any("of the job" in word for word in made.argv)


def test_the_file_is_what_the_client_reads_and_its_exit_code_is_kept(tmp_path: Path) -> None:
    (tmp_path / "engine").write_text('#!/bin/sh\necho "$# ${HBJ_ENV_FILE-unset}"; cat; exit 5\n')
    (tmp_path / "engine").chmod(0o755)
    made = client({"HOME": 'it\'s "$X" \\n %s', "PATH": "/p"}, PLAIN._replace(engine=str(tmp_path / "engine")))

    done = subprocess.run(made.argv, env={"PATH": "/usr/bin:/bin", **made.env}, capture_output=True, text=True, check=False)

    n_words = len(made.argv) - 4
    assert (done.returncode, done.stdout) == (5, f'{n_words} unset\nHOME=it\'s "$X" \\n %s\nPATH=/p\n')


def test_such_a_variable_cannot_have_several_lines() -> None:
    with pytest.raises(ValueError, match="the variable PATH has a value of several lines, which cannot be given to a container"):
        client({"PATH": "a\nb"})


def test_what_the_job_says_goes_before_our_defaults() -> None:
    containers = PLAIN._replace(home="/tmp", key_file="/my/key")
    ours = ["HOME=/tmp", "GOOGLE_APPLICATION_CREDENTIALS=/gsa-key/key.json"]

    assert after(client(containers=containers), "--env") == ours
    assert after(client({"HOME": "/h", "GOOGLE_APPLICATION_CREDENTIALS": "/k"}, containers), "--env") == ["GOOGLE_APPLICATION_CREDENTIALS"]
    assert after(client(containers=containers), "--mount")[1:] == ["type=bind,source=/my/key,target=/gsa-key/key.json,readonly"]


@pytest.mark.parametrize(
    ("podman", "flags"),
    [
        pytest.param(False, ("--gpus", '"device=1,3"'), id="docker"),
        pytest.param(True, ("--device", "nvidia.com/gpu=1", "--device", "nvidia.com/gpu=3"), id="podman"),
    ],
)
def test_a_container_gets_the_devices_of_its_job_and_numbers_them_from_0(podman: bool, flags: tuple[str, ...]) -> None:
    made = client({"CUDA_VISIBLE_DEVICES": "1,3"}, PLAIN._replace(podman=podman), request=Request(gpus=2))

    begin = made.argv.index(flags[0])
    assert made.argv[begin : begin + len(flags)] == flags
    assert (after(made, "--env"), dict(made.env)) == (["CUDA_VISIBLE_DEVICES"], {"CUDA_VISIBLE_DEVICES": "0,1"})


def test_a_variable_of_devices_gives_none_to_a_job_that_asks_for_none() -> None:
    made = client({"CUDA_VISIBLE_DEVICES": "1"})

    assert not {"--gpus", "--device"} & set(made.argv)
    assert dict(made.env) == {"CUDA_VISIBLE_DEVICES": "1"}


def test_flags_of_the_user_come_last_before_the_image() -> None:
    argv = client({"A": "1"}, PLAIN._replace(extra=("--network", "none"))).argv

    assert argv[argv.index("i:1") - 2 :][:3] == ("--network", "none", "i:1")


def test_paths_below_scratch_in_the_command_of_a_python_job_are_made_whole() -> None:
    job = bash(7, "", image="i:1")._replace(command=("python3", f"{SCRATCH}/functions/call_runner.py", f"{SCRATCH}x"))
    made = run_client(Attempt(job, 1, 0, job.command, {}, "/s/d7", "/log"), PLAIN, "run-1", "/s", ())

    assert made.argv[-3:] == ("python3", "/s/functions/call_runner.py", f"{SCRATCH}x")

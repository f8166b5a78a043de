from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from hail_batch_jupyter import SlurmBackend
from hail_batch_jupyter.cluster.protocols.shelled import ShelledProtocol
from hail_batch_jupyter.core.ports import Attempt
from hail_batch_jupyter.core.spec import SCRATCH, JobSpec, Request
from hail_batch_jupyter.errors import CapabilityError
from hail_batch_jupyter.executors.slurm.container import contained
from hail_batch_jupyter.executors.slurm.words import SlurmSettings
from tests.conftest import wait_until
from tests.engine.jobs import LONG_S, bash, batch, main_log, states, submit
from tests.executors.engines import IMAGE, RealEngine
from tests.slurm_cluster import SlurmCluster


def attempt(image: str, **request: int) -> Attempt:
    job = JobSpec(1, "k", None, "bash", ("bash", "-c", "true", f"{SCRATCH}/x"), "d1", image=image, request=Request(**request))  # type: ignore[arg-type]  # numbers
    return Attempt(job, 1, 0, job.command, {"TOKEN": "a b"}, "/work, here/scratch/d1", "/log")


@pytest.mark.parametrize("engine", ["apptainer", "singularity"])
def test_what_apptainer_is_told(engine: str) -> None:
    argv, env, clean = contained(attempt("ubuntu:22.04", gpus=1), SlurmSettings(engine=engine), "run", "/work, here/scratch", ["/data/in"])

    assert list(argv) == [
        *(engine, "exec", "--containall", "--writable-tmpfs", "--pwd", "/work, here/scratch/d1"),
        *("--mount", 'type=bind,"source=/work, here/scratch","target=/work, here/scratch"'),
        *("--mount", "type=bind,source=/data/in,target=/data/in,readonly"),
        *("--nv", "docker://ubuntu:22.04", "bash", "-c", "true", "/work, here/scratch/x"),
    ]
    assert env == {f"{engine.upper()}ENV_TOKEN": "a b"}
    assert clean == ""


@pytest.mark.parametrize("image", ["/shared/tools.sif", "tools.sif", "library://a/b", "docker-archive:///x.tar"])
def test_an_image_that_is_a_file_or_says_where_it_is_stays_as_it_is(image: str) -> None:
    assert image in contained(attempt(image), SlurmSettings(engine="apptainer"), "run", "/s", []).argv


@pytest.mark.parametrize("engine", ["apptainer", "podman"])
def test_a_container_has_the_folder_of_its_job_and_those_of_all(engine: str) -> None:
    argv = contained(attempt("ubuntu:22.04"), SlurmSettings(engine=engine, own="/io", folders=["/files"]), "run", "/s", []).argv

    bound = [word for before, word in pairwise(argv) if before == "--mount"]
    assert bound == [f"type=bind,source={path},target={path}" for path in ("/s", "/io/1", "/files")]


@pytest.mark.requires("slurm")
@pytest.mark.parametrize("started_engine", [pytest.param("podman", marks=pytest.mark.requires("podman"))], indirect=True)
def test_jobs_with_an_image_run_in_containers_on_the_nodes(
    started_engine: RealEngine, slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in started_engine.env.items():
        monkeypatch.setenv(name, value)
    backend = SlurmBackend(container_engine="podman")
    script = 'cat /of-the-image; echo "$TOKEN in $PWD" > made; exit 4'
    jobs = [bash(1, script, image=IMAGE, env={"TOKEN": "a b"}), bash(2, ": > here; mkfifo hold; read -r _ < hold", image=IMAGE)]
    running = submit(batch(*jobs), keep_files=True, backend=backend)
    assert running.scratch is not None
    wait_until((running.scratch / "d2" / "here").exists, story=lambda: main_log(running, 2))
    wait_until(lambda: states(running)[0] == "F", story=running.snapshot)

    running.cancel()
    running.wait(LONG_S)

    assert states(running) == "FK"
    assert running.get_job(1)["exit_code"] == 4
    assert main_log(running) == "from the image\n"
    assert (running.scratch / "d1" / "made").read_text() == f"a b in {running.scratch}/d1\n"
    used = [view.usage for view in running.snapshot().jobs]
    assert used[0] is not None  # of the one that was cancelled it is known where its container had the time to end
    assert all(one is None or one.max_rss_bytes < 8 << 20 for one in used), "the engine's client, of 20 MiB and more, is not what is told"
    wait_until(lambda: started_engine.containers() == [])


@pytest.mark.requires("slurm", "sshd")
@pytest.mark.parametrize("started_engine", [pytest.param("podman", marks=pytest.mark.requires("podman"))], indirect=True)
def test_what_runs_an_image_is_looked_for_on_the_cluster(
    started_engine: RealEngine, ssh_connection: ShelledProtocol, slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = "\n".join([slurm.login, *(f"export {name}={value}" for name, value in started_engine.env.items())])
    for name in ("ssh", "scp"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))

    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        running = submit(bash(1, "cat /of-the-image", image=IMAGE), backend=SlurmBackend(ssh_connection, tmp_path / "work", login_setup=setup))
        running.wait(LONG_S)

    assert (states(running), main_log(running)) == ("S", "from the image\n")
    wait_until(lambda: started_engine.containers() == [])


@pytest.mark.requires("slurm", "sshd")
def test_a_cluster_without_an_engine_says_so(ssh_connection: ShelledProtocol, tmp_path: Path) -> None:
    (tmp_path / "mkdir").symlink_to(str(shutil.which("mkdir")))
    setup = f"sbatch() {{ :; }}; squeue() {{ :; }}; scancel() {{ :; }}; scontrol() {{ :; }}; export PATH={tmp_path}"

    with pytest.raises(CapabilityError, match="job 'job1' has the image .* and node has none of apptainer, singularity, podman; where the nodes have one"):
        submit(bash(1, ":", image=IMAGE), backend=SlurmBackend(ssh_connection, tmp_path / "work", login_setup=setup))

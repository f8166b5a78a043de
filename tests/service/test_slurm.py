"""A service whose jobs run on Slurm: one on the login node of a real, small cluster."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from hail_batch_jupyter.backends.service.backend import ServiceBackend
from hail_batch_jupyter.batch import Batch
from hail_batch_jupyter.cli import main
from hail_batch_jupyter.observe import owner
from hail_batch_jupyter.service.backup import back_up
from hail_batch_jupyter.service.running.where import file_system, warning
from tests.conftest import RUNS, wait_until
from tests.engine.jobs import HOLD, Gate
from tests.service.conftest import point_at
from tests.service.servers import Server, job
from tests.service.test_groups import create_fast, group, in_group
from tests.service.test_images import check_another_user, serving_images
from tests.service.test_restart import kill_runners, lines
from tests.slurm_cluster import SlurmCluster

needs_slurm = pytest.mark.requires("slurm")


@pytest.fixture(scope="module")
def on_slurm(slurm: SlurmCluster, all_runs: Path) -> Iterator[Server]:
    """A service for all tests, which may kill and start it again."""
    folder = all_runs / "on-slurm"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUNS, str(folder))
        folder.mkdir()
        patch.setenv("PATH", f"{_commands(folder)}:{os.environ['PATH']}")
        words = ("--slurm", "--partition", "main", "--work-directory", str(folder / "work"), "--options=--nice=7")
        server = Server(folder / "data", card="core-hours:0.02", words=words).start()
        yield server
        server.close()


def _commands(folder: Path) -> Path:
    """squeue and scancel that get no answer while there is a file `away`."""
    (folder / "bin").mkdir()
    for name in ("squeue", "scancel"):
        script = folder / "bin" / name
        script.write_text(f'#!/bin/bash\n[ ! -e {folder}/away ] || exit 1\nexec {shutil.which(name)} "$@"\n')
        script.chmod(0o755)
    return folder / "bin"


@pytest.fixture
def cluster_service(on_slurm: Server, slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    """That service, on a cluster that has nothing to do any more."""
    wait_until(lambda: in_queue(slurm) == [])
    point_at(on_slurm, monkeypatch, tmp_path)
    monkeypatch.delenv("HAIL_BATCH_REMOTE_TMPDIR")
    return on_slurm


def in_queue(cluster: SlurmCluster, form: str = "%T") -> list[str]:
    """What is in Slurm's queue of any run, a line a job."""
    return cluster.run("squeue", "--noheader", "--array", f"--format={form}").split("\n")[:-1]


@needs_slurm
def test_a_batch_of_our_client_runs_on_nodes(cluster_service: Server, tmp_path: Path) -> None:
    b = Batch(name="b", backend=ServiceBackend())
    made = b.new_job("make")
    made.command(f"echo on $SLURMD_NODENAME; echo hello > {made.out}")
    read = b.new_job("read")
    read.command(f"cat {made.out}; cat {made.out} > {read.copy}")
    user = cluster_service.get("/userinfo")["username"]
    b.write_output(read.copy, f"hbj://{user}/copied")

    run = b.run()

    assert [entry["state"] for entry in run.jobs()] == ["Success", "Success", "Success"]  # the last one clears what was in between
    node = run.get_job_log(1)["main"].split()[-1]
    assert node in ("n1", "n2", "n3", "n4")
    assert run.get_job_log(2)["main"] == "hello\n"
    assert (cluster_service.data / "files" / user / "copied").read_text() == "hello\n"
    (attempt,) = cluster_service.get(f"/batches/{run.id}/jobs/1/attempts")
    assert (attempt["instance_name"], attempt["reason"]) == (node, "completed")
    wait_until(lambda: not list((cluster_service.data.parent / "work").glob("service-*/io/*")))
    copy = back_up(cluster_service.data, tmp_path / "copy")
    assert [path.is_symlink() for path in (copy / "runs").iterdir()] == [False]  # what is kept, and not the way to it
    assert not list(copy.glob("runs/*/share"))  # the cores of nodes are divided by the scheduler
    assert [path.read_text() for path in copy.glob("runs/*/logs/2.1.main.log")] == ["hello\n"]


@needs_slurm
def test_what_a_job_asks_for_and_how_it_ends_are_those_of_slurm(cluster_service: Server, slurm: SlurmCluster, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    number = cluster_service.post(
        job(1, gate.shell, resources={"cpu": "2", "memory": "lowmem"}, timeout=100),
        job(2, "echo to be read >&2; exit 3", output_files=[{"from": "/io/out", "to": f"file://{tmp_path}/never"}], always_copy_output=False),
        job(3, "echo never", [2]),
        job(4, "cat /io/in", [2], always_run=True, input_files=[{"from": f"file://{tmp_path}/missing", "to": "/io/in"}]),
        job(5, "true", resources={"cpu": "16"}),
    )
    gate.reached()

    told = [line for line in in_queue(slurm, "%C %m %l %P %y") if line.startswith("2 ")]
    gate.let_through()
    cluster_service.ended(number)

    assert told == ["2 1848M 3:00 main 7"]
    assert cluster_service.states(number) == ["Success", "Failed", "Cancelled", "Failed", "Error"]
    assert "to be read" in cluster_service.log(number, 2)
    assert cluster_service.get(f"/batches/{number}/jobs/1")["cost"] > 0
    assert "ask for fewer cores, less memory" in cluster_service.get(f"/batches/{number}/jobs/5")["status"]["container_statuses"]["main"]["error"]
    assert "input file does not exist" in cluster_service.log(number, 4, "input")
    wait_until(lambda: in_queue(slurm) == [])


@needs_slurm
def test_what_is_cancelled_leaves_the_queue(cluster_service: Server, slurm: SlurmCluster, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    large = {"cpu": "8", "memory": "lowmem"}
    whole_nodes = [in_group(number, 1, HOLD, resources=large) for number in range(2, 7)]
    number = create_fast(cluster_service, [group(1)], [job(1, gate.shell), *whole_nodes])
    gate.reached()
    wait_until(lambda: len(in_queue(slurm)) == 6)
    wait_until(lambda: any(entry["state"] == "Creating" for entry in cluster_service.get(f"/batches/{number}/jobs?recursive=True")["jobs"]))
    told = [cluster_service.get(f"/batches/{number}/jobs/{each}") for each in range(1, 7)]
    assert {entry.get("waits_for", "")[:9] for entry in told if entry["state"] == "Creating"} == {"Slurm job"}

    cluster_service.ask("PATCH", f"/batches/{number}/job-groups/1/cancel")
    wait_until(lambda: cluster_service.states(number)[1:] == ["Cancelled"] * 5)
    wait_until(lambda: len(in_queue(slurm)) == 1)
    cluster_service.ask("PATCH", f"/batches/{number}/cancel")

    assert cluster_service.ended(number)["state"] == "cancelled"
    wait_until(lambda: in_queue(slurm) == [])


@needs_slurm
def test_jobs_go_on_when_the_service_is_killed_and_run_again_only_when_the_runner_is(cluster_service: Server, slurm: SlurmCluster, tmp_path: Path) -> None:
    gate, ran = Gate(tmp_path / "gate"), tmp_path / "ran"
    again = f"if [ -e {tmp_path}/again ]; then squeue --noheader --format=%i > {tmp_path}/queue; exit 0; fi; {gate.shell}"
    first = cluster_service.post(job(1, f"echo 1 >> {ran}; echo one > /io/out", output_files=[{"from": "/io/out", "to": f"file://{tmp_path}/out"}]))
    cluster_service.ended(first)
    wait_until(lambda: in_queue(slurm) == [])
    number = cluster_service.post(job(1, f"echo 2 >> {ran}; {again}"), job(2, f"echo 3 >> {ran}", [1]))
    gate.reached()

    cluster_service.kill()
    before = in_queue(slurm, "%i")
    kill_runners(cluster_service)
    (tmp_path / "again").touch()
    cluster_service.start()
    cluster_service.ended(number)

    assert (len(before), len(lines(tmp_path / "queue")), set(before) & set(lines(tmp_path / "queue"))) == (1, 1, set())  # never two at once
    assert cluster_service.states(number) == ["Success", "Success"]
    assert lines(ran) == ["1", "2", "2", "3"]
    attempts = cluster_service.get(f"/batches/{number}/jobs/1/attempts")
    assert [attempt["reason"] for attempt in attempts] == ["terminated", "completed"]
    wait_until(lambda: in_queue(slurm) == [])


@needs_slurm
def test_a_job_whose_runner_alone_is_killed_is_taken_out_of_the_queue_and_begins_again(cluster_service: Server, slurm: SlurmCluster, tmp_path: Path) -> None:
    gate, ran = Gate(tmp_path / "gate"), tmp_path / "ran"
    number = cluster_service.post(job(1, f"echo $SLURM_ARRAY_JOB_ID >> {ran}; if [ -e {tmp_path}/again ]; then exit 0; fi; {gate.shell}"))
    gate.reached()
    (tmp_path / "again").touch()
    (runner,) = [
        facts["pid"]
        for directory in (cluster_service.data / "runs").glob(f"*-batch-{number}-*")
        if owner.owner_alive(directory) and (facts := owner.read_owner(directory)) is not None
    ]

    os.kill(runner, signal.SIGKILL)
    cluster_service.ended(number)

    assert cluster_service.states(number) == ["Success"]
    assert len(set(lines(ran))) == 2
    wait_until(lambda: in_queue(slurm) == [])


@needs_slurm
def test_no_job_begins_again_while_slurm_does_not_say_that_it_has_ended(cluster_service: Server, tmp_path: Path) -> None:
    gate, other, ran, away = Gate(tmp_path / "gate"), Gate(tmp_path / "other"), tmp_path / "ran", cluster_service.data.parent / "away"
    number = cluster_service.post(job(1, f"echo x >> {ran}; if [ -e {tmp_path}/again ]; then exit 0; fi; {gate.shell}"))
    gate.reached()
    cluster_service.kill()

    away.touch()
    try:
        kill_runners(cluster_service)
        (tmp_path / "again").touch()
        cluster_service.start()
        wait_until(lambda: "does not say that the jobs of run" in (cluster_service.data / "service.log").read_text())
        assert lines(ran) == ["x"]
        beside = cluster_service.post(job(1, other.shell))  # what is closed holds up no other batch
        other.let_through()
        cluster_service.ended(beside)
    finally:
        away.unlink()
    cluster_service.ended(number)

    assert (cluster_service.states(number), lines(ran)) == (["Success"], ["x", "x"])


@needs_slurm
def test_a_job_whose_node_fails_is_tried_again(cluster_service: Server, slurm: SlurmCluster, tmp_path: Path) -> None:
    script = f"echo $SLURMD_NODENAME >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) = 2 ] || {{ {HOLD}; }}"
    number = cluster_service.post(job(1, script))
    node = wait_until(lambda: " ".join(lines(tmp_path / "tries")))
    wait_until(lambda: cluster_service.states(number) == ["Running"])
    try:
        slurm.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        cluster_service.ended(number)
    finally:
        with suppress(subprocess.CalledProcessError):  # it may have come back by itself
            slurm.run("scontrol", "update", f"nodename={node}", "state=resume")
        wait_until(lambda: "down" not in slurm.run("sinfo", "--noheader", f"--nodes={node}", "--format=%T"))

    attempts = cluster_service.get(f"/batches/{number}/jobs/1/attempts")
    assert [attempt["reason"] for attempt in attempts] == ["terminated", "completed"]
    assert [attempt["instance_name"] for attempt in attempts] == lines(tmp_path / "tries")


@needs_slurm
def test_it_says_where_jobs_run(cluster_service: Server) -> None:
    words = "on Slurm, partition main, as processes of this user"

    assert f"Jobs run {words}" in cluster_service.said
    assert "Every node must see" not in cluster_service.said  # all nodes are this machine
    assert 'batch_service_info{place="slurm",partition="main",account=""} 1' in cluster_service.ask("GET", "/metrics").text
    assert words in repr(Batch(name="b", backend=ServiceBackend()).estimate_cost())
    for path in ("/batches", "/user"):
        page = requests.get(f"http://127.0.0.1:{cluster_service.port}{path}", headers={"Authorization": f"Bearer {cluster_service.token}"}, timeout=90)
        assert words in page.text, path


@needs_slurm
@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
def test_containers_on_nodes_keep_a_second_user_apart(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_images(runs / "data", monkeypatch, "--slurm", "--container-engine", "podman") as server:
        assert "on Slurm, its default partition, in containers of their images by podman" in server.said
        check_another_user(server, server.data / "io")


@needs_slurm
def test_a_second_user_is_not_let_in_where_jobs_of_one_account_would_meet(cluster_service: Server) -> None:
    done = cluster_service.command("serve", "user", "add", "ann", "--data", str(cluster_service.data))

    assert done.returncode == 1
    assert "would read each other's files" in done.stderr
    assert "on Slurm with --logins" in done.stderr


@needs_slurm
@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize("taken", ["open", "link"])
def test_a_work_directory_in_which_others_could_meddle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], taken: str) -> None:
    words = ["serve", "--slurm", "--no-images", "--port", "0", "--data", str(tmp_path / "data"), "--work-directory", str(tmp_path)]
    folder = tmp_path / f"service-{hashlib.sha256(bytes(tmp_path / 'data')).hexdigest()[:8]}"
    if taken == "open":
        folder.mkdir()
        folder.chmod(0o777)
    else:
        folder.symlink_to(tmp_path)

    assert main(words) == 1
    assert "is not yours alone; remove it, or choose another --work-directory" in capsys.readouterr().err


@needs_slurm
@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(["--slurm", "--no-images", "--partition", "gpu"], "the cluster has no partition 'gpu'; choose one of main, second", id="partition"),
        pytest.param(["--slurm", "--no-images", "--options=mem=1G"], "'mem=1G', which is no option of sbatch", id="option"),
        pytest.param(["--slurm", "--container-engine", "docker"], "container_engine 'docker' is none that nodes run", id="engine"),
        pytest.param(["--no-images", "--partition", "main"], "--partition is about jobs on Slurm; add --slurm, or leave it out", id="no-slurm"),
    ],
)
@pytest.mark.usefixtures("slurm")
def test_what_cannot_be_is_refused_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    status = main(["serve", "--port", "0", "--data", str(tmp_path / "data"), *words])

    said = capsys.readouterr().err
    assert (status, said.count("\n"), told in said) == (1, 1, True), said


def test_without_slurm_on_this_machine_it_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    status = main(["serve", "--slurm", "--no-images", "--port", "0", "--data", str(tmp_path / "data")])

    assert status == 1
    assert "'sbatch' is not on PATH; start it on a login node of the cluster, or without --slurm" in capsys.readouterr().err


MOUNTS = """\
22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:26 / /home rw,nosuid shared:5 - nfs4 server:/home rw
31 22 0:27 / /home/my\\040disk rw - xfs /dev/sdb rw
32 22 0:28 / /homes rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        pytest.param("/home/ann/data", "nfs4", id="below"),
        pytest.param("/home", "nfs4", id="itself"),
        pytest.param("/home/my disk/data", "xfs", id="blank"),
        pytest.param("/homes/x", "tmpfs", id="longer-name"),
        pytest.param("/srv", "ext4", id="root"),
    ],
)
def test_the_kind_of_a_file_system_is_that_of_the_innermost_mount(folder: str, kind: str) -> None:
    assert file_system(Path(folder), MOUNTS) == kind


def test_folders_that_nodes_may_not_see_are_named() -> None:
    assert warning({}) == ""
    assert warning({Path("/data"): "ext4"}) == (
        "Every node must see /data (ext4) under the same path, and it is on a disk of this machine: "
        "share it, or name folders that nodes see with --data and --work-directory."
    )
    assert "/data (ext4) and /work (xfs) under the same path, and they are" in warning({Path("/data"): "ext4", Path("/work"): "xfs"})

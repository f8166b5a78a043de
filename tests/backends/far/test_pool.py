"""Executors whose calls are made by Slurm jobs of a cluster behind ssh."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hail_batch_jupyter import SlurmBackend
from hail_batch_jupyter.batch.batch_pool_executor import BatchPoolExecutor
from hail_batch_jupyter.cluster.protocols.shelled import ShelledProtocol
from hail_batch_jupyter.errors import SubmitError
from tests.backends.test_slurm_pool import jobs
from tests.cluster.connections import connected
from tests.conftest import wait_until
from tests.engine.jobs import gone
from tests.executors import pools
from tests.requirements import ROOT
from tests.slurm_cluster import SlurmCluster
from tests.ssh_server import SshServer

pytestmark = pytest.mark.requires("slurm", "sshd")


def login(slurm: SlurmCluster) -> str:
    """Slurm's commands, and the functions of the tests, which are no part of what is sent."""
    return f"{slurm.login} PYTHONPATH={ROOT}"


@pytest.fixture(params=["ssh", "paramiko"])
def connection(request: pytest.FixtureRequest) -> ShelledProtocol:
    found: ShelledProtocol = request.getfixturevalue(f"{request.param}_connection")
    return found


@pytest.fixture
def executor(connection: ShelledProtocol, tmp_path: Path, slurm: SlurmCluster, runs: Path) -> Iterator[BatchPoolExecutor]:
    """Two workers at most; nothing of it stays in the queue, on the cluster or here."""
    backend = SlurmBackend(connection, tmp_path / "work", pool_workers=2, login_setup=login(slurm), python=sys.executable)
    with BatchPoolExecutor(name="pilots", backend=backend, cpus_per_job=2) as made:
        yield made
    wait_until(lambda: jobs(slurm) == [])
    wait_until(lambda: [path.name for path in (tmp_path / "work").iterdir()] == [".hbj"])
    assert list(runs.iterdir()) == []


def test_calls_go_through_one_connection_to_slurm_jobs_that_stay(executor: BatchPoolExecutor, slurm: SlurmCluster, sshd: SshServer, tmp_path: Path) -> None:
    first = executor.submit(pools.facts).result(90)
    large = os.urandom(9_000_000)

    assert list(executor.map(pools.increment, range(50))) == list(range(1, 51))
    assert executor.submit(bytes.swapcase, large).result(90) == large.swapcase()
    assert first["env"]["SLURM_JOB_NAME"].startswith("hbj-pilots")
    assert first["env"]["OMP_NUM_THREADS"] == "2"
    assert Path(first["cwd"]).parent == tmp_path / "work"
    assert {line.split()[1] for line in jobs(slurm)} == {"RUNNING"}
    assert len(jobs(slurm)) <= 2
    with pytest.raises(ValueError, match="KeyError: .text."):
        executor.submit(pools.fail, "text").result(90)


def test_a_worker_that_ends_or_is_stopped_takes_its_own_call_only(executor: BatchPoolExecutor, tmp_path: Path) -> None:
    lost = executor.submit(pools.leave, 7)
    held = executor.submit(pools.hold, str(tmp_path))
    wait_until((tmp_path / "held").exists)
    pids = pools.pids_in(tmp_path / "held")

    assert held.cancel()

    with pytest.raises(Exception, match=r"ended with exit code 7.*\nabout to leave"):
        lost.result(90)
    wait_until(lambda: all(map(gone, pids)))
    assert executor.submit(pools.increment, 1).result(90) == 2


def test_a_cut_connection_fails_what_was_on_its_way_and_the_next_call_connects_again(
    connection: ShelledProtocol, slurm: SlurmCluster, sshd: SshServer, tmp_path: Path
) -> None:
    backend = SlurmBackend(connection, tmp_path / "work", pool_workers=1, login_setup=login(slurm), python=sys.executable)
    with BatchPoolExecutor(name="pilots", backend=backend) as executor:
        held = executor.submit(pools.hold, str(tmp_path))
        wait_until((tmp_path / "held").exists)
        pids = pools.pids_in(tmp_path / "held")

        for pid in sshd.sessions():
            os.kill(pid, signal.SIGKILL)

        with pytest.raises(Exception, match="because the connection to the cluster ended; call it again(?s:.*)the connection was lost"):
            held.result(90)
        wait_until(lambda: all(map(gone, pids)))
        wait_until(lambda: jobs(slurm) == [])
        assert executor.submit(pools.increment, 1).result(90) == 2
    wait_until(lambda: [path.name for path in (tmp_path / "work").iterdir()] == [".hbj"])


def test_what_waits_for_the_queue_does_not_keep_other_calls(ssh_connection: ShelledProtocol, slurm: SlurmCluster, tmp_path: Path) -> None:
    held = {"options": ("--begin=now+1hour",), "pool_workers": 2, "login_setup": login(slurm), "python": sys.executable}
    backend = SlurmBackend(ssh_connection, tmp_path / "work", **held)  # type: ignore[arg-type]
    with BatchPoolExecutor(name="pilots", backend=backend) as executor:
        waits = executor.submit(bytes.swapcase, large := os.urandom(20_000_000))
        wait_until(lambda: len(jobs(slurm)) == 1)
        quick = executor.submit(pools.increment, 1)
        wait_until(lambda: len(jobs(slurm)) == 2)
        first, second = sorted(slurm.run("squeue", "--noheader", "--format=%F", "--sort=i").split(), key=int)

        slurm.run("scontrol", "update", f"JobId={second}", "StartTime=now")

        assert quick.result(90) == 2
        assert not waits.done()
        slurm.run("scontrol", "update", f"JobId={first}", "StartTime=now")
        assert waits.result(90) == large.swapcase()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"partition": "nowhere"}, "the worker could not be submitted: .*[Pp]artition"),
        ({"python": "/bin/false"}, "Python jobs need Python .* and '/bin/false' is none or has no dill"),
    ],
)
def test_a_cluster_that_gives_no_workers_says_why(
    ssh_connection: ShelledProtocol, slurm: SlurmCluster, tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    backend = SlurmBackend(ssh_connection, tmp_path / "work", login_setup=login(slurm), **{"python": sys.executable, **settings})  # type: ignore[arg-type]

    with pytest.raises(Exception, match=words), BatchPoolExecutor(backend=backend) as executor:
        executor.submit(pools.increment, 1).result(90)


def test_a_pool_of_a_host_that_cannot_be_reached_is_not_made(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host *\n  HostName 127.0.0.1\n  Port 1\n")

    with pytest.raises(SubmitError, match="the cluster cannot be reached"):
        BatchPoolExecutor(backend=SlurmBackend(connected("ssh", config), tmp_path / "work"))

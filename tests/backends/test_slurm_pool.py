from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hail_batch_jupyter import SlurmBackend
from hail_batch_jupyter.batch.batch_pool_executor import BatchPoolExecutor
from hail_batch_jupyter.executors.pool.pilot_link import connected, proved
from tests.conftest import wait_until
from tests.engine.jobs import gone
from tests.executors import pools
from tests.slurm_cluster import SlurmCluster

pytestmark = [pytest.mark.requires("slurm"), pytest.mark.usefixtures("slurm")]


@pytest.fixture(params=[False, True], ids=["sockets", "files"])
def executor(request: pytest.FixtureRequest, tmp_path: Path, slurm: SlurmCluster) -> Iterator[BatchPoolExecutor]:
    """Two workers at most; nothing of it stays in the queue."""
    backend = SlurmBackend(work_directory=tmp_path / "work", pool_workers=2, pool_by_files=request.param)
    with BatchPoolExecutor(name="pilots", backend=backend) as made:
        yield made
    wait_until(lambda: jobs(slurm) == [])
    assert list((tmp_path / "work").iterdir()) == []


def jobs(cluster: SlurmCluster) -> list[str]:
    """Slurm jobs of pools: state and node."""
    return [line for line in cluster.run("squeue", "--noheader", "--format=%j %T %N").splitlines() if line.startswith("hbj-pilots")]


def test_calls_are_made_by_slurm_jobs_that_stay(executor: BatchPoolExecutor, slurm: SlurmCluster) -> None:
    first = executor.submit(pools.facts).result(90)

    assert list(executor.map(pools.increment, range(50))) == list(range(1, 51))
    assert first["env"]["SLURM_JOB_NAME"].startswith("hbj-pilots")
    assert {line.split()[1] for line in jobs(slurm)} == {"RUNNING"}
    assert len(jobs(slurm)) <= 2
    with pytest.raises(ValueError, match="KeyError: .text."):
        executor.submit(pools.fail, "text").result(90)


def test_a_worker_that_ends_fails_its_own_call_only(executor: BatchPoolExecutor) -> None:
    lost = executor.submit(pools.leave, 7)

    with pytest.raises(Exception, match=r"ended with exit code 7.*\nabout to leave"):
        lost.result(90)
    assert executor.submit(pools.increment, 1).result(90) == 2


def test_a_call_is_cancelled_while_it_runs(executor: BatchPoolExecutor, tmp_path: Path) -> None:
    held = executor.submit(pools.hold, str(tmp_path))
    wait_until((tmp_path / "held").exists)
    pids = [int(pid) for pid in (tmp_path / "held").read_text().split()]

    assert held.cancel()

    wait_until(lambda: all(map(gone, pids)))


def test_a_pool_that_slurm_refuses_says_so(tmp_path: Path) -> None:
    backend = SlurmBackend(work_directory=tmp_path, partition="nowhere")
    with BatchPoolExecutor(backend=backend) as executor, pytest.raises(Exception, match="the worker could not be submitted: .*[Pp]artition"):
        executor.submit(pools.increment, 1).result(90)


def test_who_has_not_the_key_is_no_pilot() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found: list[bool] = []

        def serve() -> None:
            for _ in range(2):
                channel, _ = listener.accept()
                with channel:
                    found.append(proved(channel, b"key"))

        thread = threading.Thread(target=serve)
        thread.start()
        stranger = connected("127.0.0.1", port, b"other", 5.0)
        friend = connected("127.0.0.1", port, b"key", 5.0)
        thread.join()

    assert stranger is None
    assert friend is not None
    friend.close()
    assert found == [False, True]

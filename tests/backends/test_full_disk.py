"""What happens when a work directory, or the disk here, is full: before a run, at its start, and while it goes on."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hail_batch_jupyter import SlurmBackend
from hail_batch_jupyter.cluster.protocols.local import LocalProtocol
from hail_batch_jupyter.cluster.protocols.shelled import ShelledProtocol
from hail_batch_jupyter.core.spec import Transfer
from hail_batch_jupyter.errors import SubmitError
from hail_batch_jupyter.observe import rundir
from tests.conftest import wait_until
from tests.engine.jobs import LONG_S, Gate, bash, states, submit
from tests.slurm_cluster import SBIN, SlurmCluster, started, stop
from tests.small_disks import fill, mounted
from tests.ssh_server import SshServer

pytestmark = pytest.mark.requires("slurm", "sshd")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes, which holds the runner's file and a run."""
    with mounted(tmp_path / "small", "2m") as folder:
        yield folder


@pytest.fixture
def backend(small: Path, slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlurmBackend:
    """A runner elsewhere, on the small disk; what is sent goes by copying files."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return SlurmBackend(LocalProtocol(), small, runner="login", login_setup=slurm.login)


@pytest.fixture
def late_slurm(small: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """A Slurm whose node was started after the small disk was mounted, and so sees it."""
    root = Path(tempfile.mkdtemp(prefix="hbj-slurm-"))
    root.chmod(0o755)
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{SBIN}")
    monkeypatch.setenv("SLURM_CONF", str(root / "etc" / "slurm.conf"))
    try:
        yield started(root, 1)
    finally:
        stop(root)
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("left_bytes", [0, 16384])
def test_a_batch_for_a_full_work_directory_starts_nothing_and_names_place_and_remedy(backend: SlurmBackend, small: Path, left_bytes: int) -> None:
    backend._site()
    fill(small, left_bytes)

    with pytest.raises(SubmitError, match=f"{small}.*No space left on device.*free space there or choose another|{small}.*No space.*choose another place"):
        submit(bash(1, ":"), backend=backend)
    assert rundir.list_runs() == []
    assert sorted(path.name for path in small.iterdir()) == [".hbj", "filler"]


@pytest.mark.parametrize("kind", ["ssh", "paramiko"])
def test_an_upload_for_which_there_is_no_room_starts_nothing_and_leaves_nothing(
    request: pytest.FixtureRequest, slurm: SlurmCluster, sshd: SshServer, tmp_path: Path, kind: str
) -> None:
    connection: ShelledProtocol = request.getfixturevalue(f"{kind}_connection")
    laptop, work = sshd.laptop / tmp_path.name, tmp_path / "work"
    laptop.mkdir()
    (laptop / "large").write_bytes(os.urandom(3_000_000))
    connection.run(["sh", "-c", 'mkdir "$1" && mount -t tmpfs -o size=2m none "$1"', "sh", str(work)])  # as who logs in sees it
    try:
        reading = (Transfer(str(laptop / "large"), "${BATCH_TMPDIR}/inputs/x/in"),)
        with pytest.raises(
            SubmitError, match=f"nothing more can be written to the work directory '{work}' on node .No space left on device.; free space there"
        ):
            submit(bash(1, ":", inputs=reading), backend=SlurmBackend(connection, work, login_setup=slurm.login))
        assert sorted(connection.run(["ls", f"{work}/.hbj"]).split())[0] == "files"
        assert len(connection.run(["find", str(work / ".hbj"), "-type", "f", "-size", "+0"]).split()) == 1
    finally:
        connection.run(["umount", "-l", str(work)])
    assert rundir.list_runs() == []


def test_a_run_whose_work_directory_fills_pauses_with_the_remedy_and_runs_nothing_twice(
    small: Path, late_slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    backend = SlurmBackend(LocalProtocol(), small, runner="login", login_setup=late_slurm.login)
    gate = Gate(tmp_path / "gate")
    jobs = [bash(number, f"echo {number} >> {tmp_path}/ran", [number - 1]) for number in range(3, 120)]
    running = submit(bash(1, f"echo 1 >> {tmp_path}/ran"), bash(2, gate.shell, [1]), *jobs, backend=backend)
    gate.reached()
    wait_until(lambda: running.get_job(2)["state"] == "Running")
    filler = fill(small)
    gate.let_through()

    wait_until(lambda: fill(small) and re.search("No space left on device.*free space", running.paused), story=lambda: (running.paused, states(running)))
    filler.unlink()
    running.wait(LONG_S)

    ran = (tmp_path / "ran").read_text().split()
    assert len(ran) == len(set(ran))
    assert states(running)[0] == "S"
    assert "No space left on device" in str(running.error())


def test_news_for_which_there_is_no_room_here_come_when_there_is(
    slurm: SlurmCluster, ssh_connection: ShelledProtocol, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(rundir.RUNS_VARIABLE, str(small / "runs"))
    backend = SlurmBackend(ssh_connection, tmp_path / "work", login_setup=slurm.login)
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, gate.shell), *(bash(number, ":", [1]) for number in range(2, 100)), backend=backend)
    gate.reached()
    filler = fill(small)
    gate.let_through()
    (there,) = (tmp_path / "work").glob("2*")
    wait_until((there / "ended").exists)
    filler.unlink()

    assert running.wait(LONG_S)["state"] == "success"
    assert [event.seq for event in running.events()] == list(range(1, len(running.events()) + 1))

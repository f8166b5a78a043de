"""Runs whose runner lives on a machine behind ssh, on a real Slurm; the folder `laptop` is seen from here only."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import hail_batch_jupyter as hb
from hail_batch_jupyter import SlurmBackend
from hail_batch_jupyter.backends.far import mirror
from hail_batch_jupyter.cluster import ConnectionParameters
from hail_batch_jupyter.cluster.protocols.local import LocalProtocol
from hail_batch_jupyter.cluster.protocols.shelled import ShelledProtocol
from hail_batch_jupyter.cluster.protocols.ssh import SshProtocol
from hail_batch_jupyter.core.spec import Transfer
from hail_batch_jupyter.errors import CapabilityError, RunLostError, SubmitError
from hail_batch_jupyter.observe import rundir
from hail_batch_jupyter.observe.attach import attach
from hail_batch_jupyter.observe.owner import read_owner
from hail_batch_jupyter.observe.running import RunningBatch
from tests.at_once import assert_started_once
from tests.cluster.connections import connected
from tests.conftest import wait_until
from tests.engine.jobs import HOLD, LONG_S, Gate, bash, gone, main_log, output, run, states, submit
from tests.engine.killing import maker
from tests.slurm_cluster import SlurmCluster
from tests.ssh_server import SshServer

pytestmark = pytest.mark.requires("slurm", "sshd")


@pytest.fixture
def backend(ssh_connection: ShelledProtocol, slurm: SlurmCluster, tmp_path: Path) -> SlurmBackend:
    """The cluster by ssh."""
    return SlurmBackend(ssh_connection, tmp_path / "work", login_setup=slurm.login)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalProtocol:
    """This machine, with login shells that read no start files of whoever runs the tests."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return LocalProtocol()


@pytest.fixture
def laptop(sshd: SshServer, tmp_path: Path) -> Path:
    """A folder of this test that the cluster does not see."""
    folder = sshd.laptop / tmp_path.name
    folder.mkdir()
    return folder


def follower(running: RunningBatch) -> int:
    """The process that follows a run."""
    directory = folder_of(running)
    return int(wait_until(lambda: (found := read_owner(directory)) and "guard" in found and found)["pid"])


def folder_of(running: RunningBatch) -> Path:
    assert running.directory is not None
    return running.directory


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gone(pid))


def read(path: Path, name: str) -> dict[str, Any]:
    """Settings of a job that reads a file as inputs/x/NAME."""
    return {"inputs": (Transfer(str(path), f"${{BATCH_TMPDIR}}/inputs/x/{name}"),)}


def test_files_of_this_machine_are_sent_once_and_outputs_come_back(backend: SlurmBackend, laptop: Path, tmp_path: Path) -> None:
    name = 'it\'s; $(touch x) \n"in".txt'
    (laptop / name).write_text("input\n")
    (laptop / "folder" / "deep").mkdir(parents=True)
    (laptop / "folder" / "deep" / "a b").write_text("inside\n")
    dest = laptop / "res ults;'" / "out\n.txt"
    script = 'cat "$BATCH_TMPDIR"/inputs/x/* > made; cat "$BATCH_TMPDIR"/inputs/f/folder/deep/* >> made'
    both = (*read(laptop / name, "in.txt")["inputs"], Transfer(str(laptop / "folder"), "${BATCH_TMPDIR}/inputs/f/folder"))
    job = bash(1, script, inputs=both, **output(1, "made", dest))

    assert [states(run(job, backend=backend)) for _ in range(2)] == ["S", "S"]

    assert dest.read_text() == "input\ninside\n"
    kept = tmp_path / "work" / ".hbj"
    assert len(list((kept / "files").iterdir())) == 2
    assert sorted(path.suffix for path in kept.iterdir()) == ["", "", ".pyz"]


def test_a_file_that_was_sent_long_ago_goes_when_a_run_ends_and_not_what_others_read(backend: SlurmBackend, laptop: Path, tmp_path: Path) -> None:
    for name in ("live", "old"):
        (laptop / name).write_text(name)
    gate, reading = Gate(tmp_path / "gate"), read(laptop / "live", "in")
    going = submit(bash(1, f"{gate.shell}; cat ../inputs/x/in", **reading), backend=backend)
    gate.reached()
    run(bash(1, ":", **read(laptop / "old", "in")), backend=backend)
    files = tmp_path / "work" / ".hbj" / "files"
    first = {path.name: path.read_text() for path in files.iterdir()}
    for name in first:
        os.utime(files.parent / "used" / name, (0, 0))
    for ended in (tmp_path / "work").glob("*/ended"):
        os.utime(ended, (0, 0))

    run(bash(1, ":"), backend=backend)

    wait_until(lambda: [path.name for path in files.iterdir()] == [name for name, text in first.items() if text == "live"], story=lambda: first)
    gate.let_through()
    assert going.wait(LONG_S)["state"] == "success"
    assert main_log(going).endswith("live")


def test_an_upload_that_is_cut_starts_nothing_and_is_not_used(backend: SlurmBackend, laptop: Path, sshd: SshServer, tmp_path: Path) -> None:
    with open(laptop / "large", "wb") as file:
        file.truncate(80_000_000)
    job = bash(1, "stat -Lc %s ../inputs/x/large", **read(laptop / "large", "large"))
    kept = tmp_path / "work" / ".hbj"

    def cut() -> None:
        wait_until(lambda: [path for path in kept.glob("*/*") if path.parent.name != "files" and path.stat().st_size])
        for pid in sshd.sessions():
            os.kill(pid, signal.SIGKILL)

    with ThreadPoolExecutor(1) as thread:
        cutting = thread.submit(cut)
        with pytest.raises(SubmitError, match="failed before the run began, nothing was started"):
            submit(job, backend=backend)
        cutting.result()
    assert rundir.list_runs() == []
    assert list((kept / "files").iterdir()) == []
    for path in kept.iterdir():
        os.utime(path, (0, 0))

    assert main_log(run(job, backend=backend)) == "80000000\n"
    assert sorted(path.suffix for path in kept.iterdir()) == ["", "", ".pyz"]


def test_files_that_both_sides_see_are_linked_and_written_there(backend: SlurmBackend, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("shared\n")

    running = run(
        bash(1, "readlink -f ../inputs/x/in; cp ../inputs/x/in made", **read(tmp_path / "in", "in"), **output(1, "made", tmp_path / "out")), backend=backend
    )

    assert main_log(running) == f"{tmp_path / 'in'}\n"
    assert (tmp_path / "out").read_text() == "shared\n"
    assert list((tmp_path / "work" / ".hbj" / "files").iterdir()) == []
    assert mirror.read_note(folder_of(running)).fetches == ()


def test_an_input_that_is_on_neither_side_starts_nothing(backend: SlurmBackend, laptop: Path, tmp_path: Path) -> None:
    with pytest.raises(SubmitError, match="neither here nor on node"):
        submit(bash(1, ":", **read(laptop / "nothing", "x")), backend=backend)

    assert rundir.list_runs() == []
    assert [path.name for path in (tmp_path / "work").iterdir()] == [".hbj"]


def test_a_batch_with_python_jobs_runs_and_gives_values_and_files(backend: SlurmBackend, laptop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def add(left: int, right: int) -> int:
        return left + right

    backend.settings = backend.settings._replace(python=sys.executable)
    monkeypatch.chdir(laptop)
    b = hb.Batch(name="sum", backend=backend)
    j = b.new_python_job("add")
    total = j.call(add, 20, 22)
    k = b.new_bash_job("show")
    k.command(f"cat {total.as_json()} > {k.text}")
    b.write_output(k.text, "out")

    b.run(delete_scratch_on_exit=False)

    assert json.loads((laptop / "out").read_text()) == 42
    assert total.result() == 42
    assert json.loads(k.text.path().read_text()) == 42


def test_a_python_that_cannot_read_the_functions_is_refused_before_anything_starts(backend: SlurmBackend, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("python3", f"python3.{sys.version_info[1]}"):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\n[ "$1" != -c ] && exec {sys.executable} "$@"\n')  # it has the standard library only
        (tmp_path / "bin" / name).chmod(0o755)
    backend.login_setup += f"; export PATH={tmp_path}/bin:$PATH"
    b = hb.Batch(backend=backend)
    b.new_python_job().call(len, "abc")

    with pytest.raises(SubmitError, match=r"Python jobs need Python 3\.\d+ with dill on node, and none of its"):
        b.run()


def test_a_killed_notebook_loses_nothing_and_runs_nothing_twice(backend: SlurmBackend, laptop: Path, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, f"echo x >> {tmp_path}/ran; {gate.shell}; echo made > made", **output(1, "made", laptop / "out")), backend=backend, detach=True)
    gate.reached()
    kill(follower(running))
    gate.let_through()
    wait_until(lambda: list((tmp_path / "work").glob("2*/ended")))
    assert not running.status()["complete"]
    assert rundir.list_runs()[0].state == "live"

    again = attach(str(running.id))

    assert again.wait(LONG_S)["state"] == "success"
    assert (tmp_path / "ran").read_text() == "x\n"
    assert (laptop / "out").read_text() == "made\n"
    assert [event.seq for event in again.events()] == list(range(1, len(again.events()) + 1))


def test_a_follower_that_dies_while_somebody_waits_is_replaced(backend: SlurmBackend, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, gate.shell), backend=backend)
    gate.reached()
    kill(follower(running))
    gate.let_through()

    assert running.wait(LONG_S)["state"] == "success"


def test_the_end_of_a_connection_pauses_the_news_and_not_the_run(backend: SlurmBackend, sshd: SshServer, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, f"echo x >> {tmp_path}/ran; {gate.shell}"), backend=backend)
    gate.reached()
    os.kill(server := int((sshd.root / "sshd.pid").read_text()), signal.SIGSTOP)
    try:
        for pid in sshd.sessions():
            kill(pid)
        gate.let_through()
    finally:
        os.kill(server, signal.SIGCONT)

    assert running.wait(LONG_S)["state"] == "success"
    assert (tmp_path / "ran").read_text() == "x\n"


def test_why_nothing_is_heard_is_told(backend: SlurmBackend, sshd: SshServer, tmp_path: Path, slurm: SlurmCluster) -> None:
    config = tmp_path / "config"
    shutil.copy(sshd.config, config)
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, gate.shell), backend=SlurmBackend(connected("ssh", config), tmp_path / "work", login_setup=slurm.login))
    gate.reached()
    config.write_text("Host *\n  HostName 127.0.0.1\n  Port 1\n")
    for pid in sshd.sessions():
        kill(pid)

    wait_until(lambda: "Failed to open ssh connection to node" in running.paused)
    shutil.copy(sshd.config, config)
    gate.let_through()
    assert running.wait(LONG_S)["state"] == "success"
    assert running.paused == ""


def test_a_run_is_found_on_the_cluster_from_another_machine(backend: SlurmBackend, tmp_path: Path) -> None:
    running = run(bash(1, "echo here"), backend=backend)
    shutil.rmtree(folder_of(running))

    found = backend.attach(running.id)

    assert found.wait(LONG_S)["state"] == "success"
    assert main_log(found) == "here\n"
    assert (found.log_size(1), found.log_size(1, attempt=2), found.log(1, start=-3, length=2)) == (5, 0, b"re")
    with pytest.raises(RunLostError, match="there is no run 'other' in"):
        backend.attach("other")


def test_a_run_is_tried_again_where_it_ran_and_takes_over_what_succeeded(backend: SlurmBackend, tmp_path: Path) -> None:
    script = f"[ -e {tmp_path}/mended ]"
    jobs = [bash(1, f"echo x >> {tmp_path}/ran; echo made > made", promises=("d1/made",)), bash(2, script, [1], needs=("d1/made",))]
    first = run(*jobs, backend=backend, keep_files=True)
    (tmp_path / "mended").touch()

    again = attach(str(first.id)).retry()
    again.wait(LONG_S)

    assert (states(first), states(again)) == ("SF", "SS")
    assert (tmp_path / "ran").read_text() == "x\n"


@pytest.mark.usefixtures("here")
def test_the_end_of_a_script_ends_the_run_that_it_waits_for(slurm: SlurmCluster, tmp_path: Path) -> None:
    made = "__import__('hail_batch_jupyter').SlurmBackend(__import__('hail_batch_jupyter.cluster.protocols.local', fromlist=['x']).LocalProtocol(),"
    made += f" {str(tmp_path / 'work')!r}, runner='login', login_setup={slurm.login!r})"
    with maker(f"bash(1, {'echo here; ' + HOLD!r}), backend={made}", detach=False) as (process, running):
        wait_until(lambda: main_log(running) == "here\n")
        process.kill()
        process.wait()
        wait_until(lambda: running.status()["complete"])

    assert states(running) == "K"


def test_a_deleted_run_is_gone_on_both_sides(backend: SlurmBackend, tmp_path: Path) -> None:
    running = submit(bash(1, HOLD), backend=backend)

    running.delete()

    assert rundir.list_runs() == []
    assert [path.name for path in (tmp_path / "work").iterdir()] == [".hbj"]


def test_a_killed_runner_there_is_told_and_its_jobs_are_cancelled(backend: SlurmBackend, slurm: SlurmCluster, tmp_path: Path) -> None:
    running = submit(bash(1, f"echo here; {HOLD}"), backend=backend)
    wait_until(lambda: main_log(running) == "here\n")
    (there,) = (tmp_path / "work").glob("2*")
    owner = wait_until(lambda: (found := read_owner(there)) and "guard" in found and found)
    for pid in (owner["guard"], owner["pid"]):
        kill(pid)

    status = running.wait(LONG_S)

    assert (status["state"], states(running)) == ("cancelled", "K")
    assert slurm.run("squeue", "--noheader", f"--name=hbj-{running.id}").split() == []


@pytest.mark.parametrize("n_jobs", [2])
def test_the_runner_may_be_a_slurm_job_of_its_own(here: LocalProtocol, slurm: SlurmCluster, tmp_path: Path, n_jobs: int) -> None:
    script = "echo $HAIL_BATCH_JUPYTER_RUN; squeue --noheader --me --format=%j"
    backend = SlurmBackend(here, tmp_path / "work", runner="job", runner_options="--time=10", login_setup=slurm.login)

    running = run(*(bash(number, script, env={"SECRET": "hush"}) for number in range(1, n_jobs + 1)), backend=backend)

    assert states(running) == "S" * n_jobs
    assert f"hbj-runner-{running.id}" in main_log(running)
    assert list((tmp_path / "work" / str(running.id)).glob("orders")) == []


def test_a_job_for_the_runner_that_slurm_refuses_starts_nothing(here: LocalProtocol, slurm: SlurmCluster, tmp_path: Path) -> None:
    backend = SlurmBackend(here, tmp_path / "work", runner="job", partition="nowhere", login_setup=slurm.login)

    with pytest.raises(SubmitError, match=r"sbatch refused the job of the runner: .*invalid partition"):
        submit(bash(1, ":"), backend=backend)
    assert rundir.list_runs() == []


def test_a_run_begins_once_however_often_it_is_told_to(backend: SlurmBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = backend.protocol
    assert isinstance(protocol, SshProtocol)
    told: list[str] = []
    real = SshProtocol.run

    def cut(self: SshProtocol, command: list[str]) -> str:
        answer = real(self, command)
        if "begin" in command:
            told.append(command[-1])
            if len(told) == 1:
                wait_until((tmp_path / "ran").exists)
                self.close()
                raise hb.cluster.PybatchException("the connection was lost")
        return answer

    monkeypatch.setattr(SshProtocol, "run", cut)

    running = run(bash(1, f"echo x >> {tmp_path}/ran"), backend=backend)

    assert len(told) == 2
    assert states(running) == "S"
    assert (tmp_path / "ran").read_text() == "x\n"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"work_directory": "/proc/nothing"}, "the work directory cannot be made on node"),
        ({"login_setup": "exit 3"}, "the cluster cannot be reached|ended before it said"),
    ],
)
def test_a_cluster_that_cannot_be_used_says_why(
    ssh_connection: ShelledProtocol, slurm: SlurmCluster, tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    backend = SlurmBackend(ssh_connection, **{"work_directory": str(tmp_path / "work"), "login_setup": slurm.login, **settings})  # type: ignore[arg-type]

    with pytest.raises(SubmitError, match=words):
        submit(bash(1, ":"), backend=backend)
    assert rundir.list_runs() == []


def test_slurm_that_is_not_there_is_told(ssh_connection: ShelledProtocol, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mkdir").symlink_to(str(shutil.which("mkdir")))

    with pytest.raises(SubmitError, match="Slurm's 'sbatch' is not on the PATH of node; name a login node, or give login_setup="):
        submit(bash(1, ":"), backend=SlurmBackend(ssh_connection, tmp_path / "work", login_setup=f"export PATH={tmp_path}/bin"))


@pytest.mark.parametrize(
    ("host", "key", "words"), [("unknown", "id", "Host key verification failed"), ("node", "other_id", "Permission denied"), ("no.such.host.invalid", "id", "")]
)
def test_a_host_that_cannot_be_reached_starts_nothing(sshd: SshServer, tmp_path: Path, host: str, key: str, words: str) -> None:
    config = tmp_path / "config"
    lines = [line for line in sshd.config.read_text().splitlines() if "IdentityFile" not in line and (host != "no.such.host.invalid" or "HostName" not in line)]
    config.write_text("\n".join([*lines, f"  IdentityFile {sshd.root}/{key}", ""]))

    with pytest.raises(SubmitError, match=f"the cluster cannot be reached, nothing was started: Failed to open ssh connection to {host}(?s:.*){words}"):
        submit(bash(1, ":"), backend=SlurmBackend(connected("ssh", config, host), tmp_path / "work"))
    assert rundir.list_runs() == []


def test_a_runner_here_needs_slurm_here() -> None:
    with pytest.raises(CapabilityError, match="by ssh use runner='login'"):
        SlurmBackend(ConnectionParameters("node"), runner="here")
    with pytest.raises(ValueError, match="runner 'there' is no place"):
        SlurmBackend(runner="there")
    with pytest.raises(TypeError, match="is none; use SshProtocol"):
        SlurmBackend("node")  # type: ignore[arg-type]


def test_two_processes_that_start_a_batch_at_the_same_moment_start_it_once(sshd: SshServer, slurm: SlurmCluster, tmp_path: Path) -> None:
    setup = f"from tests.cluster.connections import connected\nprotocol = connected('ssh', {str(sshd.config)!r})"
    backend = f"hb.SlurmBackend(protocol, {str(tmp_path / 'work')!r}, login_setup={slurm.login!r})"

    assert_started_once(tmp_path, 1, backend, setup)

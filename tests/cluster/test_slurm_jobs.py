"""Jobs of a real Slurm, here and through a real sshd."""

from __future__ import annotations

import os
import pickle
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.cluster import LaunchParameters, PybatchException, create_job, reload_job
from hail_batch_jupyter.cluster.protocols.local import LocalProtocol
from tests.conftest import wait_until
from tests.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.requires("slurm")


class Through:
    """A protocol that counts commands and knows where Slurm's configuration is, which a login would say."""

    def __init__(self, protocol: Any, conf: Path) -> None:
        self.protocol = protocol
        self.conf = conf
        self.programs: list[str] = []
        self.down = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.protocol, name)

    def run(self, command: list[str]) -> str:
        self.programs.append(command[0])
        if self.down:
            raise PybatchException("Unable to contact slurm controller")
        return str(self.protocol.run(["env", f"SLURM_CONF={self.conf}", *command]))


@pytest.fixture
def through(protocol: Any, slurm: SlurmCluster) -> Through:
    return Through(protocol, slurm.conf)


@pytest.fixture
def here(slurm: SlurmCluster) -> Through:
    return Through(LocalProtocol(), slurm.conf)


def job_of(protocol: Any, folder: Path, *command: str, **options: Any) -> Any:
    return create_job("slurm", LaunchParameters(list(command), str(folder / "work"), **options), protocol)


def test_a_job_runs_and_tells_state_code_and_texts(through: Through, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("input")
    script = 'cat in.txt; echo "$1" >&2; exit 4'
    job = job_of(through, tmp_path, "bash", "-c", script, "x", "it's; $HOME", input_files=[tmp_path / "in.txt"])
    assert (job.state(), job.exit_code(), job.stdout()) == ("CREATED", None, "")
    job.submit()
    assert job.state() in ("QUEUED", "RUNNING", "FAILED")
    job.wait()

    assert (job.state(), job.exit_code()) == ("FAILED", 4)
    assert (job.stdout(), job.stderr()) == ("input", "it's; $HOME\n")
    assert (tmp_path / "work" / "batch.cmd").read_text() == job.batch_file()


def test_an_array_has_a_log_for_each_element_and_runs_so_many_at_once(here: Through, tmp_path: Path) -> None:
    script = """
import os, sys, time
index = int(sys.argv[1])
open(f"begun{index}", "w").close()
number = lambda word: sum(name.startswith(word) for name in os.listdir("."))
print(index, number("begun") - number("ended"))
time.sleep(0.1)
open(f"ended{index}", "w").close()
sys.exit(index * 3)
"""
    job = job_of(here, tmp_path, "python3", "-c", script, total_jobs=4, max_simul_jobs=2)
    job.submit()
    job.wait()

    lines = [line.split() for line in job.stdout().splitlines()]
    assert [line[0] for line in lines] == ["0", "1", "2", "3"]
    assert max(int(line[1]) for line in lines) <= 2
    assert (job.state(), job.exit_code()) == ("FAILED", 3)


def test_a_finished_job_and_a_pickled_and_dumped_one_are_the_same(here: Through, tmp_path: Path) -> None:
    job = create_job("slurm", LaunchParameters(["echo", "hi"], str(tmp_path / "work"), name='a "b" it\'s # \\ c', wall_time="1", ntasks=2, mem_per_cpu="50M"))
    job.submit()
    copies = [pickle.loads(pickle.dumps(job)), reload_job(job.dump())]
    job.wait()

    assert [(copy.state(), copy.exit_code(), copy.stdout()) for copy in [job, *copies]] == [("FINISHED", 0, "hi\n")] * 3


def test_a_name_with_quotes_is_one_name(here: Through, slurm: SlurmCluster, tmp_path: Path) -> None:
    job = job_of(here, tmp_path, "true", name='a "b" it\'s c; d', extra_as_list=["--comment=x"], extra_as_string="#SBATCH --nice=7")
    job.submit()
    job.wait()
    told = slurm.run("squeue", "-h", "-t", "all", "-j", job.jobid, "-o", "%j|%k|%y")

    assert told.strip() == 'a "b" it\'s c; d|x|7'


def test_a_waiting_job_is_queued_until_it_is_cancelled(here: Through, tmp_path: Path) -> None:
    job = job_of(here, tmp_path, "true", extra_as_list=["--hold"], total_jobs=3)
    job.cancel()
    job.submit()
    assert job.state() == "QUEUED"
    job.cancel()
    job.cancel()
    job.wait()

    assert job.state() == "FAILED"


def test_a_running_job_is_cancelled_with_its_signal(here: Through, tmp_path: Path) -> None:
    job = job_of(here, tmp_path, "bash", "-c", f": > '{tmp_path}/begun'; exec sleep 600")
    job.submit()
    wait_until(lambda: job.state() == "RUNNING" and (tmp_path / "begun").exists())  # Slurm says so before the script has begun
    assert job.exit_code() is None
    with pytest.raises(PybatchException, match="has not ended"):
        job.submit()
    job.cancel()
    job.wait()

    assert (job.state(), job.exit_code()) == ("FAILED", 15)


def test_a_suspended_job_is_paused(here: Through, slurm: SlurmCluster, tmp_path: Path) -> None:
    job = job_of(here, tmp_path, "sleep", "600")
    job.submit()
    wait_until(lambda: job.state() == "RUNNING")
    slurm.run("scontrol", "suspend", job.jobid)
    assert wait_until(lambda: job.state() == "PAUSED")
    slurm.run("scontrol", "resume", job.jobid)
    assert wait_until(lambda: job.state() == "RUNNING")
    job.cancel()
    job.wait()


def test_the_nodes_of_a_job_stand_in_a_file(here: Through, tmp_path: Path) -> None:
    job = job_of(here, tmp_path, "bash", "-c", 'cat "$LIBBATCH_NODEFILE"', nodes=2, ntasks=3, create_nodefile=True)
    job.submit()
    job.wait()

    assert len(job.stdout().split()) == 3, job.stderr()


def test_a_refusal_of_sbatch_is_told(here: Through, tmp_path: Path) -> None:
    job = job_of(here, tmp_path, "true", partition="nowhere")
    with pytest.raises(PybatchException, match=r"^Failed to submit job\.[\s\S]*invalid partition") as caught:
        job.submit()

    assert (job.jobid, job.state()) == ("", "CREATED")
    assert caught.value.exit_code == 1


def test_a_second_run_does_not_show_the_logs_of_the_first(here: Through, tmp_path: Path) -> None:
    first = job_of(here, tmp_path, "echo", "old")
    first.submit()
    first.wait()
    second = job_of(here, tmp_path, "echo", "new", extra_as_list=["--hold"])
    second.submit()
    assert second.stdout() == ""
    second.cancel()
    second.wait()


def test_jobs_that_wait_side_by_side_share_their_questions(here: Through, tmp_path: Path) -> None:
    jobs = [job_of(here, tmp_path / str(number), "bash", "-c", f"while [ ! -e '{tmp_path}/go' ]; do sleep 0.05; done") for number in range(8)]
    for job in jobs:
        job.submit()
    threads = [threading.Thread(target=job.wait) for job in jobs]
    before = here.programs.count("squeue")
    for thread in threads:
        thread.start()
    wait_until(lambda: here.programs.count("squeue") >= before + 3)
    (tmp_path / "go").touch()
    for thread in threads:
        thread.join(90)
    asked = here.programs.count("squeue") - before

    assert {job.state() for job in jobs} == {"FINISHED"}
    assert asked < 8 * 3


def test_waiting_goes_on_while_the_controller_does_not_answer(here: Through, tmp_path: Path) -> None:
    job = job_of(here, tmp_path, "bash", "-c", f"while [ ! -e '{tmp_path}/go' ]; do sleep 0.05; done")
    job.submit()
    here.down = True
    thread = threading.Thread(target=job.wait)
    before = here.programs.count("squeue")
    thread.start()
    wait_until(lambda: here.programs.count("squeue") >= before + 2)
    assert thread.is_alive()
    here.down = False
    (tmp_path / "go").touch()
    thread.join(90)

    assert not thread.is_alive()
    assert job.state() == "FINISHED"


def test_a_job_that_slurm_has_forgotten_is_no_silent_success(here: Through, tmp_path: Path) -> None:
    job = job_of(here, tmp_path, "true")
    job.jobid = "999999"
    with pytest.raises(PybatchException, match=r"^Failed to get the state of the job\.\nNo answer of job 999999: squeue failed"):
        job.state()


def test_the_private_slurm_is_the_one_that_answers(slurm: SlurmCluster) -> None:
    assert os.environ["SLURM_CONF"] == str(slurm.conf)
    assert subprocess.run(["sinfo", "-h", "-o", "%P"], capture_output=True, text=True, check=True).stdout.split() == ["main*", "second", "spare"]

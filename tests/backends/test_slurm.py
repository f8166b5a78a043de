from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import hail_batch_jupyter as hb
from hail_batch_jupyter import SlurmBackend
from hail_batch_jupyter.core.registry import backend_class
from hail_batch_jupyter.core.retry import Retry
from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.errors import CapabilityError, SubmitError
from hail_batch_jupyter.executors.slurm.words import SlurmSettings
from hail_batch_jupyter.observe import owner, rundir
from hail_batch_jupyter.observe.attach import attach
from hail_batch_jupyter.observe.running import RunningBatch
from tests.at_once import assert_started_once
from tests.backends import slurm_dag
from tests.conftest import wait_until
from tests.engine.jobs import HOLD, LONG_S, Gate, bash, batch, commands, files_holding, main_log, run, states, submit
from tests.engine.killing import kill_runner, maker
from tests.slurm_cluster import SlurmCluster, end_process, start

pytestmark = [pytest.mark.requires("slurm"), pytest.mark.usefixtures("slurm")]


def in_queue(cluster: SlurmCluster, running: RunningBatch, form: str = "%i") -> list[str]:
    """The Slurm jobs of a run that wait or run, a line each."""
    return cluster.run("squeue", "--noheader", "--array", f"--name=hbj-{running.id}", f"--format={form}").split("\n")[:-1]


def keys(cluster: SlurmCluster, running: RunningBatch, number: int) -> list[str]:
    """Numbers of so many jobs of a run, as soon as they are running."""
    form = "--format=%A"  # scontrol takes the number of a task's own, not that of its array
    ask = ("squeue", "--noheader", "--array", "--states=RUNNING", f"--name=hbj-{running.id}", form)
    return wait_until(lambda: len(found := cluster.run(*ask).split()) == number and found, story=lambda: in_queue(cluster, running, "%i %T %r"))


def fake_sbatch(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """An sbatch first on PATH that does what `body` says, where $real is the real one and $calls a file with a line for each call; gives that file."""
    calls = folder / "calls"
    (folder / "bin").mkdir()
    script = folder / "bin" / "sbatch"
    script.write_text(f'#!/bin/bash\nreal={shutil.which("sbatch")}\ncalls={calls}\necho "$*" >> "$calls"\n{body}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return calls


@contextmanager
def stopped_controller(cluster: SlurmCluster) -> Iterator[None]:
    """A controller that answers nobody."""
    pid = int((cluster.root / "run" / "slurmctld.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_wave_of_jobs_is_submitted_by_a_few_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_sbatch(tmp_path, monkeypatch, 'exec "$real" "$@"')

    running = run(batch(*(bash(number, ":") for number in range(1, 501))), backend=SlurmBackend())

    assert states(running) == "S" * 500
    assert len(calls.read_text().splitlines()) <= 4


def test_what_a_job_asks_for_reaches_slurm(slurm: SlurmCluster, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    request = Request(cpu_mcpu=1500, memory_bytes=3 << 30)
    running = submit(bash(1, gate.shell, request=request, timeout_s=200), backend=SlurmBackend(partition="second", options=("--nice=7",)))
    gate.reached()

    (key,) = keys(slurm, running, 1)
    told = slurm.run("scontrol", "show", "job", key)
    assert in_queue(slurm, running, "%C %m %l %P %k") == [f"2 3G 5:00 second hbj-{running.id}-1"]
    assert "Nice=7" in told
    gate.let_through()
    assert running.wait(LONG_S)["state"] == "success"


def test_values_of_env_stand_nowhere_but_in_the_job(slurm: SlurmCluster, tmp_path: Path) -> None:
    gate, secret = Gate(tmp_path / "gate"), "hush-31415926"
    running = submit(bash(1, f'echo "${{#TOKEN}}"; {gate.shell}', env={"TOKEN": secret}), keep_files=True, backend=SlurmBackend())
    gate.reached()
    assert running.directory is not None

    (key,) = keys(slurm, running, 1)
    told = slurm.run("scontrol", "show", "job", key) + slurm.run("squeue", "--noheader", "--format=%all")
    shown = commands()
    holding = files_holding(running.directory, secret)
    gate.let_through()
    running.wait(LONG_S)

    assert secret not in told
    assert not [line for line in shown if secret.encode() in line]
    assert holding == ["slurm/tasks/1.1.sh"]
    assert files_holding(running.directory, secret) == []
    assert main_log(running) == f"{len(secret)}\n"


def test_a_killed_runner_leaves_no_job_in_the_queue(slurm: SlurmCluster, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    jobs = [bash(1, "echo made > made", promises=("d1/made",)), bash(2, gate.shell, [1]), bash(3, HOLD, [1], request=Request(cpu_mcpu=8000)), bash(4, ":", [2])]
    running = submit(batch(*jobs), backend=SlurmBackend(options=("--begin=now",)))
    gate.reached()
    keys(slurm, running, 2)

    kill_runner(running)
    closed = attach(str(running.id))

    assert in_queue(slurm, running) == []
    assert states(closed) == "SKKK"
    assert closed.complete


def test_jobs_that_still_wait_are_cancelled_with_a_killed_runner(slurm: SlurmCluster, tmp_path: Path) -> None:
    running = submit(bash(1, f"echo ran > {tmp_path}/ran"), backend=SlurmBackend(options=("--hold",)))
    wait_until(lambda: in_queue(slurm, running))

    kill_runner(running)

    attach(str(running.id))
    assert in_queue(slurm, running) == []
    assert not (tmp_path / "ran").exists()


def test_a_runner_that_is_killed_while_it_submits_leaves_no_job(slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_sbatch(tmp_path, monkeypatch, f'"$real" --hold "$@" > /dev/null; : > {tmp_path}/submitted; exec sleep 600')
    running = submit(bash(1, f"echo ran > {tmp_path}/ran"), backend=SlurmBackend())
    wait_until((tmp_path / "submitted").exists)
    assert len(in_queue(slurm, running)) == 1

    kill_runner(running)

    assert states(attach(str(running.id))) == "K"
    assert in_queue(slurm, running) == []
    assert not (tmp_path / "ran").exists()


def test_the_end_of_the_maker_ends_the_jobs(slurm: SlurmCluster) -> None:
    with maker(f"bash(1, {HOLD!r}), backend=__import__('hail_batch_jupyter.backends.slurm', fromlist=['slurm']).SlurmBackend()", detach=False) as (
        process,
        running,
    ):
        keys(slurm, running, 1)
        process.kill()
        process.wait()
        wait_until(lambda: running.status()["complete"])

    assert states(running) == "K"
    wait_until(lambda: in_queue(slurm, running) == [])


def test_a_thousand_jobs_go_on_without_their_notebook_and_are_cancelled_in_the_middle(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_sbatch(tmp_path, monkeypatch, 'exec "$real" "$@"')
    spec = f"__import__('tests.backends.slurm_dag', fromlist=['x']).dag({str(tmp_path)!r}, 1000)"
    backend = "__import__('hail_batch_jupyter.backends.slurm', fromlist=['x']).SlurmBackend()"
    with maker(f"{spec}, backend={backend}", detach=True) as (process, running):
        wait_until(lambda: "S" in states(running))
        process.kill()  # the notebook
        process.wait()
    again = attach(str(running.id))
    meant = slurm_dag.expected(1000)
    wait_until(lambda: states(again).count("S") == meant.count("S"), LONG_S, lambda: Counter(states(again)))

    again.cancel()
    again.wait(LONG_S)

    ran = (tmp_path / "ran").read_text().split()
    assert states(attach(str(running.id))) == meant
    assert sorted(map(int, ran)) == [number for number, letter in enumerate(meant, 1) if letter in "SF" or number == 1]
    assert len(calls.read_text().splitlines()) < 50
    wait_until(lambda: in_queue(slurm, again) == [])


def test_a_job_that_does_not_listen_is_killed(slurm: SlurmCluster) -> None:
    running = submit(bash(1, "trap '' TERM; echo here; while :; do read -r -t 1 _ <> <(:) || :; done"), backend=SlurmBackend())
    wait_until(lambda: main_log(running) == "here\n")

    running.cancel()

    assert running.wait(LONG_S)["state"] == "cancelled"
    wait_until(lambda: in_queue(slurm, running) == [])


def test_a_job_whose_node_fails_is_tried_again(slurm: SlurmCluster, tmp_path: Path) -> None:
    script = f"echo x >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) = 2 ] || {{ echo $SLURMD_NODENAME; {HOLD}; }}"
    running = submit(bash(1, script), backend=SlurmBackend())
    node = wait_until(lambda: main_log(running).strip())
    try:
        slurm.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        running.wait(LONG_S)
    finally:
        with suppress(subprocess.CalledProcessError):  # it may have come back by itself
            slurm.run("scontrol", "update", f"nodename={node}", "state=resume")
        wait_until(lambda: "down" not in slurm.run("sinfo", "--noheader", f"--nodes={node}", "--format=%T"))

    assert states(running) == "S"
    assert [view.reason for view in running.snapshot().jobs[0].attempts] == ["its node failed", ""]


def test_a_job_that_was_preempted_goes_on_where_nobody_takes_its_place(slurm: SlurmCluster, tmp_path: Path) -> None:
    script = f"echo $SLURM_JOB_PARTITION >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) = 2 ] || {{ echo $SLURMD_NODENAME; {HOLD}; }}"
    spot, other = bash(1, script, request=Request(spot=True), retry=Retry(1, no_spot_after=1)), bash(2, "echo $SLURM_JOB_PARTITION")
    running = submit(spot, other, backend=SlurmBackend(spot_options=("--partition=spare",)))
    node = wait_until(lambda: main_log(running).strip())
    taken = slurm.run("sbatch", "--parsable", "--partition=main", f"--nodelist={node}", "--exclusive", "--output=/dev/null", "--wrap=sleep 600").strip()
    try:
        running.wait(LONG_S)
    finally:
        slurm.run("scancel", taken)

    assert states(running) == "SS"
    assert (tmp_path / "tries").read_text().split() == ["spare", "main"]
    assert main_log(running, 2) == "main\n"
    first, second = running.attempts(1)
    assert first.reason == "other jobs took its place (preempted); the next attempt is on a machine that stays"
    assert (first.granted and first.granted.spot, second.granted and second.granted.spot) == (None, False)


def test_a_job_that_is_put_back_into_the_queue_begins_anew_in_an_empty_folder(slurm: SlurmCluster, tmp_path: Path) -> None:
    script = f"ls -A | wc -l >> {tmp_path}/found; echo x > x; [ $(wc -l < {tmp_path}/found) = 2 ] || {{ : > {tmp_path}/here; {HOLD}; }}"
    running = submit(bash(1, script), backend=SlurmBackend(options=("--requeue",)))
    wait_until((tmp_path / "here").exists)

    slurm.run("scontrol", "requeue", *keys(slurm, running, 1))
    wait_until(lambda: in_queue(slurm, running, "%T") == ["PENDING"], story=lambda: in_queue(slurm, running, "%i %T %r"))
    slurm.run("scontrol", "update", f"jobid={in_queue(slurm, running, '%A')[0]}", "starttime=now")  # else it waits for two minutes
    running.wait(LONG_S)

    assert states(running) == "S"
    assert (tmp_path / "found").read_text().split() == ["0", "0"]
    assert running.get_job(1)["attempt"] == 1


def test_why_a_job_waits_is_told(slurm: SlurmCluster) -> None:
    running = submit(bash(1, ":"), backend=SlurmBackend(options=("--hold",)))
    wait_until(lambda: "JobHeldUser" in running.snapshot().jobs[0].reason, story=running.snapshot)

    slurm.run("scontrol", "release", *in_queue(slurm, running, "%A"))

    assert running.wait(LONG_S)["state"] == "success"


def test_a_job_that_others_cancel_is_an_error(slurm: SlurmCluster) -> None:
    running = submit(bash(1, f"echo here; {HOLD}"), bash(2, ":", [1]), backend=SlurmBackend())

    slurm.run("scancel", *keys(slurm, running, 1))
    running.wait(LONG_S)

    assert states(running) == "EK"
    assert running.get_job(1)["reason"] == "cancelled in Slurm, not by this run"


def test_a_refused_job_is_an_error_with_the_words_of_slurm() -> None:
    running = run(bash(1, ":"), bash(2, ":", [1]), backend=SlurmBackend(partition="nowhere"))

    assert states(running) == "EK"
    assert running.get_job(1)["reason"].startswith("could not start: sbatch refused it: Invalid partition")


INVALID = "sbatch: error: Batch job submission failed: Invalid qos specification"
REFUSED = f'for word; do [ "$word" != --cpus-per-task=2 ] || {{ echo "{INVALID}" >&2; exit 1; }}; done\nexec "$real" "$@"'


def test_a_refusal_in_the_middle_names_what_was_submitted_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_sbatch(tmp_path, monkeypatch, REFUSED)
    gate = Gate(tmp_path / "gate")
    jobs = [bash(1, ":"), bash(2, gate.shell), bash(3, ":", [1], request=Request(cpu_mcpu=2000)), bash(4, ":", [3]), bash(5, ":", [2])]
    running = submit(batch(*jobs), backend=SlurmBackend())
    wait_until(lambda: states(running)[2] == "E", story=running.snapshot)
    gate.let_through()
    running.wait(LONG_S)

    reason = running.get_job(3)["reason"]
    assert states(running) == "SSEKS"
    assert reason.startswith("could not start: sbatch refused it: Invalid qos specification")
    assert "Slurm has 1 other jobs of this run, which go on: " in reason
    assert "cancel_after_n_failures=1 would have ended them" in reason


def test_a_refusal_in_the_middle_ends_what_was_submitted_on_request(slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_sbatch(tmp_path, monkeypatch, REFUSED)
    jobs = [bash(1, ":"), bash(2, HOLD), bash(3, ":", [1], request=Request(cpu_mcpu=2000))]

    running = run(batch(*jobs, cancel_after_n_failures=1), backend=SlurmBackend())

    assert states(running) == "SKE"
    wait_until(lambda: in_queue(slurm, running) == [])


def test_what_was_submitted_without_an_answer_is_not_submitted_again(slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = '[ $(wc -l < "$calls") = 1 ] || exec "$real" "$@"\n"$real" "$@" > /dev/null\necho "sbatch: error: Socket timed out on send/recv" >&2; exit 1'
    calls = fake_sbatch(tmp_path, monkeypatch, body)

    running = run(*(bash(number, f"echo x >> {tmp_path}/ran{number}") for number in (1, 2)), backend=SlurmBackend())

    assert states(running) == "SS"
    assert [(tmp_path / f"ran{number}").read_text() for number in (1, 2)] == ["x\n"] * 2
    assert len(calls.read_text().splitlines()) == 1


def test_what_did_not_reach_slurm_is_submitted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = '[ $(wc -l < "$calls") = 1 ] || exec "$real" "$@"\necho "sbatch: error: Unable to contact slurm controller" >&2; exit 1'
    calls = fake_sbatch(tmp_path, monkeypatch, body)

    assert states(run(bash(1, ":"), backend=SlurmBackend())) == "S"
    assert len(calls.read_text().splitlines()) == 2


def test_a_limit_on_submitted_jobs_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 'for word; do case $word in --array=0-[2-9]) echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2; exit 1;; esac; done\nexec "$real" "$@"'
    fake_sbatch(tmp_path, monkeypatch, limit)

    running = run(batch(*(bash(number, ":") for number in range(1, 9))), backend=SlurmBackend())

    assert states(running) == "S" * 8


def test_no_more_jobs_are_in_the_queue_than_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_sbatch(tmp_path, monkeypatch, 'exec "$real" "$@"')

    running = run(batch(*(bash(number, ":") for number in range(1, 5))), backend=SlurmBackend(max_jobs=2))

    assert states(running) == "SSSS"
    assert not [line for line in calls.read_text().splitlines() if "--array=0-2" in line or "--array=0-3" in line]


def test_a_controller_that_is_away_is_waited_for(slurm: SlurmCluster, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, gate.shell), bash(2, ":", [1]), backend=SlurmBackend())
    gate.reached()

    with stopped_controller(slurm):
        gate.let_through()
        wait_until(lambda: states(running)[0] == "S", story=running.snapshot)
        assert not running.status()["complete"]

    assert running.wait(LONG_S)["state"] == "success"


def test_a_controller_that_starts_anew_knows_the_jobs_and_none_runs_twice(slurm: SlurmCluster, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, gate.shell), bash(2, f"echo x >> {tmp_path}/ran", [1]), backend=SlurmBackend())
    gate.reached()
    end_process(int((slurm.root / "run" / "slurmctld.pid").read_text()))
    gate.let_through()
    wait_until(lambda: states(running)[0] == "S", story=running.snapshot)

    start("slurmctld")

    assert running.wait(LONG_S)["state"] == "success"
    assert (tmp_path / "ran").read_text() == "x\n"


def test_a_work_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SubmitError, match=r"file/work"):
        submit(bash(1, ":"), backend=SlurmBackend(work_directory=tmp_path / "file" / "work"))


def test_a_run_lies_in_its_work_directory_and_is_found_and_removed_from_elsewhere(tmp_path: Path) -> None:
    running = run(bash(1, 'echo "$PWD"'), keep_files=True, backend=SlurmBackend(work_directory=tmp_path / "work"))
    place = tmp_path / "work" / str(running.id)

    assert main_log(running) == f"{place}/scratch/d1\n"
    assert main_log(attach(str(running.id))) == main_log(running)
    assert [(found.run_id, found.backend) for found in rundir.list_runs()] == [(running.id, "slurm")]
    assert not (place / "slurm").exists()
    running.delete()
    assert list(place.parent.iterdir()) == []
    assert list(rundir.runs_folder().iterdir()) == []


def test_a_batch_with_python_jobs_runs_and_gives_results(tmp_path: Path) -> None:
    def add(left: int, right: int) -> int:
        return left + right

    b = hb.Batch(name="sum", backend=SlurmBackend(work_directory=tmp_path / "work"))
    j = b.new_python_job("add")
    total = j.call(add, 20, 22)
    k = b.new_bash_job("show")
    k.command(f"cat {total.as_json()} > {k.text}")
    b.write_output(k.text, str(tmp_path / "out"))

    b.run()

    assert json.loads((tmp_path / "out").read_text()) == 42


def test_a_run_is_tried_again_with_the_same_settings(tmp_path: Path) -> None:
    backend = SlurmBackend(work_directory=tmp_path, partition="second", options=["--nice=1"], max_jobs=3)

    noted = rundir.settings_of(run(bash(1, ":"), backend=backend).directory)  # type: ignore[arg-type]  # a run of this machine has one

    again = backend_class(noted["backend"])(**noted["settings"])
    assert again.settings == backend.settings
    assert again.capacity() == backend.capacity()


def test_what_is_not_given_comes_from_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "PARTITION": "second",
        "QOS": "high",
        "WORK_DIRECTORY": str(tmp_path),
        "OPTIONS": "--nice --comment='a b'",
        "SETUP": "module load x",
        "MAX_JOBS": "7",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"HAIL_SLURM_{name}", value)

    backend = SlurmBackend(qos="low")

    assert backend.settings == SlurmSettings("second", None, "low", ("--nice", "--comment=a b"), None, ("module load x",), None)
    assert (backend.work_directory, backend.capacity().attempts) == (tmp_path, 7)


def test_without_slurm_nothing_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SubmitError, match=r"'sbatch' is not on PATH; start the notebook on a login node"):
        submit(bash(1, ":"), backend=SlurmBackend())
    assert rundir.list_runs() == []


def test_an_image_without_an_engine_starts_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("sbatch", "squeue", "scancel", "scontrol"):
        (tmp_path / name).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CapabilityError, match=r"job 'job1' has the image 'x', and this machine has none of apptainer, singularity, podman; where the nodes"):
        submit(bash(1, ":", image="x"), backend=SlurmBackend())
    assert rundir.list_runs() == []


@pytest.mark.parametrize("option", ["mem=1G", "", "--mem=1G\n--wrap=x"])
def test_an_option_that_is_none_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match=r"sbatch"):
        SlurmBackend(options=[option])


def test_a_job_that_nobody_saw_running_took_its_time_all_the_same(slurm: SlurmCluster) -> None:
    running = submit(bash(1, "sleep 0.2"), backend=SlurmBackend(options=("--hold",)))
    wait_until(lambda: states(running) == "C")
    (key,) = in_queue(slurm, running, "%A")
    facts = owner.read_owner(rundir.find(str(running.id)))
    assert facts is not None

    os.kill(facts["pid"], signal.SIGSTOP)  # so that it hears of the start and of the end at once
    slurm.run("scontrol", "release", key)
    wait_until(lambda: not in_queue(slurm, running))
    os.kill(facts["pid"], signal.SIGCONT)
    running.wait(LONG_S)

    (attempt,) = running.snapshot().jobs[0].attempts
    assert attempt.started_ms is not None
    assert attempt.ended_ms is not None
    assert attempt.ended_ms - attempt.started_ms >= 200


def test_two_processes_that_start_a_batch_at_the_same_moment_start_it_once(tmp_path: Path) -> None:
    assert_started_once(tmp_path, 2, f"hb.SlurmBackend(work_directory={str(tmp_path / 'work')!r})")

"""Jobs in containers of real engines."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

import hail_batch_jupyter.batch as hb
from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.core.retry import Retry
from hail_batch_jupyter.core.spec import SCRATCH, JobSpec, Request, Transfer
from hail_batch_jupyter.errors import JobFailedError
from hail_batch_jupyter.observe.attach import attach
from hail_batch_jupyter.observe.running import RunningBatch
from tests.conftest import wait_until
from tests.engine.jobs import LONG_S, bash, begun, commands, exists, files_holding, gone, main_log, output, run, states, submit, timed_out
from tests.engine.killing import guard_pid, kill_runner, runner_pid
from tests.executors.engines import FLAGS, IMAGE, RealEngine

SECRET = "s3cr3t-of-the-user"
HOLD = ": > here; mkfifo hold; read -r _ < hold"


def inside(job_id: int, script: str, *more: Any, **settings: Any) -> JobSpec:
    """A bash job in the test image."""
    return bash(job_id, script, *more, image=IMAGE, **settings)


def held(running: RunningBatch, job_id: int = 1) -> None:
    """Wait until a job that holds does so."""
    assert running.scratch is not None
    exists(running.scratch / f"d{job_id}" / "here")


def ends(running: RunningBatch) -> list[tuple[str, int | None, str]]:
    return [(view.state.value, view.exit_code, view.reason) for view in running.snapshot().jobs]


def test_a_job_runs_in_its_image_in_a_directory_of_its_own_below_scratch(engine: RealEngine) -> None:
    running = run(inside(1, 'cat /of-the-image; pwd; echo "$BATCH_TMPDIR"; ls -A | wc -l'))

    assert states(running) == "S"
    assert main_log(running).splitlines() == ["from the image", f"{running.scratch}/d1", str(running.scratch), "0"]


def test_files_are_read_made_passed_on_and_written_out_by_jobs_with_and_without_an_image(engine: RealEngine, tmp_path: Path) -> None:
    (tmp_path / "in, put.txt").write_text("one\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_text("two\n")
    names = {"x/in, put.txt": "in, put.txt", "y/folder": "folder"}
    inputs = tuple(Transfer(f"{tmp_path}/{source}", f"{SCRATCH}/inputs/{place}") for place, source in names.items())
    first = inside(1, 'cat "$BATCH_TMPDIR/inputs/x/in, put.txt" "$BATCH_TMPDIR"/inputs/y/folder/a > made', inputs=inputs, promises=("d1/made",))
    second = bash(2, 'mkdir sub; cat "$BATCH_TMPDIR/d1/made" > sub/copy; echo three >> sub/copy', [1], needs=("d1/made",), promises=("d2/sub",))
    third = inside(3, 'cat "$BATCH_TMPDIR/d2/sub/copy" > last', [2], needs=("d2/sub",), **output(3, "last", tmp_path / "out"))

    running = run(first, second, third)

    assert states(running) == "SSS", [main_log(running, job_id) for job_id in (1, 2, 3)]
    assert (tmp_path / "out").read_text() == "one\ntwo\nthree\n"


def test_an_input_cannot_be_changed_from_a_container(engine: RealEngine, tmp_path: Path) -> None:
    (tmp_path / "input").write_text("mine\n")

    running = run(inside(1, 'echo changed > "$BATCH_TMPDIR/inputs/x"', inputs=(Transfer(f"{tmp_path}/input", f"{SCRATCH}/inputs/x"),)))

    assert states(running) == "F"
    assert (tmp_path / "input").read_text() == "mine\n"


def test_what_a_container_makes_belongs_to_the_user(engine: RealEngine) -> None:
    running = run(inside(1, "mkdir sub; echo x > sub/made; chmod 600 sub/made", promises=("d1/sub",)), keep_files=True)

    facts = running.file("d1/sub/made").stat()
    assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (os.getuid(), os.getgid(), 0o600)


def test_scratch_is_removed_after_a_run_with_containers(engine: RealEngine, tmp_path: Path) -> None:
    run(inside(1, "mkdir sub; echo x > sub/made"), inside(2, "echo x > made; exit 1"), backend=LocalBackend(tmp_dir=f"{tmp_path}/a b, c"))

    wait_until(lambda: not list((tmp_path / "a b, c").glob("batch*/*")))


def test_the_environment_of_a_container_is_the_image_s_and_the_job_s(engine: RealEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_CALLER", "1")
    env = {"X": "two words\nand a line", "PATH": "/mine:/usr/bin", "HOME": "/my home", "DOCKER_HOST": "tcp://of-the-job", "CONTAINERS_CONF": "/none"}

    running = run(inside(1, 'echo "${OF_THE_CALLER-unset} $PYTHONPATH"; echo "$X"; echo "$PATH|$HOME|$DOCKER_HOST|$CONTAINERS_CONF"', env=env))

    assert main_log(running).splitlines() == ["unset /opt/packages", "two words", "and a line", "/mine:/usr/bin|/my home|tcp://of-the-job|/none"]


def test_values_of_env_are_on_no_command_line_and_on_no_disk(engine: RealEngine) -> None:
    running = submit(inside(1, f"[ ${{#TOKEN}} = 18 ]; {HOLD}", env={"TOKEN": SECRET, "DOCKER_TOKEN": SECRET}), keep_files=True)
    held(running)

    shown = commands()
    assert any(b"TOKEN" in text for text in shown)
    assert not any(SECRET.encode() in text for text in shown)
    assert running.directory is not None
    assert files_holding(running.directory, SECRET) == []
    running.cancel()
    running.wait(LONG_S)


def test_exit_codes_are_those_of_the_job(engine: RealEngine) -> None:
    no_shell = inside(4, ":")._replace(command=("/no/shell", "-c", ":"))

    running = run(inside(1, "exit 3"), inside(2, "exit 125"), inside(3, "kill -9 $$"), no_shell, inside(5, ":"))

    assert ends(running) == [("Failed", 3, ""), ("Failed", 125, ""), ("Failed", 137, ""), ("Failed", 127, ""), ("Success", 0, "")]
    assert "/no/shell" in main_log(running, 4)


def test_an_image_that_cannot_be_had_is_an_error_with_a_sentence_and_cancels_what_follows(engine: RealEngine) -> None:
    running = run(bash(1, ":", image="localhost:1/no-such-image:7"), inside(2, ":", [1]), bash(3, ":"))

    assert states(running) == "EKS"
    state, exit_code, reason = ends(running)[0]
    assert (state, exit_code) == ("Error", None)
    assert reason.startswith("image cannot be pulled: 'localhost:1/no-such-image:7' is not on this machine and ")
    assert "check the name, or build or pull it first" in reason
    assert "connection refused" in main_log(running, 1)


def test_a_flag_that_the_engine_does_not_know_is_an_error_of_the_engine(engine: RealEngine) -> None:
    running = run(inside(1, ":"), backend=LocalBackend(extra_docker_run_flags="--no-such-flag"))

    state, exit_code, reason = ends(running)[0]
    assert (state, exit_code) == ("Error", None)
    assert reason.startswith(f"{engine.name} could not run the image '{IMAGE}': ")
    assert "no-such-flag" in reason


def test_a_job_over_its_memory_is_out_of_memory(engine: RealEngine) -> None:
    job = inside(1, r"x=$(head -c 200000000 /dev/zero | tr '\0' x); echo ${#x}", request=Request(memory_bytes=48 << 20))

    assert ends(run(job)) == [("Failed", 137, "out of memory")]


def test_what_was_used_in_a_container_is_measured_however_it_ended(engine: RealEngine) -> None:
    takes = """python3 -c 'import os; x = bytearray(80 << 20); sum(range(2_000_000)); open("pid", "w").write(str(os.getpid()))'"""
    full = r"x=$(head -c 200000000 /dev/zero | tr '\0' x); echo ${#x}"
    orphan = f"( {takes} & ); until [ -s pid ]; do sleep 0.01; done; while [ -e /proc/$(cat pid) ]; do sleep 0.01; done; exit 3"

    running = run(inside(1, takes), inside(2, orphan), inside(3, full, request=Request(memory_bytes=48 << 20)), inside(4, ":"))

    assert ends(running) == [("Success", 0, ""), ("Failed", 3, ""), ("Failed", 137, "out of memory"), ("Success", 0, "")]
    used = [view.usage for view in running.snapshot().jobs if view.usage]
    assert not any(one.at_most for one in used)
    large, orphan_mib, over, small = (one.max_rss_bytes / (1 << 20) for one in used)
    assert small < 8, "the engine's client, of 20 MiB and more, is not what is told"
    assert 80 < large < 160 and 80 < orphan_mib < 160
    assert 24 < over < 64, "what it shares with others, as libraries, is resident too, but not within its limit"
    assert all(used[3].cpu_s < one.cpu_s for one in used[:3])


def test_a_container_has_the_cores_and_bytes_that_were_asked_for(engine: RealEngine) -> None:
    running = submit(inside(1, HOLD, request=Request(cpu_mcpu=1500, memory_bytes=100_000_000)))
    held(running)

    limits = engine.ask("inspect", "--format", "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}}", *engine.containers())
    running.cancel()
    running.wait(LONG_S)
    assert limits == "1500000000 100000000"


@pytest.mark.filterwarnings("ignore:job 'job1' asks for 1000 cores")
def test_more_cores_than_there_are_become_all_that_there_are(engine: RealEngine) -> None:
    assert states(run(inside(1, ":", request=Request(cpu_mcpu=1_000_000)))) == "S"


def test_a_timeout_asks_the_job_to_end(engine: RealEngine, tmp_path: Path) -> None:
    job = inside(1, "trap 'echo asked > word; exit 0' TERM; : > here; while :; do sleep 0.01; done", always_copy_output=True)

    running = timed_out(lambda timeout_s: job._replace(timeout_s=timeout_s, **output(1, "word", tmp_path / "word")), tmp_path / "word")

    assert ends(running) == [("Error", None, "timed out")]
    assert (tmp_path / "word").read_text() == "asked\n"


def test_a_job_that_does_not_listen_is_killed(engine: RealEngine) -> None:
    running = submit(inside(1, rf"trap '' TERM; x=$(head -c 40000000 /dev/zero | tr '\0' x); {HOLD}"))
    held(running)

    running.cancel()
    running.wait(LONG_S)
    assert states(running) == "K"
    assert engine.containers() == []
    (used,) = (view.usage for view in running.snapshot().jobs)
    assert used is not None and 30 << 20 < used.max_rss_bytes < 300 << 20, "as it was when it was asked to end"


def test_a_container_is_removed_when_its_client_is_killed(engine: RealEngine) -> None:
    running = submit(inside(1, HOLD))
    held(running)
    begun(running, 1)
    client = running.snapshot().jobs[0].pid

    os.kill(client, signal.SIGKILL)
    running.wait(LONG_S)
    assert ends(running) == [("Failed", 137, "")]
    assert engine.containers() == []


def test_a_killed_runner_leaves_no_container(engine: RealEngine) -> None:
    running = submit(inside(1, f"trap '' TERM; {HOLD}"), inside(2, HOLD), backend=LocalBackend(cores=2))
    held(running, 1)
    held(running, 2)
    assert len(engine.containers()) == 2
    guard = guard_pid(running)

    kill_runner(running)

    wait_until(lambda: gone(guard))
    assert engine.containers() == []


def test_containers_that_a_killed_guard_could_not_remove_are_removed_when_the_run_is_opened(engine: RealEngine) -> None:
    running = submit(inside(1, HOLD))
    held(running)
    os.kill(guard_pid(running), signal.SIGKILL)
    os.kill(runner_pid(running), signal.SIGKILL)
    wait_until(lambda: gone(runner_pid(running)))
    assert len(engine.containers()) == 1

    found = attach(str(running.id))

    assert states(found) == "K"
    assert engine.containers() == []


def test_the_key_of_a_service_account_is_in_the_container(engine: RealEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key of mine.json").write_text("the key\n")
    monkeypatch.setenv("HAIL_BATCH_GSA_KEY_FILE", str(tmp_path / "key of mine.json"))
    script = 'echo "$GOOGLE_APPLICATION_CREDENTIALS"; cat /gsa-key/key.json'

    running = run(inside(1, script), inside(2, script, env={"GOOGLE_APPLICATION_CREDENTIALS": "/other"}))

    assert main_log(running, 1) == "/gsa-key/key.json\nthe key\n"
    assert main_log(running, 2) == "/other\nthe key\n"


def test_flags_of_the_user_come_after_ours(engine: RealEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_BATCH_EXTRA_DOCKER_RUN_FLAGS", f"{FLAGS} --env 'X=of the variable'")
    backends = [LocalBackend(), LocalBackend(extra_docker_run_flags=f"{FLAGS} --workdir /tmp --env 'X=of the argument'")]

    logs = [main_log(running := run(inside(1, 'echo "$X"; pwd'), backend=backend)).replace(str(running.scratch), "") for backend in backends]

    assert logs == ["of the variable\n/d1\n", "of the argument\n/tmp\n"]


def test_python_jobs_and_bash_jobs_of_a_batch_run_in_their_default_images(engine: RealEngine, tmp_path: Path) -> None:
    b = hb.Batch(default_image=IMAGE, default_python_image=IMAGE, backend=LocalBackend())
    factor = 7
    p = b.new_python_job("multiply")
    product = p.call(lambda x: x * factor, 6)
    where = p.call(lambda: open("/of-the-image").read())
    j = b.new_bash_job("show")
    j.command(f"cat /of-the-image {product.as_str()} {where.as_str()} > {j.out}")
    b.write_output(j.out, str(tmp_path / "out"))

    b.run()

    assert (tmp_path / "out").read_text() == "from the image\n42\nfrom the image\n\n"


@pytest.mark.parametrize(
    ("env", "words"),
    [
        pytest.param({}, "ZeroDivisionError: division by zero", id="an-exception"),
        pytest.param({"PYTHONPATH": "/none"}, "this job needs the package dill, which /usr/bin/python3 does not have; install it", id="no-dill"),
    ],
)
def test_a_python_job_says_why_it_failed(engine: RealEngine, env: dict[str, str], words: str) -> None:
    b = hb.Batch(default_python_image=IMAGE, backend=LocalBackend())
    j = b.new_python_job("fails")
    j.call(lambda: 1 / 0)
    for name, value in env.items():
        j.env(name, value)

    with pytest.raises(JobFailedError, match=words):
        b.run()


def test_another_image_is_another_job_to_resume(engine: RealEngine) -> None:
    def keys(image: str) -> list[str]:
        b = hb.Batch(default_image=image)
        b.new_bash_job("a").command("echo")
        return [job.key for job in b.compile().jobs]

    assert keys("a") == keys("a") != keys("b")


def test_a_job_in_a_container_is_tried_again_in_a_new_one_with_an_empty_folder(engine: RealEngine) -> None:
    script = 'ls -A; : > left; [ -e "$BATCH_TMPDIR/first" ] || { : > "$BATCH_TMPDIR/first"; exit 3; }'
    running = run(inside(1, script, retry=Retry(attempts=2, on=("exit",))))

    assert [(attempt.number, attempt.exit_code) for attempt in running.attempts(1)] == [(1, 3), (2, 0)]
    assert running.log(1) == b""


def test_a_job_whose_image_is_not_there_is_not_tried_again(engine: RealEngine) -> None:
    running = run(bash(1, "true", image="hbj-test-none:1", retry=Retry(attempts=3, on=("exit", "lost"))))

    assert [(attempt.number, attempt.exit_code) for attempt in running.attempts(1)] == [(1, None)]
    assert states(running) == "E"

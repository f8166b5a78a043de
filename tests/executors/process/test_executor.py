from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from hail_batch_jupyter.backends.local import LocalBackend
from hail_batch_jupyter.core.spec import JobSpec
from hail_batch_jupyter.observe import procfs
from tests.conftest import wait_until
from tests.engine.jobs import HOLD, LONG_S, Gate, bash, exists, gone, main_log, pid_in, processes, run, states, submit, timed_out

FAMILY = """cd '{folder}'
sleep 1000 & echo $! > child
(sleep 1000 & echo $! > grandchild; wait) &
setsid bash -c 'echo $$ > own_session; exec sleep 1000' &
setsid bash -c 'setsid bash -c "echo \\$\\$ > nested_session; exec sleep 1000" & wait' &
set -m; sleep 1000 & echo $! > own_group; set +m
until [ -s grandchild ] && [ -s own_session ] && [ -s nested_session ]; do read -r -t 0.01 _ <> clock || :; done
: > all
"""
"""A job whose children, grandchildren and processes in groups and sessions of their own are all told to sleep."""
MEMBERS = ("child", "grandchild", "own_group", "own_session", "nested_session")


@pytest.fixture
def family(tmp_path: Path) -> str:
    os.mkfifo(tmp_path / "clock")
    return FAMILY.format(folder=tmp_path)


def all_gone(folder: Path) -> bool:
    return all(gone(pid_in(folder / name)) for name in MEMBERS)


def test_cancel_ends_children_grandchildren_and_those_with_sessions_of_their_own(tmp_path: Path, family: str) -> None:
    running = submit(bash(1, f"{family}wait"))
    exists(tmp_path / "all")
    assert not any(gone(pid_in(tmp_path / name)) for name in MEMBERS)

    running.cancel()
    running.wait(LONG_S)

    assert states(running) == "K"
    wait_until(lambda: all_gone(tmp_path), story=lambda: processes(running))
    wait_until(lambda: not processes(running), story=lambda: processes(running))


def test_a_timeout_ends_children_grandchildren_and_those_with_sessions_of_their_own(tmp_path: Path, family: str) -> None:
    running = timed_out(lambda timeout_s: bash(1, f"{family}wait", timeout_s=timeout_s), tmp_path / "all")

    assert states(running) == "E"
    wait_until(lambda: all_gone(tmp_path), story=lambda: processes(running))


@pytest.mark.parametrize("status", [0, 1])
def test_what_a_job_leaves_running_ends_with_it(tmp_path: Path, family: str, status: int) -> None:
    running = run(bash(1, f"{family}exit {status}"))

    assert states(running) == "SF"[status]
    wait_until(lambda: all_gone(tmp_path), story=lambda: processes(running))


def test_what_a_job_leaves_running_ends_while_the_run_goes_on(tmp_path: Path, family: str) -> None:
    gate = Gate(tmp_path / "gate")
    running = submit(bash(1, f"{family}exit 0"), bash(2, gate.shell, [1]))
    gate.reached()

    wait_until(lambda: all_gone(tmp_path), story=lambda: processes(running))
    gate.let_through()
    running.wait(LONG_S)
    assert states(running) == "SS"


def test_what_a_running_job_keeps_in_a_session_of_its_own_is_left_alone(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    first = bash(1, f"cd '{tmp_path}'; (setsid bash -c 'echo $$ > other; exec sleep 1000' &); until [ -s other ]; do :; done; {gate.shell}")
    running = submit(first, bash(2, ":"), bash(3, ":", [2]), backend=LocalBackend(cores=2))
    gate.reached()
    running.wait(LONG_S, [3])

    alive = not gone(pid_in(tmp_path / "other"))
    gate.let_through()
    running.wait(LONG_S)

    assert alive
    wait_until(lambda: gone(pid_in(tmp_path / "other")))


def test_a_job_is_asked_to_end_before_it_is_made_to(tmp_path: Path) -> None:
    running = submit(bash(1, f"cd '{tmp_path}'; trap 'echo bye > word; exit 0' TERM; : > ready; sleep 1000 & wait"))
    exists(tmp_path / "ready")

    running.cancel()
    running.wait(LONG_S)

    assert (tmp_path / "word").read_text() == "bye\n"
    assert states(running) == "K"


def test_a_job_that_ignores_the_word_to_end_is_killed(tmp_path: Path) -> None:
    running = submit(bash(1, f"cd '{tmp_path}'; trap '' TERM; echo $$ > pid; {HOLD}"))
    pid = pid_in(tmp_path / "pid")

    running.cancel()
    running.wait(LONG_S)

    assert states(running) == "K"
    assert gone(pid)


def test_each_job_is_a_new_shell_with_its_own_dollars() -> None:
    running = run(bash(1, 'echo "$0 $$ $PPID $-"; ulimit -n 77; set -x'), bash(2, 'echo "$0 $$ $PPID $-"; ulimit -n', [1]))

    one, two = (main_log(running, job_id).split() for job_id in (1, 2))
    assert [one[0], two[0]] == ["/bin/bash", "/bin/bash"]
    assert [int(words[1]) for words in (one, two)] == [view.pid for view in running.snapshot().jobs]
    assert "x" not in two[3]
    assert two[4] != "77"


def test_a_job_leads_its_own_session() -> None:
    running = run(bash(1, "read -r _ _ _ _ group session _ < /proc/$$/stat; echo $group $session $$"))

    assert len(set(main_log(running).split())) == 1


def test_standard_input_is_empty() -> None:
    running = run(bash(1, "cat | wc -c; [ -t 0 ] && echo terminal || echo none; read -r line || echo end"))

    assert main_log(running).split() == ["0", "none", "end"]


def test_only_the_three_standard_descriptors_are_open() -> None:
    running = run(bash(1, "ls /proc/self/fd"), bash(2, "ls /proc/$$/fd; :", [1]))

    assert main_log(running, 1).split() == ["0", "1", "2", "3"], "ls itself has its folder open as 3"
    assert set(main_log(running, 2).split()) <= {"0", "1", "2", "255"}, "bash keeps a descriptor as 255"


def test_the_signals_of_the_runner_are_those_of_nobody_else() -> None:
    running = run(bash(1, "grep -E 'Sig(Blk|Ign)' /proc/self/status"))

    real = (1 << 31) - 1  # glibc keeps 32 and 33 for itself
    assert [int(line.split()[1], 16) & real for line in main_log(running).splitlines()] == [0, 0]


def test_a_broken_pipe_ends_the_writer_as_in_any_shell() -> None:
    running = run(bash(1, "set -o pipefail; yes | head -n 1"))

    assert main_log(running) == "y\n"
    assert running.get_job(1)["exit_code"] == 128 + signal.SIGPIPE


def test_the_exit_code_of_a_killed_job_is_128_and_the_signal() -> None:
    running = run(bash(1, "kill -KILL $$"), bash(2, "kill -SEGV $$"), bash(3, "exit 255"))

    assert [running.get_job(job_id)["exit_code"] for job_id in (1, 2, 3)] == [137, 139, 255]
    assert states(running) == "FFF"


def test_a_missing_shell_ends_with_127_and_says_so_in_the_log() -> None:
    jobs = [JobSpec(1, "k", "none", "bash", ("/bin/no-such-shell", "-c", "true"), "d1"), JobSpec(2, "k", "path", "bash", ("no-such-shell", "-c", "x"), "d2")]

    running = run(*jobs, bash(3, "no-such-program"), bash(4, ":"))

    assert states(running) == "FFFS"
    assert [running.get_job(job_id)["exit_code"] for job_id in (1, 2, 3)] == [127, 127, 127]
    assert main_log(running, 1) == "could not start '/bin/no-such-shell': No such file or directory\n"
    assert main_log(running, 2) == "could not start 'no-such-shell': not found on PATH\n"
    assert running.get_job(1)["reason"] == "could not start '/bin/no-such-shell'"


def test_a_shell_that_may_not_be_executed_says_so(tmp_path: Path) -> None:
    (tmp_path / "shell").write_text("no program")

    running = run(JobSpec(1, "k", "j", "bash", (str(tmp_path / "shell"), "-c", "true"), "d1"))

    assert running.get_job(1)["exit_code"] == 127
    assert "Permission denied" in main_log(running)


def test_a_command_longer_than_the_system_takes_ends_that_job_only() -> None:
    running = run(bash(1, ": " + "x" * 200_000), bash(2, ":"))

    assert states(running) == "FS"
    assert "Argument list too long" in main_log(running)


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"], ids=["nul", "half-a-surrogate-pair"])
def test_a_command_that_no_program_can_be_given_ends_that_job_only(text: str) -> None:
    running = run(bash(1, f"echo {text}", key="k"), bash(2, ":"))

    assert states(running) == "FS"
    assert running.get_job(1)["exit_code"] == 127


def test_bytes_that_are_not_utf_8_reach_the_shell_as_they_are() -> None:
    text = os.fsdecode(b"\xff\xfe\xe4")

    running = run(bash(1, f"printf %s '{text}' | od -An -tx1", key="k"))

    assert main_log(running).split() == ["ff", "fe", "e4"]


def test_output_that_is_not_utf_8_is_shown_with_marks_and_kept_as_bytes() -> None:
    running = run(bash(1, r"printf '\xffok\n'"))

    assert running.log(1) == b"\xffok\n"
    assert main_log(running) == "\ufffdok\n"


def test_peak_memory_and_processor_time_of_an_attempt_are_known() -> None:
    running = run(bash(1, "for i in {1..20000}; do :; done"))

    usage = running.snapshot().jobs[0].usage
    assert usage is not None
    assert usage.max_rss_bytes > 1 << 20
    assert usage.cpu_s > 0


def test_no_process_of_a_run_is_left_after_it_has_ended() -> None:
    running = run(*(bash(number, "setsid sleep 1000 & exit 0") for number in range(1, 6)))

    wait_until(lambda: not processes(running), story=lambda: processes(running))


def test_a_program_that_sheds_its_environment_ends_with_its_job_by_its_session(tmp_path: Path) -> None:
    running = run(bash(1, f"env -i /bin/bash -c 'echo $$ > {tmp_path}/pid; exec sleep 1000' & until [ -s {tmp_path}/pid ]; do :; done"))

    assert states(running) == "S"
    wait_until(lambda: gone(pid_in(tmp_path / "pid")))


def test_processes_of_strangers_are_left_alone() -> None:
    stranger = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {}, setsid=True)
    try:
        run(bash(1, "setsid sleep 1000 & exit 0"))

        assert not gone(stranger)
    finally:
        os.kill(stranger, signal.SIGKILL)
        os.waitpid(stranger, 0)


def test_every_process_of_an_attempt_carries_the_ids_of_run_and_attempt() -> None:
    running = run(bash(1, f'echo "${procfs.RUN_VARIABLE} ${procfs.ATTEMPT_VARIABLE}"'))

    assert main_log(running).split() == [str(running.id), "1.1"]


def test_a_job_that_needs_less_memory_than_what_started_it_is_told_to_have_used_at_most_that() -> None:
    running = run(bash(1, ":"), bash(2, "x=$(head -c 60000000 /dev/zero | tr '\\0' x)"))

    small, large = (view.usage for view in running.snapshot().jobs)
    assert small is not None and small.at_most
    assert large is not None and not large.at_most and large.max_rss_bytes > 60_000_000
    assert list(running.jobs_frame()["max_rss_at_most"]) == [True, False]

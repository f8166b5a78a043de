from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hail_batch_jupyter.observe.environment import KERNEL_ONLY, KERNEL_VALUES, environment_at_start, job_environment
from tests.engine.jobs import SCRATCH, bash, batch, files_holding, main_log, run
from tests.requirements import ROOT

FOLDER = os.path.dirname(sys.executable)
SECRET = "s3cr3t-of-the-user"


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in KERNEL_VALUES.items() for value in values])
def test_what_ipykernel_sets_is_undone(name: str, value: str) -> None:
    assert name not in job_environment({name: value}, {})
    assert job_environment({name: value}, {name: "mine"})[name] == "mine"


@pytest.mark.parametrize("name", list(KERNEL_VALUES))
def test_another_value_is_the_user_s_and_stays(name: str) -> None:
    assert job_environment({name: "mine"}, {name: "old"})[name] == "mine"


@pytest.mark.parametrize("name", list(KERNEL_VALUES))
def test_a_value_that_was_there_before_the_kernel_stays(name: str) -> None:
    value = KERNEL_VALUES[name][0]

    assert job_environment({name: value}, {name: value})[name] == value


@pytest.mark.parametrize("name", KERNEL_ONLY)
def test_what_only_a_kernel_needs_is_removed(name: str) -> None:
    assert name not in job_environment({name: "x"}, {name: "x"})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/usr/bin:/bin", f"{FOLDER}:/usr/bin:/bin", id="added"),
        pytest.param(f"{FOLDER}:/bin", f"{FOLDER}:/bin", id="is-first"),
        pytest.param(f"/bin:{FOLDER}", f"{FOLDER}:/bin:{FOLDER}", id="is-there-but-not-first"),
        pytest.param(None, f"{FOLDER}:{os.defpath}", id="no-path"),
    ],
)
def test_the_folder_of_the_interpreter_is_first_on_path(path: str | None, expected: str) -> None:
    assert job_environment({} if path is None else {"PATH": path}, {})["PATH"] == expected


def test_changes_of_the_user_reach_jobs_and_removals_too() -> None:
    assert job_environment({"PATH": FOLDER, "NEW": "1"}, {"OLD": "2", "PATH": FOLDER}) == {"PATH": FOLDER, "NEW": "1"}


def test_the_environment_at_start_is_not_changed_by_later_changes() -> None:
    imports = "import os; from hail_batch_jupyter.observe.environment import environment_at_start"
    script = f"{imports}; os.environ['LATE'] = '1'; at = environment_at_start(); print('LATE' in at, at['EARLY'])"

    done = subprocess.run([sys.executable, "-c", script], env={"EARLY": "a=b"}, cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "a=b"]


def test_this_process_s_environment_is_known() -> None:
    assert environment_at_start()["PATH"]


def test_a_job_sees_the_user_s_environment_without_the_kernel_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", KERNEL_VALUES["MPLBACKEND"][0])
    monkeypatch.setenv("JPY_PARENT_PID", "77")
    monkeypatch.setenv("MINE", "two words\nand a line")

    running = run(bash(1, 'echo "${MPLBACKEND-unset} ${JPY_PARENT_PID-unset}"; echo "$MINE"; echo "${PATH%%:*}"; command -v python3'))

    lines = main_log(running).splitlines()
    assert lines[:4] == ["unset unset", "two words", "and a line", FOLDER]
    assert lines[4].startswith(f"{FOLDER}/")


def test_env_of_a_job_overrides_and_belongs_to_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLOUR", "red")

    running = run(bash(1, 'echo "$COLOUR $EXTRA"', env={"COLOUR": "blue", "EXTRA": "a b"}), bash(2, 'echo "$COLOUR ${EXTRA-unset}"'))

    assert main_log(running, 1) == "blue a b\n"
    assert main_log(running, 2) == "red unset\n"


def test_the_path_of_a_job_s_own_env_finds_its_shell(tmp_path: Path) -> None:
    shell = tmp_path / "myshell"
    shell.symlink_to("/bin/bash")
    job = bash(1, "echo ok", env={"PATH": f"{tmp_path}:/usr/bin:/bin"})

    running = run(job._replace(command=("myshell", *job.command[1:])))

    assert main_log(running) == "ok\n"


def test_batch_tmpdir_is_the_scratch_folder_whatever_env_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_TMPDIR", "/from/outside")

    running = run(bash(1, 'echo "$BATCH_TMPDIR"; pwd', env={"BATCH_TMPDIR": "/from/the/job"}), keep_files=True)

    assert main_log(running).splitlines() == [str(running.scratch), f"{running.scratch}/d1"]


def test_values_of_env_are_in_no_file_table_or_message() -> None:
    job = bash(1, "[ ${#TOKEN} = 18 ]; : > made; exit 3", env={"TOKEN": SECRET}, key="k")

    running = run(batch(job, attributes={"a": "b"}), keep_files=True)

    assert running.get_job(1)["exit_code"] == 3
    assert running.directory is not None
    assert "spec.json" in files_holding(running.directory, "TOKEN")
    assert files_holding(running.directory, SECRET) == []
    shown = [running.status(), list(running.jobs()), running.get_job(1), running.snapshot(), str(running.error()), repr(running)]
    assert SECRET not in str(shown)
    assert SCRATCH not in str(shown)


def test_values_of_env_are_on_no_command_line(tmp_path: Path) -> None:
    script = f"tr '\\0' ' ' < /proc/$PPID/cmdline > {tmp_path}/runner; tr '\\0' ' ' < /proc/$$/cmdline > {tmp_path}/job"

    run(bash(1, script, env={"TOKEN": SECRET}))

    assert "runner.py" in (tmp_path / "runner").read_text()
    assert SECRET not in (tmp_path / "runner").read_text() + (tmp_path / "job").read_text()

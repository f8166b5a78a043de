"""Jobs without a batch manager: of this machine, of any machine here and behind ssh; real processes."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hail_batch_jupyter.cluster import ConnectionParameters, GenericJob, LaunchParameters, PybatchException, create_job, reload_job
from hail_batch_jupyter.cluster.plugins.nobatch import pybatch_manager
from hail_batch_jupyter.cluster.plugins.nobatch.job import MANAGER
from hail_batch_jupyter.observe import procfs
from tests.cluster.recorder import Recorder
from tests.conftest import wait_until
from tests.requirements import python_of

KINDS = ["local", "nobatch", pytest.param("nobatch over ssh", marks=pytest.mark.requires("sshd"))]


class Maker:
    """Makes jobs of one kind in one directory."""

    def __init__(self, kind: str, protocol: Any, folder: Path) -> None:
        self.kind = kind
        self.protocol = protocol
        self.folder = folder

    def job(self, *command: str, **options: Any) -> Any:
        directory = options.pop("work_directory", str(self.folder / "work"))
        return create_job(self.kind, LaunchParameters(list(command), directory, python_exe=sys.executable, **options), self.protocol)

    def done(self, *command: str, **options: Any) -> Any:
        job = self.job(*command, **options)
        job.submit()
        job.wait()
        return job

    def bash(self, script: str, **options: Any) -> Any:
        return self.done("bash", "-c", script, "bash", **options)


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    kind, _, far = request.param.partition(" over ")
    if not far:
        return Maker(kind, None, tmp_path)
    return Maker(kind, request.getfixturevalue("ssh_connection"), tmp_path)


def result(job: GenericJob) -> tuple[str, int | None]:
    return job.state(), job.exit_code()


def living(group_of: str) -> list[str]:
    """Commands of living processes that have this word as an argument."""
    told = subprocess.run(["ps", "-eo", "stat,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in told if group_of in line.split() and not line.startswith("Z")]


def test_a_job_is_created_then_runs_then_has_its_texts_and_code(make: Maker) -> None:
    go = make.folder / "go"
    job = make.job("bash", "-c", f"echo out; echo err >&2; while [ ! -e '{go}' ]; do sleep 0.02; done; exit 42")
    assert result(job) == ("CREATED", None)
    job.wait()
    assert job.stdout() == ""

    job.submit()
    wait_until(lambda: job.stdout() == "out\n")
    assert result(job) == ("RUNNING", None)
    go.touch()
    job.wait()

    assert result(job) == ("FAILED", 42)
    assert (job.stdout(), job.stderr()) == ("out\n", "err\n")


def test_every_argument_arrives_as_it_is(make: Maker) -> None:
    words = ["a b", "$HOME", "it's", "", "a;b", "x\ny", "-l", "--wall_time", "--"]
    job = make.done(sys.executable, "-c", "import sys; print(ascii(sys.argv[1:]))", *words)

    assert job.stdout().strip() == ascii(words)
    assert result(job) == ("FINISHED", 0)


def test_a_signal_is_a_negative_exit_code(make: Maker) -> None:
    assert result(make.bash("kill -9 $$")) == ("FAILED", -9)


def test_a_missing_program_is_127_with_the_reason(make: Maker) -> None:
    job = make.done("no-such-program")

    assert result(job) == ("FAILED", 127)
    assert "no-such-program" in job.stderr()


def test_cancelling_ends_the_job_and_all_that_it_started(make: Maker) -> None:
    mark = f"316{os.getpid()}{time.monotonic_ns() % 10**6}"
    job = make.job("bash", "-c", f"sleep {mark} & sleep {mark}")
    job.cancel()
    job.submit()
    wait_until(lambda: len(living(mark)) >= 2)
    job.cancel()
    job.cancel()
    job.wait()

    assert result(job) == ("FAILED", -15)
    assert living(mark) == []
    job.cancel()
    assert job.state() == "FAILED"


def test_over_its_time_a_job_is_ended_even_when_it_does_not_listen(tmp_path: Path) -> None:
    mark = f"317{os.getpid()}{time.monotonic_ns() % 10**6}"
    script = tmp_path / "manager.py"
    script.write_text(MANAGER.read_text().replace("GRACE_S = 10.0", "GRACE_S = 0.5"))
    subprocess.run([sys.executable, str(script), "submit", str(tmp_path), "--wall_time", "1", "--", "bash", "-c", f"trap '' TERM; sleep {mark}"], check=True)
    wait_until(lambda: pybatch_manager.exit_code(str(tmp_path)) is not None)

    assert (tmp_path / "logs" / "exit_code.log").read_text() == "-15"
    assert living(mark) == []


def test_a_wall_time_in_seconds_ends_a_sleeper_and_zero_is_no_limit(make: Maker) -> None:
    assert result(make.done("sleep", "600", wall_time="0:1")) == ("FAILED", -15)
    assert result(make.done("true", wall_time="0")) == ("FINISHED", 0)


def test_a_bad_wall_time_is_refused(make: Maker) -> None:
    with pytest.raises(PybatchException, match="Invalid time format: xx"):
        make.job("true", wall_time="xx").submit()
    if make.kind == "local":
        with pytest.raises(PybatchException, match="^Invalid time format: xx"):
            make.job("true", wall_time="xx")


@pytest.mark.parametrize("command", ["ls", []])
def test_a_command_that_is_no_list_of_words_is_refused_at_submit(command: Any) -> None:
    for kind in ("local", "nobatch", "slurm"):
        job = create_job(kind, LaunchParameters(command, "w"), Recorder())
        with pytest.raises(PybatchException, match=r"Failed to submit job\."):
            job.submit()


def test_inputs_are_copied_and_results_fetched(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "x").write_text("x")
    (tmp_path / "a b").write_text("a")
    (tmp_path / "got").mkdir()
    job = make.bash("cat 'a b' in/deep/x > r.txt", input_files=[tmp_path / "a b", str(tmp_path / "in")])
    assert result(job) == ("FINISHED", 0), job.stderr()
    job.get(["r.txt", "in"], tmp_path / "got")
    job.get(".", tmp_path / "got")
    job.get([str(tmp_path / "a b")], str(tmp_path / "got" / "new name"))

    assert (tmp_path / "got" / "r.txt").read_text() == "ax"
    assert (tmp_path / "got" / "in" / "deep" / "x").read_text() == "x"
    assert (tmp_path / "got" / "work" / "r.txt").read_text() == "ax"
    assert (tmp_path / "got" / "new name").read_text() == "a"
    with pytest.raises(PybatchException, match="gone"):
        job.get(["gone"], tmp_path / "got")


def test_a_missing_input_is_named(make: Maker) -> None:
    with pytest.raises(PybatchException, match="gone.*neither a file, nor a directory"):
        make.job("true", input_files=["gone"]).submit()


def test_an_array_gives_the_index_last_and_the_first_bad_code_by_index(make: Maker) -> None:
    job = make.done("bash", "-c", 'echo "n $1 $2"; case $2 in 1) exit 7;; 2) exit 8;; esac', "bash", "w", total_jobs=3, max_simul_jobs=3)

    assert result(job) == ("FAILED", 7)
    assert job.stdout() == "n w 0\nn w 1\nn w 2\n"
    assert (make.folder / "work" / "logs" / "output_2.log").read_text() == "n w 2\n"


@pytest.mark.parametrize("at_once", [1, 2])
def test_so_many_elements_run_at_once_and_no_more(make: Maker, at_once: int) -> None:
    # Each element notes how many run beside it, and ends when as many as may be have begun or all have.
    script = f"""
import os, sys, time
index = int(sys.argv[1])
open(f"begun{{index}}", "w").close()
number = lambda word: sum(name.startswith(word) for name in os.listdir("."))
while number("begun") - number("ended") < {at_once} and number("begun") < 4: time.sleep(0.01)
time.sleep(0.1)
print(number("begun") - number("ended"))
open(f"ended{{index}}", "w").close()
"""
    job = make.done(sys.executable, "-c", script, total_jobs=4, max_simul_jobs=at_once)

    seen = [int(word) for word in job.stdout().split()]
    assert len(seen) == 4
    assert max(seen) == at_once


@pytest.mark.parametrize("total", [0, 1])
def test_a_single_job_has_no_index(make: Maker, total: int) -> None:
    assert make.done("echo", "x", total_jobs=total).stdout() == "x\n"


def test_the_file_of_nodes_has_a_line_a_task(make: Maker) -> None:
    job = make.bash('cat "$LIBBATCH_NODEFILE"; echo "$LIBBATCH_NODEFILE"', ntasks=3, create_nodefile=True)

    lines = job.stdout().splitlines()
    assert len(lines) == 4 and len(set(lines[:3])) == 1
    assert lines[3] == str(make.folder / "work" / "batch_nodefile.txt")


def test_directories_with_blanks_and_quotes_and_relative_ones(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    nasty = make.folder / 'it\'s a; "place"'
    assert make.done("pwd", work_directory=f"{nasty}/").stdout() == f"{nasty}\n"
    if make.protocol is None:
        monkeypatch.chdir(make.folder)
        assert make.done("pwd", work_directory="near").stdout() == f"{make.folder}/near\n"


def test_a_second_job_in_the_directory_of_a_failed_one_starts_afresh(make: Maker) -> None:
    assert result(make.bash("echo old; exit 3")) == ("FAILED", 3)
    second = make.job("true")
    assert (second.exit_code(), second.stdout()) == (None, "")
    second.submit()
    second.wait()

    assert result(second) == ("FINISHED", 0)
    assert second.stdout() == ""


def test_a_job_may_be_submitted_again_only_after_its_end(make: Maker) -> None:
    go = make.folder / "go"
    job = make.job("bash", "-c", f"while [ ! -e '{go}' ]; do sleep 0.02; done")
    job.submit()
    with pytest.raises(PybatchException, match="has not ended"):
        job.submit()
    go.touch()
    job.wait()
    job.submit()
    job.wait()

    assert result(job) == ("FINISHED", 0)


def test_output_that_is_no_text_can_be_read(make: Maker) -> None:
    assert make.bash(r"printf 'a\377b'").stdout() == "a\ufffdb"


def test_the_parameters_are_those_of_the_moment_of_creation(make: Maker) -> None:
    params = LaunchParameters(["echo", "first"], str(make.folder / "w"), python_exe=sys.executable)
    job = create_job(make.kind, params, make.protocol)
    params.command[1] = "second"
    job.submit()
    job.wait()

    assert job.stdout() == "first\n"


WAITING = "import pickle, sys; job = pickle.load(open(sys.argv[1], 'rb')); job.wait(); print(job.state(), job.exit_code(), job.stdout())"


def test_another_process_takes_over_a_pickled_job(make: Maker, tmp_path: Path) -> None:
    go = tmp_path / "go"
    fresh = pickle.loads(pickle.dumps(make.job("bash", "-c", f"while [ ! -e '{go}' ]; do sleep 0.02; done; echo hi; exit 5")))
    fresh.submit()
    (tmp_path / "job").write_bytes(pickle.dumps(fresh))
    go.touch()
    told = subprocess.run([sys.executable, "-c", WAITING, str(tmp_path / "job")], capture_output=True, text=True, check=True, timeout=180)

    assert told.stdout == "FAILED 5 hi\n\n"


def test_a_dump_is_json_and_gives_the_job_back(make: Maker) -> None:
    job = make.bash("echo hi; exit 4", name="x", input_files=[MANAGER])
    told = json.loads(job.dump())
    again = reload_job(job.dump())
    try:
        assert (told["plugin"], told["jobid"], told["params"]["name"]) == (make.kind, job.jobid, "x")
        assert (again.state(), again.exit_code(), again.stdout()) == ("FAILED", 4, "hi\n")
        assert json.loads(again.dump()) == told
    finally:
        if make.protocol:
            again.protocol.close()  # type: ignore[attr-defined]  # of our own jobs


@pytest.mark.parametrize("text", ["", "{}", '{"format": "other"}', "[1]"])
def test_other_text_is_no_dump(text: str) -> None:
    with pytest.raises(PybatchException, match="not the dump of a job"):
        reload_job(text)


def test_a_dump_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    text = create_job("local", LaunchParameters(["true"], str(tmp_path))).dump().replace('"version": 1', '"version": 99')
    with pytest.raises(PybatchException, match="update hail-batch-jupyter"):
        reload_job(text)


def test_a_reused_process_number_is_not_the_job(tmp_path: Path) -> None:
    job = create_job("local", LaunchParameters(["true"], str(tmp_path)))
    (tmp_path / "logs").mkdir()
    note = {"pid": os.getpid(), "started": "1"}
    (tmp_path / "logs" / ".supervisor.json").write_text(json.dumps(note))
    job.jobid = str(os.getpid())  # type: ignore[attr-defined]  # of our own jobs

    assert job.state() == "FAILED"


def zombies() -> set[str]:
    """Children that have ended and were not reaped."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {pid for pid in children if (facts := procfs.stat(int(pid))) is not None and facts.zombie}


def test_many_jobs_leave_no_descriptor_and_no_zombie(tmp_path: Path) -> None:
    others = zombies()  # of tests before
    before = set(os.listdir("/proc/self/fd"))
    jobs = [create_job("local", LaunchParameters(["true"], str(tmp_path / str(number)))) for number in range(50)]
    for job in jobs:
        job.submit()
    for job in jobs:
        job.wait()

    assert {job.state() for job in jobs} == {"FINISHED"}
    assert len(os.listdir("/proc/self/fd")) <= len(before)
    assert zombies() <= others


def test_a_finished_job_is_finished_although_nobody_waited(make: Maker) -> None:
    job = make.job("true")
    job.submit()
    wait_until((make.folder / "work" / "logs" / "exit_code.log").exists)

    assert job.state() == "FINISHED"


def test_windows_paths_are_used_in_every_call() -> None:
    protocol = Recorder({"py": "12"})
    params = LaunchParameters(["prog"], "C:\\w", is_posix=False, python_exe="py", wall_time="1", ntasks=2, create_nodefile=True)
    job = create_job("nobatch", params, protocol)
    job.submit()
    job.stdout()
    job.get(["r", "D:\\x"], "here")
    options = ["--wall_time", "60", "--ntasks", "2"]

    assert protocol.calls == [
        ("run", ["py", "-c", "import os; os.makedirs('C:\\\\w\\\\logs', exist_ok=True)"]),
        ("upload", [str(MANAGER)], "C:\\w"),
        ("run", ["py", "C:\\w\\pybatch_manager.py", "submit", "C:\\w", *options, "--", "prog"]),
        ("read", "C:\\w\\logs\\output.log"),
        ("download", ["C:\\w\\r", "D:\\x"], "here"),
    ]


@pytest.mark.parametrize(
    "arguments", [[], ["submit"], ["submit", "w"], ["submit", "w", "--wall_time"], ["submit", "w", "--wall_time", "x", "y"], ["state", "1"], ["nod"]]
)
def test_wrong_arguments_of_the_manager_are_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert pybatch_manager.main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage:")


@pytest.mark.parametrize("version", ["3.6", "3.9"])
def test_the_manager_runs_on_old_pythons(version: str, tmp_path: Path) -> None:
    python = python_of(version)
    if python is None:
        pytest.skip(f"python{version} not installed, the manager is tested on those that are present")
    params = LaunchParameters(["bash", "-c", "echo $1; exit 3", "bash"], str(tmp_path), python_exe=python, total_jobs=2)
    job = create_job("nobatch", params)
    job.submit()
    job.wait()

    assert (job.state(), job.exit_code(), job.stdout()) == ("FAILED", 3, "0\n1\n")


def test_plugins_are_listed_when_one_is_not_known() -> None:
    with pytest.raises(PybatchException, match=r"^Plugin nod not found\. Known plugins: .*local.*nobatch.*slurm"):
        create_job("nod", LaunchParameters(["x"], "w"))


def test_a_plugin_of_pybatchs_group_is_found_and_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "others-1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1\n")
    (told / "entry_points.txt").write_text("[pybatch.plugins]\nother = others_plugin:Plugin\nslurm = others_plugin:Plugin\n")
    (tmp_path / "others_plugin.py").write_text("class Plugin:\n    def create_job(self, *given):\n        return given\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    params, protocol = LaunchParameters(["x"], "w"), Recorder()

    assert create_job("other", params, protocol) == (params, protocol)
    assert type(create_job("slurm", params, protocol)).__module__ == "hail_batch_jupyter.cluster.plugins.slurm.job"


def test_parameters_are_compared_by_value_and_need_command_and_directory() -> None:
    assert LaunchParameters(["x"], "w") == LaunchParameters(["x"], "w")
    assert ConnectionParameters() == ConnectionParameters("", None, None, False)
    with pytest.raises(TypeError):
        LaunchParameters(["x"])  # type: ignore[call-arg]  # that is the point
    with pytest.raises(TypeError):
        LaunchParameters(["x"], "w", host="h")  # type: ignore[call-arg]  # that is the point

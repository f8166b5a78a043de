"""The words of Slurm: scripts, answers, states, time limits; no Slurm is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hail_batch_jupyter.cluster import LaunchParameters, PybatchException
from hail_batch_jupyter.cluster.plugins.slurm.job import Job, reduce_states, simplified_state
from hail_batch_jupyter.cluster.slurm.accounting import element_states
from hail_batch_jupyter.cluster.slurm.answers import exit_code_of, indices, parse_submitted
from hail_batch_jupyter.cluster.slurm.script import batch_script
from hail_batch_jupyter.cluster.tools import is_absolute, path_join, slurm_time_to_seconds
from tests.cluster.recorder import Recorder

SMALL = LaunchParameters(["prog", "a b", "it's", ""], "/w")
ALL = LaunchParameters(
    command=["prog", "x"],
    work_directory="/w/",
    name="my job",
    total_jobs=10,
    max_simul_jobs=3,
    nodes=2,
    ntasks=4,
    exclusive=True,
    wall_time="1-2:3",
    mem_per_node="32G",
    mem_per_cpu="2G",
    queue="long",
    partition="main",
    wckey="P1:x",
    extra_as_list=["--cpus-per-task=4", "--account=lab"],
    extra_as_string="#SBATCH --comment=x\nmodule load y",
    create_nodefile=True,
)

SMALL_SCRIPT = """\
#!/bin/bash -l
#SBATCH --output=logs/output.log
#SBATCH --error=logs/error.log

prog 'a b' 'it'"'"'s' ''
"""

ALL_SCRIPT = """\
#!/bin/bash -l
#SBATCH --output=logs/output_%a.log
#SBATCH --error=logs/error_%a.log
#SBATCH --job-name='my job'
#SBATCH --array=0-9%3
#SBATCH --ntasks=4
#SBATCH --nodes=2
#SBATCH --exclusive
#SBATCH --time=1-2:3
#SBATCH --mem=32G
#SBATCH --mem-per-cpu=2G
#SBATCH --qos=long
#SBATCH --partition=main
#SBATCH --wckey=P1:x
#SBATCH --cpus-per-task=4
#SBATCH --account=lab
#SBATCH --comment=x
module load y
LIBBATCH_NODEFILE=`pwd`/batch_nodefile.txt
srun hostname > "$LIBBATCH_NODEFILE"
export LIBBATCH_NODEFILE

prog x $SLURM_ARRAY_TASK_ID
"""


@pytest.mark.parametrize(("params", "script"), [pytest.param(SMALL, SMALL_SCRIPT, id="small"), pytest.param(ALL, ALL_SCRIPT, id="all")])
def test_the_script_is(params: LaunchParameters, script: str) -> None:
    assert batch_script(params) == script


@pytest.mark.parametrize("field", ["name", "partition", "queue", "wckey", "mem_per_node", "mem_per_cpu"])
def test_a_newline_in_a_directive_is_refused_and_nothing_runs(field: str) -> None:
    protocol = Recorder()
    with pytest.raises(PybatchException, match=r"Failed to submit job\.[\s\S]*control character"):
        Job(replace(SMALL, **{field: "a\n#SBATCH --exclusive"}), protocol).submit()
    with pytest.raises(PybatchException, match="control character"):
        Job(replace(SMALL, extra_as_list=["--x\n--y"]), protocol).submit()

    assert protocol.calls == []


def test_submitting_makes_the_directory_writes_the_script_copies_and_calls_sbatch() -> None:
    protocol = Recorder({"sbatch": "12\n"})
    job = Job(replace(SMALL, work_directory="/w/"), protocol)
    job.submit()

    assert job.jobid == "12"
    assert protocol.calls == [
        ("run", ["mkdir", "-p", "/w/logs"]),
        ("run", ["find", "/w/logs", "-name", "*.log", "-type", "f", "-delete"]),
        ("create", "/w/batch.cmd", batch_script(SMALL)),
        ("upload", [], "/w"),
        ("run", ["sbatch", "--parsable", "--chdir", "/w", "/w/batch.cmd"]),
    ]


@pytest.mark.parametrize("bad", ["Submitted batch job 12", "", "error"])
def test_an_answer_without_a_number_is_a_refusal(bad: str) -> None:
    job = Job(SMALL, Recorder({"sbatch": bad}))
    with pytest.raises(PybatchException, match=r"^Failed to submit job\.") as caught:
        job.submit()

    assert job.jobid == ""
    assert isinstance(caught.value.__cause__, ValueError)


def test_the_cluster_that_sbatch_names_is_asked_later() -> None:
    protocol = Recorder({"sbatch": "12;far", "squeue": "CLUSTER: far\n12|RUNNING"})
    job = Job(SMALL, protocol)
    job.submit()

    assert parse_submitted("12;far\n") == ("12", "far")
    assert job.state() == "RUNNING"
    assert [word for word in protocol.commands("squeue")[0] if word in ("-M", "far")] == ["-M", "far"]


STATES = {
    "COMPLETED": "FINISHED",
    "RUNNING": "RUNNING",
    "CONFIGURING": "RUNNING",
    "COMPLETING": "RUNNING",
    "RESIZING": "RUNNING",
    "STAGE_OUT": "RUNNING",
    "SIGNALING": "RUNNING",
    "PENDING": "QUEUED",
    "EXPEDITING": "QUEUED",
    "POWER_UP_NODE": "QUEUED",
    "SUSPENDED": "PAUSED",
    "REQUEUED": "PAUSED",
    "REQUEUE_FED": "PAUSED",
    "REQUEUE_HOLD": "PAUSED",
    "RESV_DEL_HOLD": "PAUSED",
    "STOPPED": "PAUSED",
    "SPECIAL_EXIT": "PAUSED",
    "FAILED": "FAILED",
    "CANCELLED": "FAILED",
    "CANCELLED by 1000": "FAILED",
    "CANCELLED+": "FAILED",
    "TIMEOUT": "FAILED",
    "NODE_FAIL": "FAILED",
    "OUT_OF_MEMORY": "FAILED",
    "OUT_OF_ME+": "FAILED",
    "BOOT_FAIL": "FAILED",
    "DEADLINE": "FAILED",
    "PREEMPTED": "FAILED",
    "REVOKED": "FAILED",
    "LAUNCH_FAILED": "FAILED",
    "RECONFIG_FAIL": "FAILED",
}


@pytest.mark.parametrize(("word", "state"), STATES.items())
def test_a_word_of_the_queue_or_of_the_accounting_means(word: str, state: str) -> None:
    def asked(**answers: str) -> str:
        job = Job(SMALL, Recorder(answers))
        job.jobid = "12"
        return job.state()

    assert simplified_state(word) == state
    assert asked(squeue=f"12|{word}") == state
    assert asked(sacct=f"12|{word}") == state
    assert asked(squeue=word) == state


def submitted(params: LaunchParameters = SMALL, **answers: str | PybatchException) -> Job:
    job = Job(params, Recorder(answers))
    job.jobid = "77"
    return job


def test_an_error_of_the_queue_leaves_the_accounting_to_tell() -> None:
    assert submitted(squeue=PybatchException("Invalid job id"), sacct="77|COMPLETED").state() == "FINISHED"


def test_a_word_that_nobody_knows_is_quoted() -> None:
    with pytest.raises(PybatchException, match=r"^Failed to get the state of the job\.\nUnknown state.*WOBBLY.*BOBBLY"):
        submitted(squeue="77|WOBBLY", sacct="77|BOBBLY").state()


ARRAY = replace(SMALL, total_jobs=3)


@pytest.mark.parametrize(
    ("squeue", "sacct", "state"),
    [
        pytest.param("77_0|RUNNING\n77_1|PENDING\n77_2|PENDING", "", "RUNNING", id="one runs"),
        pytest.param("77_[1-2%1]|PENDING", "77_0|COMPLETED", "QUEUED", id="rest is queued"),
        pytest.param("77_0|SUSPENDED", "77_1|COMPLETED\n77_2|COMPLETED", "PAUSED", id="one is paused"),
        pytest.param("", "77_0|COMPLETED\n77_1|COMPLETED\n77_2|COMPLETED", "FINISHED", id="all done"),
        pytest.param("77_2|COMPLETED", "77_0|COMPLETED\n77_1|FAILED", "FAILED", id="one failed, half of it in each answer"),
        pytest.param("", "77_0|COMPLETED\n77_1|COMPLETED", "RUNNING", id="fewer listed"),
        pytest.param("", "77_0|FAILED", "RUNNING", id="one failed, others not listed"),
        pytest.param("", "77_0|CANCELLED by 0", "FAILED", id="cancelled"),
        pytest.param("", "77_[0-2]|CANCELLED by 0", "FAILED", id="cancelled before it began"),
    ],
)
def test_an_array_is(squeue: str, sacct: str, state: str) -> None:
    assert submitted(ARRAY, squeue=squeue, sacct=sacct).state() == state


def test_reducing_takes_our_words_and_slurms() -> None:
    assert reduce_states(["FINISHED", "QUEUED"], 2) == "QUEUED"
    assert reduce_states(["COMPLETED", "COMPLETED"], 2) == "FINISHED"
    assert reduce_states(["COMPLETED", "ODD"], 2) == ""


@pytest.mark.parametrize(
    ("pairs", "code"),
    [("0:0,1:0", 1), ("0:15", 15), ("42:0,0:9", 42), ("0:0", None), ("", None), ("junk", None)],
)
def test_the_first_exit_code_that_is_not_zero_decides(pairs: str, code: int | None) -> None:
    assert exit_code_of(pairs.split(",")) == code

    lines = "\n".join(f"77_{index}|{pair}" for index, pair in reversed(list(enumerate(pairs.split(",")))))
    job = submitted(replace(SMALL, total_jobs=2), squeue="77_[0-1]|FAILED", sacct=lines)
    assert job.exit_code() == code


@pytest.mark.parametrize(("text", "expected"), [("3", [3]), ("[0,4-6%2]", [0, 4, 5, 6]), ("[0-8:4]", [0, 4, 8]), (None, [-1])])
def test_pending_ranges_are_taken_apart(text: str | None, expected: list[int]) -> None:
    assert indices(text) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", ""),
        ("  ", ""),
        ("10", "600"),
        (" 10:30 ", "630"),
        ("2:10:5", "7805"),
        ("2-2", "180000"),
        ("2-2:10", "180600"),
        ("2-2:10:30", "180630"),
        ("0-5", "18000"),
        ("0-5:30", "19800"),
        ("0-0:0:30", "30"),
        ("0", "0"),
        ("100:30", "6030"),
        ("10:99", "699"),
    ],
)
def test_a_time_limit_has_six_forms(text: str, seconds: str) -> None:
    assert slurm_time_to_seconds(text) == seconds


@pytest.mark.parametrize("text", ["xvi", "1:2:3:4", "2-0-4", "1-", "-5", "1:", "1.5", "UNLIMITED", "+5", "²"])
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(PybatchException) as caught:
        slurm_time_to_seconds(text)

    assert str(caught.value).startswith(f"Invalid time format: {text}.")
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("parts", "posix", "windows"),
    [
        (("C:\\w", "logs", "output.log"), "C:\\w/logs/output.log", "C:\\w\\logs\\output.log"),
        (("/a/", "b/"), "/a/b", "\\a\\b"),
        (("a", "/b"), "/b", "\\b"),
        (("a", "..", "b"), "a/../b", "a\\..\\b"),
        (("",), ".", "."),
    ],
)
def test_paths_are_joined_by_the_rules_of_the_server(parts: tuple[str, ...], posix: str, windows: str) -> None:
    assert path_join(*parts, is_posix=True) == posix
    assert path_join(*parts, is_posix=False) == windows


@pytest.mark.parametrize(
    ("path", "posix", "windows"), [("/a", True, False), ("C:a", False, False), ("C:\\a", False, True), ("\\\\host\\share\\x", False, True)]
)
def test_absolute_is_a_matter_of_the_server(path: str, posix: bool, windows: bool) -> None:
    assert (is_absolute(path, True), is_absolute(path, False)) == (posix, windows)


def test_elements_of_the_accounting() -> None:
    text = "12_3|COMPLETED\n12_4|CANCELLED by 1000\n12_[5-7]|PENDING\n13|FAILED\n"

    assert element_states(text) == {"12_3": "COMPLETED", "12_4": "CANCELLED"}

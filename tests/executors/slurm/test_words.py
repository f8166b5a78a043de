from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hail_batch_jupyter.core.ports import Attempt
from hail_batch_jupyter.core.spec import SCRATCH, JobSpec, Request
from hail_batch_jupyter.executors.slurm.queue import BackOff, SubmitQueue, Watch
from hail_batch_jupyter.executors.slurm.script import task_text
from hail_batch_jupyter.executors.slurm.words import (
    End,
    Line,
    Order,
    Shape,
    Site,
    SlurmSettings,
    array_of,
    arrays_with,
    end_of,
    lines_of,
    ranges,
    refusal,
    sbatch_command,
    shape_of,
    site_of,
)
from hail_batch_jupyter.observe.slurm_jobs import Answer, Word, scrubbed

OK, FAILED, KILLED, TOLD = Word(0, False, 0), Word(3, False, 0), Word(137, False, 0), Word(143, True, 0)


def attempt(number: int = 1, request: Request | None = None, **settings: object) -> Attempt:
    job = JobSpec(number, f"k{number}", None, "bash", ("/bin/bash", "-c", ":"), f"d{number}", request=request or Request())
    return Attempt(job._replace(timeout_s=settings.pop("timeout_s", None)), 1, 0, job.command, {}, "/tmp", "/dev/null")._replace(**settings)  # type: ignore[arg-type]  # the fields of two tuples


@pytest.mark.parametrize(
    ("request_", "timeout_s", "shape"),
    [
        pytest.param(Request(), None, Shape(1, 0, 0, ""), id="nothing asked"),
        pytest.param(Request(cpu_mcpu=250), None, Shape(1, 0, 0, ""), id="a quarter of a core is one"),
        pytest.param(Request(cpu_mcpu=2500), None, Shape(3, 0, 0, ""), id="cores are whole"),
        pytest.param(Request(memory_bytes=(1 << 30) + 1), None, Shape(1, 1025, 0, ""), id="memory is rounded up"),
        pytest.param(Request(), 59.5, Shape(1, 0, 2, ""), id="a minute beyond the job's own limit"),
        pytest.param(Request(gpus=2, gpu_kind="T4"), None, Shape(1, 0, 0, "gpu:t4:2"), id="gpus"),
    ],
)
def test_what_a_job_asks_for_in_slurms_units(request_: Request, timeout_s: float | None, shape: Shape) -> None:
    assert shape_of(attempt(request=request_, timeout_s=timeout_s)) == shape


def test_options_of_the_user_win_over_those_of_jobs_but_not_over_the_array() -> None:
    settings = SlurmSettings("long", "lab", "high", ("--mem=1G", "--array=0-99"))

    argv = sbatch_command(settings, Order(Shape(2, 512, 5, "gpu:1", 2048), 3, 1, "name", "comment", ("n2", "n3")), ["/x/job.sh", "/x", "1"])

    assert argv.index("--mem=1G") > argv.index("--mem=512M")
    assert argv.index("--array=0-2") > argv.index("--array=0-99")
    assert {"--partition=long", "--account=lab", "--qos=high", "--gres=gpu:1", "--time=5", "--cpus-per-task=2", "--tmp=2048M", "--exclude=n2,n3"} <= set(argv)
    assert argv[-3:] == ["/x/job.sh", "/x", "1"]


def test_only_jobs_that_may_be_preempted_get_the_options_for_those() -> None:
    settings = SlurmSettings("long", spot_options=("--partition=spare", "--qos=low"))
    spot, stays, silent = (shape_of(attempt(request=Request(spot=spot))) for spot in (True, False, None))

    argv = sbatch_command(settings, Order(spot, 1, 1, "name", "comment"), [])

    assert argv.index("--partition=spare") > argv.index("--partition=long")
    assert spot != stays == silent
    assert "--qos=low" not in sbatch_command(settings, Order(stays, 1, 1, "name", "comment"), [])


def test_a_task_has_the_time_of_all_its_jobs() -> None:
    assert "--time=40" in sbatch_command(SlurmSettings(), Order(Shape(1, 0, 4, ""), 3, 10, "name", "comment"), [])


@pytest.mark.parametrize(
    ("text", "array"),
    [
        ("123\n", 123),
        ("123;cluster\n", 123),
        ("Welcome to node 7\n42\n\n", 42),
        ("Submitted batch job 7", None),
        ("", None),
    ],
)
def test_the_number_of_an_array_is_a_line_of_its_own(text: str, array: int | None) -> None:
    assert array_of(text) == array


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", "away"),
        ("sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)", "away"),
        (
            "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy",
            "full",
        ),
        ("sbatch: error: AssocMaxSubmitJobLimit", "full"),
        ("sbatch: error: invalid partition specified: nowhere", "refused"),
        ("sbatch: error: Batch job submission failed: Requested node configuration is not available", "refused"),
    ],
)
def test_what_a_refusal_means(words: str, kind: str) -> None:
    assert refusal(Answer(1, "", words)) == kind
    assert refusal(Answer(None, "", words)) == "away"


@pytest.mark.parametrize(
    ("word", "state", "stopped", "end"),
    [
        pytest.param(OK, "COMPLETED", False, End("ended", 0), id="success"),
        pytest.param(FAILED, "FAILED", False, End("ended", 3), id="failure"),
        pytest.param(KILLED, "OUT_OF_MEMORY", False, End("ended", 137, "out of memory"), id="out of memory"),
        pytest.param(None, "OUT_OF_MEMORY", False, End("ended", 137, "out of memory"), id="out of memory, without a word"),
        pytest.param(KILLED, "FAILED", False, End("ended", 137), id="killed by itself"),
        pytest.param(TOLD, "TIMEOUT", False, End("ended", None, "timed out"), id="out of time"),
        pytest.param(None, "TIMEOUT", False, End("ended", None, "timed out"), id="out of time, killed"),
        pytest.param(None, "NODE_FAIL", False, End("lost", None, "its node failed"), id="node failed"),
        pytest.param(TOLD, "PREEMPTED", False, End("lost", None, "other jobs took its place (preempted)"), id="preempted"),
        pytest.param(TOLD, "CANCELLED", False, End("ended", None, "cancelled in Slurm, not by this run"), id="cancelled by others"),
        pytest.param(TOLD, "CANCELLED", True, End("ended", 143), id="cancelled by us"),
        pytest.param(None, "CANCELLED", True, End("ended", 143), id="cancelled by us, killed"),
        pytest.param(OK, "NODE_FAIL", False, End("ended", 0), id="ended before its node failed"),
        pytest.param(TOLD, "RUNNING", False, None, id="told to end, still there"),
        pytest.param(TOLD, "PENDING", False, None, id="in the queue again"),
        pytest.param(None, "COMPLETED", False, None, id="its word is on the way"),
        pytest.param(None, "", False, None, id="not known, without a word"),
        pytest.param(Word(0, False, 0, full=True), "", False, End("ended", 137, "out of memory"), id="a part of it was killed"),
        pytest.param(Word(126, False, 0, node="n1", failure="no disk"), "", False, End("lost", None, "could not start on n1: no disk"), id="bad node"),
        pytest.param(FAILED, "", False, End("ended", 3), id="not known any more"),
    ],
)
def test_how_an_attempt_ended(word: Word | None, state: str, stopped: bool, end: End | None) -> None:
    assert end_of(word, Line(state, ""), stopped) == end


def test_what_never_began_is_lost_with_its_task() -> None:
    assert end_of(None, Line("TIMEOUT", ""), stopped=False, began=False) == End("lost", None, "the time of its task was over before it began")


def test_tasks_of_an_answer() -> None:
    text = "12|3|PENDING|Resources\n12|4|CANCELLED by 1000|None\nnoise\n13|N/A|RUNNING|None\n12|5|PENDING|(a|b) held\n"

    assert lines_of(text) == {"12_3": Line("PENDING", "Resources"), "12_4": Line("CANCELLED", "None"), "12_5": Line("PENDING", "(a|b) held")}
    assert arrays_with("hbj-r-2", "7|hbj-r-1\n9|hbj-r-2\n") == 9
    assert arrays_with("hbj-r-3", "7|hbj-r-1\n") is None


def test_tasks_of_one_array_are_cancelled_by_one_word() -> None:
    assert ranges(["7_1", "7_2", "9_0", "7_5", "7_3"]) == ["7_[1-3,5]", "9_[0]"]


def test_the_limit_is_one_above_the_largest_index() -> None:
    config = "AccountingStorageType   = accounting_storage/slurmdbd\nMaxArraySize            = 501\nMaxJobCount = 9\nMinJobAge               = 60 sec\n"

    assert site_of(config, "0\n900\n") == Site(501, 60, True, 900)
    assert site_of("") == Site(1001, 300, False, 0)
    assert not site_of("AccountingStorageType   = (null)\n").accounting


def test_what_would_change_our_commands_is_left_out_of_their_environment() -> None:
    env = {"SBATCH_PARTITION": "x", "SLURM_CPU_BIND": "x", "SQUEUE_FORMAT": "x", "SLURM_CONF": "c", "PATH": "p"}

    assert scrubbed(env) == {"SLURM_CONF": "c", "PATH": "p"}


def test_values_reach_the_command_as_they_are(tmp_path: Path) -> None:
    nasty = "a'b\"c $(touch x) `x` \\ ; \n end"
    command = ("printf", "%s|%s", nasty, f"{SCRATCH}/f")
    tried = attempt(env={"VALUE": nasty}, argv=command, directory=str(tmp_path), log=str(tmp_path / "log"))
    (tmp_path / "task.sh").write_text(task_text(tried, "run", "/scratch place", SlurmSettings(setup=("SETUP=done",))))

    said = subprocess.run(["bash", str(tmp_path / "task.sh")], check=True, capture_output=True, text=True).stdout

    assert said == f"{nasty}|/scratch place/f"
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("env", "words"), [({"A.B": "x"}, "'A.B' has a name that no shell can have"), ({"A": "x\0y"}, "has a NUL")])
def test_what_no_shell_can_have_is_refused(env: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        task_text(attempt(env=env), "run", "/s", SlurmSettings())


def test_jobs_of_one_shape_are_submitted_together_within_the_limit() -> None:
    queue = SubmitQueue()
    queue.limit(Site(3))
    for number in range(1, 6):
        queue.add(attempt(number))
    queue.add(attempt(6, Request(cpu_mcpu=2000)))

    sizes = []
    while (submission := queue.next(0.0)) is not None:
        sizes.append([one.job.job_id for one in submission.attempts])

    assert sizes == [[1, 2, 3], [4, 5], [6]]


def in_tasks(queue: SubmitQueue, now: float) -> list[list[int]]:
    """Sizes of the tasks of each submission that may be made now."""
    found = []
    while (submission := queue.next(now)) is not None:
        found.append([len(task) for task in submission.tasks])
    return found


def test_short_jobs_of_a_large_wave_are_packed_when_the_first_have_told_how_long_they_take() -> None:
    queue = SubmitQueue()
    for number in range(10_000):
        queue.add(attempt(number))

    assert in_tasks(queue, 0.0) == [[1] * 16]
    assert in_tasks(queue, 9.0) == []
    queue.packing.learn(shape_of(attempt()), 0.5)
    packed = in_tasks(queue, 9.0)
    assert [len(tasks) for tasks in packed] == [84]
    assert max(packed[0]) == 120
    assert sum(packed[0]) == 10_000 - 16


def test_jobs_of_moments_share_a_task_even_where_they_are_few() -> None:
    queue = SubmitQueue()
    queue.packing.learn(shape_of(attempt()), 0.1)
    for number in range(50):
        queue.add(attempt(number))

    assert in_tasks(queue, 0.0) == [[20, 20, 10]]


@pytest.mark.parametrize(("pack", "seconds", "sizes"), [(None, 600.0, [184, 1]), (None, None, [184, 1]), (1, None, [200, 1]), (7, None, [29, 7])])
def test_jobs_go_alone_where_they_are_long_or_nobody_knows(pack: int | None, seconds: float | None, sizes: list[int]) -> None:
    queue = SubmitQueue(pack)
    for number in range(200):
        queue.add(attempt(number))
    in_first = in_tasks(queue, 0.0)
    if seconds is not None:
        queue.packing.learn(shape_of(attempt()), seconds)

    last = (in_tasks(queue, 11.0) or in_first)[-1]

    assert [len(last), max(last)] == sizes


def test_storage_is_asked_for_only_where_the_nodes_say_how_much_they_have() -> None:
    asked = []
    for site in (Site(), Site(storage_mib=4096)):
        queue = SubmitQueue()
        queue.add(attempt(request=Request(storage_bytes=2 << 30)))
        queue.limit(site)
        submission = queue.next(0.0)
        assert submission is not None
        asked.append(submission.shape.storage_mib)

    assert asked == [0, 2048]


def test_a_full_queue_gets_less_and_then_a_pause() -> None:
    queue = SubmitQueue()
    for number in range(1, 5):
        queue.add(attempt(number))
    sizes, now = [], 0.0
    while (submission := queue.next(now)) is not None:
        sizes.append(len(submission.attempts))
        queue.full(submission, now)

    assert sizes == [4, 2, 1]
    assert len(queue) == 4
    assert queue.next(now + 0.6) is not None


def test_calls_are_few_where_there_are_many() -> None:
    queue, calls = SubmitQueue(), 0
    for second in range(60):
        for number in range(2):
            queue.add(attempt(number))
            calls += queue.next(second + number / 2) is not None

    assert calls < 85


def test_the_query_comes_seldom_while_nothing_happens_and_soon_after_something_did() -> None:
    watch, back = Watch(), BackOff()
    watch.soon(0.0, 2.0)
    due = []
    for _ in range(12):
        assert watch.due is not None
        due.append(watch.due)
        watch.asked(watch.due)
    back.failed(0.0)

    assert due[1] - due[0] == 3.0
    assert due[-1] - due[-2] == 30.0
    watch.soon(due[-1], 0.3)
    assert watch.due == due[-1] + 0.3
    assert back.until == 0.5

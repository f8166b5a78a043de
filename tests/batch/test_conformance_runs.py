"""The order of jobs, what failures do to others, and what later runs of the same batch see."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hail_batch_jupyter.batch import Batch
from hail_batch_jupyter.errors import BatchException
from tests.batch.ending import batch_in, failure_of, states


@pytest.fixture
def b(tmp_path: Path) -> Batch:
    return batch_in(tmp_path)


def test_a_parent_made_after_its_child_is_number_one(b: Batch, tmp_path: Path) -> None:
    child = b.new_job("child").command(f"echo child >> {tmp_path}/log")
    parent = b.new_job("parent").command(f"echo parent >> {tmp_path}/log")
    child.depends_on(parent)
    b.run()

    assert (tmp_path / "log").read_text().split() == ["parent", "child"]
    assert [job._job_id for job in (parent, child)] == [1, 2]


def test_a_loop_is_refused_before_anything_runs(b: Batch, tmp_path: Path) -> None:
    b.new_job("free").command(f"touch {tmp_path}/ran")
    j = b.new_job("self")
    j.depends_on(j)

    with pytest.raises(BatchException, match=r"cycle.*self"):
        b.run()
    assert not (tmp_path / "ran").exists()


def test_a_loop_through_files_is_refused_before_anything_runs(b: Batch, tmp_path: Path) -> None:
    j, k = b.new_job("j").command(f"touch {tmp_path}/ran"), b.new_job("k")
    j.command(f"touch {j.o}")
    k.command(f"cat {j.o} > {k.o}")
    j.command(f"cat {k.o}")

    with pytest.raises(BatchException, match=r"cycle"):
        b.run()
    assert not (tmp_path / "ran").exists()


def test_a_chain_of_five_thousand_jobs_can_be_previewed(b: Batch, capsys: pytest.CaptureFixture[str]) -> None:
    last = b.new_job("first")
    for number in range(4_999):
        last = b.new_job(f"n{number}").depends_on(last).command("true")

    b.run(dry_run=True)
    assert "# 5000: n4998\n" in capsys.readouterr().out


def test_children_of_failures_are_cancelled_and_the_rest_runs(b: Batch, tmp_path: Path) -> None:
    a = b.new_job("a").command("exit 5")
    c = b.new_job("c").depends_on(a).command(f"echo c >> {tmp_path}/log")
    d = b.new_python_job("d").depends_on(c)
    d.call((tmp_path / "d").touch)
    b.new_job("e").depends_on(c).always_run().command(f"echo e >> {tmp_path}/log")
    b.new_job("f").command(f"echo f >> {tmp_path}/log")
    failed = failure_of(b)

    assert (failed.returncode, [name for _, name, _, _ in failed.failed]) == (5, ["a"])
    assert states(b) == {"a": "Failed", "c": "Cancelled", "d": "Cancelled", "e": "Success", "f": "Success"}
    assert sorted((tmp_path / "log").read_text().split()) == ["e", "f"]


def test_a_second_run_takes_up_what_was_cancelled_once_its_parent_can_be_had(b: Batch, tmp_path: Path) -> None:
    gate = tmp_path / "open"
    a = b.new_job("a").command(f"test -e {gate}")
    c = b.new_job("c").depends_on(a).command("true")
    d = b.new_python_job("d").depends_on(c)
    d.call((tmp_path / "d").touch)
    failure_of(b)
    assert [job.name for job in b.compile().jobs] == ["c", "d"]
    failure_of(b)

    assert states(b) == {"c": "Cancelled", "d": "Cancelled"}
    assert not (tmp_path / "d").exists()


def test_a_python_job_that_was_cancelled_runs_in_the_next_run(b: Batch, tmp_path: Path) -> None:
    b.new_job("before").command("exit 1")
    p = b.new_python_job("p")
    first = b.new_job("first").command("exit 1")
    p.depends_on(first)
    p.call((tmp_path / "p").touch)
    failure_of(b)
    p.job_draft.depends_on.clear()
    b.run()

    assert states(b) == {"p": "Success"}
    assert (tmp_path / "p").exists()


def test_a_job_added_below_an_earlier_failure_is_cancelled(b: Batch, tmp_path: Path) -> None:
    a = b.new_job("a").command("exit 1")
    failure_of(b)
    b.new_job("late").depends_on(a).command(f"touch {tmp_path}/ran")
    failure_of(b)

    assert states(b) == {"late": "Cancelled"}
    assert not (tmp_path / "ran").exists()


def test_the_first_of_several_failures_gives_the_status(b: Batch) -> None:
    b.new_job("three").command("exit 3")
    b.new_job("four").command("exit 4")
    failed = failure_of(b)

    assert failed.returncode == 3
    assert [(name, code) for _, name, _, code in failed.failed] == [("three", 3), ("four", 4)]


def test_dry_runs_say_the_same_and_do_nothing(b: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b.new_job("j").command(f"echo x >> {tmp_path}/log")
    texts = []
    for _ in range(2):
        b.run(dry_run=True)
        texts.append(capsys.readouterr().out)
    b.run()

    assert texts[0] == texts[1]
    assert "# 1: j" in texts[0]
    assert (tmp_path / "log").read_text() == "x\n"


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("delete", [True, False])
def test_scratch_is_kept_only_on_request(b: Batch, tmp_path: Path, delete: bool, fails: bool) -> None:
    j = b.new_job("j")
    j.command(f'echo "$BATCH_TMPDIR" > {tmp_path}/scratch; echo x > {j.o}; exit {int(fails)}')
    if fails:
        with pytest.raises(BatchException):
            b.run(delete_scratch_on_exit=delete)
    else:
        b.run(delete_scratch_on_exit=delete)
    assert b.last_run is not None
    found = list(Path((tmp_path / "scratch").read_text().strip()).rglob("o"))

    assert bool(found) is not delete


def test_run_works_inside_a_running_loop_and_leaves_it_alone(b: Batch, tmp_path: Path) -> None:
    b.new_job("j").command(f"echo x >> {tmp_path}/log")

    async def work() -> bool:
        loop = asyncio.get_running_loop()
        kind, run_forever = type(loop), type(loop).run_forever
        b.run()
        again = b.new_job("k").command(f"echo y >> {tmp_path}/log")
        await b._async_run()
        assert again.job_draft.submitted
        return loop is asyncio.get_running_loop() and type(loop) is kind and type(loop).run_forever is run_forever

    assert asyncio.run(work())
    assert (tmp_path / "log").read_text().split() == ["x", "y"]


def test_a_file_of_a_run_whose_files_are_gone_is_refused_in_words(b: Batch) -> None:
    j = b.new_job("j")
    j.command(f"echo x > {j.o}")
    b.run()
    b.new_job("k").command(f"cat {j.o}")

    with pytest.raises(BatchException, match=r"job 'k' reads 'o' of job 'j'.* files were removed"):
        b.run()


def test_options_of_the_service_that_this_machine_has_work(tmp_path: Path) -> None:
    b = batch_in(tmp_path, default_timeout=60, cancel_after_n_failures=1)
    j = b.new_job("j").always_copy_output().n_max_attempts(3)
    j.command(f"echo half > {j.o}; exit 6")
    k = b.new_job("k").command("mkfifo never; read -r _ < never")
    b.write_output(j.o, tmp_path / "f")

    assert j.job_draft.timeout_s == k.job_draft.timeout_s == 60
    assert failure_of(b).returncode == 6
    assert (tmp_path / "f").read_text() == "half\n"
    assert states(b) == {"j": "Failed", "k": "Cancelled"}


def test_a_job_that_ran_out_of_time_is_an_error_without_a_code(b: Batch) -> None:
    b.new_job("slow").command("mkfifo never; read -r _ < never").timeout(0.2)
    failed = failure_of(b)

    assert (failed.returncode, failed.failed[0][2:]) == (124, ("Error", None))
    assert b.last_run is not None
    assert b.last_run.get_job(1)["exit_code"] is None

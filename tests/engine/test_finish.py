from __future__ import annotations

import os
from pathlib import Path

import pytest

from hail_batch_jupyter.core.spec import Transfer
from hail_batch_jupyter.engine.localize import INLINE_BYTES
from tests.engine.jobs import HOLD, LONG_S, SCRATCH, bash, batch, main_log, output, run, states, submit, timed_out


def test_a_promised_file_that_was_not_made_fails_the_job_and_is_named() -> None:
    running = run(bash(1, "echo x > other", promises=("d1/made",)), bash(2, ":", [1]))

    assert states(running) == "FK"
    assert running.get_job(1)["exit_code"] == 1
    assert running.get_job(1)["reason"] == "did not make 'made', which it promised"
    assert running.get_job_log(1)["output"] == "did not make 'made', which it promised\n"
    assert "did not make 'made'" in str(running.error())


def test_a_promised_link_to_nowhere_fails_the_job() -> None:
    running = run(bash(1, "ln -s /no/such/file made", promises=("d1/made",)))

    assert states(running) == "F"
    assert "'made'" in running.get_job(1)["reason"]
    assert "'None'" not in running.get_job(1)["reason"]
    assert "None" not in running.get_job(1)["reason"]


def test_files_of_one_job_are_read_by_another() -> None:
    running = run(bash(1, "echo text > made", promises=("d1/made",)), bash(2, 'cat "$BATCH_TMPDIR/d1/made"', [1], needs=("d1/made",)))

    assert main_log(running, 2) == "text\n"


def test_size_and_time_of_promised_files_are_in_the_journal() -> None:
    running = run(bash(1, "printf 12345 > made", promises=("d1/made",)), keep_files=True)

    facts = running.file("d1/made").stat()
    assert running.snapshot().jobs[0].files == (("d1/made", 5, facts.st_mtime_ns),)


def test_outputs_are_copied_into_new_parents(tmp_path: Path) -> None:
    dest = tmp_path / "new" / "parents" / "out.txt"

    running = run(bash(1, "echo text > made; chmod 750 made", **output(1, "made", dest)))

    assert states(running) == "S"
    assert dest.read_text() == "text\n"
    assert dest.stat().st_mode & 0o777 == 0o750
    assert os.listdir(dest.parent) == ["out.txt"]


def test_an_output_folder_is_copied_with_all_it_holds(tmp_path: Path) -> None:
    running = run(bash(1, "mkdir -p made/deep; echo a > made/deep/a; echo b > made/b", **output(1, "made", tmp_path / "out")))

    assert states(running) == "S"
    assert {path.name for path in (tmp_path / "out").rglob("*")} == {"deep", "a", "b"}


def test_large_outputs_are_copied_whole_while_other_jobs_run(tmp_path: Path) -> None:
    size = 3 * INLINE_BYTES
    jobs = [bash(number, f"head -c {size} /dev/zero > made", **output(number, "made", tmp_path / f"out{number}")) for number in range(1, 4)]

    running = run(*jobs, bash(4, ":"), bash(5, f"[ $(stat -c %s {tmp_path}/out1) = {size} ]", [1]))

    assert states(running) == "SSSSS"
    assert [(tmp_path / f"out{number}").stat().st_size for number in range(1, 4)] == [size] * 3


def test_a_job_ends_only_when_its_outputs_are_where_they_belong(tmp_path: Path) -> None:
    jobs = [bash(1, "echo text > made", **output(1, "made", tmp_path / "out")), bash(2, f"cat {tmp_path}/out", [1])]

    assert main_log(run(*jobs), 2) == "text\n"


@pytest.mark.parametrize(("size", "how"), [(4, "small"), (2 * INLINE_BYTES, "large")])
def test_a_destination_that_is_a_folder_fails_the_job_and_says_so(tmp_path: Path, size: int, how: str) -> None:
    (tmp_path / "out").mkdir()

    running = run(bash(1, f"head -c {size} /dev/zero > made", **output(1, "made", tmp_path / "out")), bash(2, ":", [1]))

    assert states(running) == "FK", how
    reason = f"output copy failed: is a folder, so no file can be written there; name a file in it: {tmp_path}/out"
    assert running.get_job(1)["reason"] == reason
    assert running.get_job_log(1)["output"] == f"{reason}\n"


def test_a_destination_below_a_file_fails_the_job_and_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    running = run(bash(1, "echo x > made", **output(1, "made", tmp_path / "file" / "out")))

    assert states(running) == "F"
    assert f"{tmp_path}/file" in running.get_job(1)["reason"]


def test_a_failed_job_writes_no_outputs(tmp_path: Path) -> None:
    run(bash(1, "echo x > made; exit 1", **output(1, "made", tmp_path / "out")))

    assert not (tmp_path / "out").exists()


def test_always_copy_output_writes_what_a_failed_job_has_made(tmp_path: Path) -> None:
    both = (Transfer(f"{SCRATCH}/d1/made", f"{tmp_path}/out"), Transfer(f"{SCRATCH}/d1/missing", f"{tmp_path}/missing"))

    running = run(bash(1, "echo half > made; exit 5", outputs=both, always_copy_output=True))

    assert running.get_job(1)["exit_code"] == 5
    assert (tmp_path / "out").read_text() == "half\n"
    assert not (tmp_path / "missing").exists()


def test_always_copy_output_writes_what_a_job_that_timed_out_has_made(tmp_path: Path) -> None:
    job = bash(1, f"echo half > made; {HOLD}", **output(1, "made", tmp_path / "out"), always_copy_output=True)

    running = timed_out(lambda timeout_s: job._replace(timeout_s=timeout_s), tmp_path / "out")

    assert states(running) == "E"
    assert (tmp_path / "out").read_text() == "half\n"


def test_an_input_is_in_scratch_when_the_job_runs(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1,2\n")
    job = bash(1, 'cat "$BATCH_TMPDIR/inputs/x/data.csv"', inputs=(Transfer(str(tmp_path / "data.csv"), f"{SCRATCH}/inputs/x/data.csv"),))

    assert main_log(run(job)) == "1,2\n"


def test_an_input_that_goes_away_after_submit_fails_that_job_and_is_named(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("1,2\n")
    transfer = Transfer(str(data), f"{SCRATCH}/inputs/x/data.csv")

    running = run(bash(1, f"rm {data}"), bash(2, ":", [1], inputs=(transfer,)), bash(3, ":", [2]))

    assert states(running) == "SFK"
    assert running.get_job(2)["reason"] == f"input copy failed: input file does not exist: {data}"
    assert running.get_job_log(2)["input"] == f"input copy failed: input file does not exist: {data}\n"
    assert str(data) in str(running.error())


def test_an_input_is_written_straight_to_an_output(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")

    running = run(batch(bash(1, ":"), external=(Transfer(str(tmp_path / "data"), f"{tmp_path}/new/out"),)))

    assert states(running) == "S"
    assert (tmp_path / "new/out").read_text() == "x"


def test_an_input_that_cannot_be_written_to_an_output_is_said_and_the_jobs_run(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    (tmp_path / "out").mkdir()
    spec = batch(bash(1, f": > {tmp_path}/ran"), external=(Transfer(str(tmp_path / "data"), f"{tmp_path}/out"),))

    with pytest.raises(Exception, match=f"{tmp_path}/out"):
        run(spec)


def test_a_job_that_removes_the_scratch_folder_does_not_take_the_run_with_it() -> None:
    running = submit(bash(1, 'cd /; rm -rf "$BATCH_TMPDIR"'), bash(2, ":", [1]))

    running.wait(LONG_S)

    assert states(running) in ("SF", "FK")
    assert running.complete

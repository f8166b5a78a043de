from __future__ import annotations

import os
from pathlib import Path

import pytest

from hail_batch_jupyter.core.spec import BatchSpec, JobSpec
from hail_batch_jupyter.engine.fingerprint import Prints, fingerprints
from hail_batch_jupyter.engine.localize import Localizer
from hail_batch_jupyter.engine.saying import Saying
from hail_batch_jupyter.engine.takeover import take_over
from hail_batch_jupyter.observe.journal import JournalWriter, read_events
from hail_batch_jupyter.observe.running import RunningBatch
from tests.engine.jobs import SCRATCH, Transfer, bash, batch, main_log, output, run, states


class Pipeline:
    """Jobs 1 -> 2 -> 3 and 4 beside them; `ran` says which ran in the last run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data.csv"
        self.data.write_text("a,b\n")
        self.words = {1: "one", 2: "two", 3: "three", 4: "four"}
        self.ran: list[int] = []
        self.last: RunningBatch | None = None

    def jobs(self) -> list[JobSpec]:
        data = Transfer(str(self.data), f"{SCRATCH}/inputs/x/data.csv")
        return [
            self._job(1, [], "", inputs=(data,)),
            self._job(2, [1], 'cat "$BATCH_TMPDIR/d1/made";', needs=("d1/made",)),
            self._job(3, [2], 'cat "$BATCH_TMPDIR/d2/made";', needs=("d2/made",)),
            self._job(4, [], ""),
        ]

    def _job(self, job_id: int, parents: list[int], read: str, **settings: object) -> JobSpec:
        script = f"echo {job_id} >> {self.folder}/ran; {{ {read} echo {self.words[job_id]}; }} > made"
        return bash(job_id, script, parents, **output(job_id, "made", self.folder / f"out{job_id}"), **settings)

    def run(self, *, keep_files: bool = True, previous: RunningBatch | None = None) -> RunningBatch:
        (self.folder / "ran").write_text("")
        after = previous or self.last
        self.last = run(batch(*self.jobs(), previous_run=str(after.id) if after else None), keep_files=keep_files)
        self.ran = sorted(int(line) for line in (self.folder / "ran").read_text().split())
        return self.last

    def reused(self) -> list[int]:
        assert self.last is not None
        return [view.job_id for view in self.last.snapshot().jobs if view.reused]


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    made = Pipeline(tmp_path)
    made.run()
    assert made.ran == [1, 2, 3, 4]
    return made


def test_what_did_not_change_is_taken_over_with_its_files(pipeline: Pipeline) -> None:
    running = pipeline.run()

    assert pipeline.ran == []
    assert pipeline.reused() == [1, 2, 3, 4]
    assert states(running) == "SSSS"
    assert running.file("d3/made").read_text() == "one\ntwo\nthree\n"
    assert running.snapshot().note.startswith("4 of 4 jobs taken over from the run of ")
    assert running.get_job(1)["reused"]
    assert running.get_job(1)["exit_code"] == 0


def test_a_changed_command_runs_with_all_that_follows_from_it(pipeline: Pipeline) -> None:
    pipeline.words[2] = "zwei"

    running = pipeline.run()

    assert pipeline.ran == [2, 3]
    assert pipeline.reused() == [1, 4]
    assert running.file("d3/made").read_text() == "one\nzwei\nthree\n"
    assert (pipeline.folder / "out3").read_text() == "one\nzwei\nthree\n"


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_changed_input_runs_what_reads_it_with_all_that_follows(pipeline: Pipeline, change: str) -> None:
    if change == "size":
        before = pipeline.data.stat()
        pipeline.data.write_text("a,b,c\n")
        os.utime(pipeline.data, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        os.utime(pipeline.data, ns=(1, 1))

    pipeline.run()

    assert pipeline.ran == [1, 2, 3]


@pytest.mark.parametrize("change", ["gone", "edited", "touched"])
def test_a_kept_file_that_changed_since_is_made_again(pipeline: Pipeline, change: str) -> None:
    assert pipeline.last is not None
    made = pipeline.last.file("d2/made")
    if change == "gone":
        made.unlink()
    elif change == "edited":
        made.write_text("by hand")
    else:
        os.utime(made, ns=(1, 1))

    pipeline.run()

    assert pipeline.ran == [2, 3]
    assert (pipeline.folder / "out3").read_text() == "one\ntwo\nthree\n"


def test_an_output_that_was_deleted_is_written_again_without_running(pipeline: Pipeline) -> None:
    (pipeline.folder / "out3").unlink()
    (pipeline.folder / "out4").write_text("edited")

    pipeline.run()

    assert pipeline.ran == []
    assert (pipeline.folder / "out3").read_text() == "one\ntwo\nthree\n"
    assert (pipeline.folder / "out4").read_text() == "four\n"


def test_an_output_that_cannot_be_written_fails_its_job_at_once_and_is_written_when_it_can(pipeline: Pipeline) -> None:
    first = pipeline.last
    dest = pipeline.folder / "out1"
    dest.unlink()
    dest.mkdir()

    second = pipeline.run()

    assert states(second) == "FKKS"
    assert pipeline.ran == []
    (reason,) = [view.reason for view in second.snapshot().jobs if view.job_id == 1]
    assert reason == f"output copy failed: is a folder, so no file can be written there; name a file in it: {dest}"
    assert first is not None
    assert first.file("d1/made").read_text() == "one\n"

    dest.rmdir()
    third = pipeline.run()

    assert states(third) == "SSSS"
    assert pipeline.ran == []
    assert dest.read_text() == "one\n"


def test_results_are_found_in_runs_before_the_last_one(pipeline: Pipeline) -> None:
    pipeline.words[2] = "zwei"
    pipeline.run()
    pipeline.words[2] = "two"

    pipeline.run()

    assert pipeline.ran == []
    assert pipeline.reused() == [1, 2, 3, 4]


def test_what_was_taken_over_can_be_taken_over_again_when_the_first_run_is_gone(pipeline: Pipeline) -> None:
    first = pipeline.last
    assert first is not None
    pipeline.run()
    first.delete()

    running = pipeline.run()

    assert pipeline.ran == []
    assert running.file("d3/made").read_text() == "one\ntwo\nthree\n"


def test_a_run_that_kept_no_files_gives_what_was_written_out_and_is_still_there(pipeline: Pipeline) -> None:
    pipeline.words = dict.fromkeys(pipeline.words, "new")
    pipeline.run(keep_files=False)
    (pipeline.folder / "out2").write_text("edited")

    running = pipeline.run()

    assert pipeline.ran == [2, 3]
    assert running.file("d1/made").read_text() == "new\n"
    assert not os.path.samefile(running.file("d1/made"), pipeline.folder / "out1")


def test_a_run_that_kept_no_files_gives_nothing_that_was_not_written_out(pipeline: Pipeline) -> None:
    pipeline.words = dict.fromkeys(pipeline.words, "new")
    pipeline.run(keep_files=False)
    for job_id in pipeline.words:
        (pipeline.folder / f"out{job_id}").unlink()

    pipeline.run()

    assert pipeline.ran == [1, 2, 3, 4]


def test_the_note_says_which_jobs_run_and_why(pipeline: Pipeline) -> None:
    pipeline.data.write_text("c,d,e\n")
    pipeline.words[4] = "vier"

    note = pipeline.run().snapshot().note

    reasons = "job1 (input data.csv changed), job2 (follows job1), job3 (follows job2), job4 (its command or settings changed)"
    assert note == f"none of 4 jobs taken over; 4 to run: {reasons}"


def test_a_file_that_was_removed_is_named_as_the_reason(pipeline: Pipeline) -> None:
    assert pipeline.last is not None
    pipeline.last.file("d4/made").unlink()

    assert pipeline.run().snapshot().note.endswith("; 1 to run: job4 (its files were removed or changed)")


def test_a_previous_run_that_is_gone_gives_nothing(pipeline: Pipeline) -> None:
    assert pipeline.last is not None
    pipeline.last.delete()

    pipeline.run()

    assert pipeline.ran == [1, 2, 3, 4]


def test_what_failed_runs_again_and_what_succeeded_does_not(tmp_path: Path) -> None:
    def spec(previous: str | None) -> BatchSpec:
        jobs = [
            bash(1, f"echo 1 >> {tmp_path}/ran"),
            bash(2, f"echo 2 >> {tmp_path}/ran; [ -e {tmp_path}/fixed ]", [1]),
            bash(3, f"echo 3 >> {tmp_path}/ran", [2]),
        ]
        return batch(*jobs, previous_run=previous)

    first = run(spec(None), keep_files=True)
    (tmp_path / "fixed").touch()
    second = run(spec(str(first.id)), keep_files=True)

    assert states(first) == "SFK"
    assert states(second) == "SSS"
    assert (tmp_path / "ran").read_text().split() == ["1", "2", "2", "3"]


def test_without_a_previous_run_everything_runs(pipeline: Pipeline) -> None:
    pipeline.last = None

    pipeline.run()

    assert pipeline.ran == [1, 2, 3, 4]


def test_writing_into_a_taken_over_file_by_replacing_it_leaves_the_old_run_alone(pipeline: Pipeline) -> None:
    first = pipeline.last
    second = pipeline.run()
    assert first is not None
    replacement = second.file("d1/made").with_name("new")
    replacement.write_text("replaced")
    replacement.replace(second.file("d1/made"))

    assert first.file("d1/made").read_text() == "one\n"


def test_jobs_without_files_are_taken_over_too(tmp_path: Path) -> None:
    job = bash(1, f"echo x >> {tmp_path}/ran")
    first = run(batch(job), keep_files=True)

    second = run(batch(job, previous_run=str(first.id)), keep_files=True)

    assert (tmp_path / "ran").read_text() == "x\n"
    assert main_log(second) == ""


def test_a_fingerprint_is_that_of_key_inputs_and_parents_only(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    inputs = (Transfer(str(tmp_path / "x"), f"{SCRATCH}/i/x"),)
    jobs = [bash(1, "a", inputs=inputs), bash(2, "b", [1])]
    before = fingerprints(batch(*jobs))

    assert fingerprints(batch(*jobs, name="other", token="t", lineage="l")) == before
    assert fingerprints(batch(jobs[0]._replace(directory="elsewhere", user_code="c", request=jobs[0].request._replace(gpus=1)), jobs[1])) == before
    assert fingerprints(batch(jobs[0]._replace(key="new"), jobs[1])).items().isdisjoint(before.items())
    changed_last = fingerprints(batch(jobs[0], jobs[1]._replace(key="new")))
    assert (changed_last[1] == before[1], changed_last[2] == before[2]) == (True, False)


def test_the_fingerprint_of_a_folder_follows_every_file_in_it(tmp_path: Path) -> None:
    deep = tmp_path / "folder" / "deep"
    deep.mkdir(parents=True)
    (deep / "a").write_text("a")
    job = bash(1, "x", inputs=(Transfer(f"file://{tmp_path}/folder", f"{SCRATCH}/i/folder"),))
    seen = {fingerprints(batch(job))[1]}
    (deep / "a").write_text("longer")
    seen.add(fingerprints(batch(job))[1])
    (deep / "b").write_text("")
    seen.add(fingerprints(batch(job))[1])

    assert len(seen) == 3
    assert fingerprints(batch(job)) == fingerprints(batch(job))


def test_a_run_says_how_far_taking_over_is_while_it_lasts(tmp_path: Path) -> None:
    jobs = [bash(number, f"echo {number} > made", **output(number, "made", tmp_path / f"out{number}")) for number in range(1, 201)]
    first = run(batch(*jobs), keep_files=True)
    (tmp_path / "out7").unlink()
    said: list[str] = []
    spec = batch(*jobs, previous_run=str(first.id))
    os.mkdir(tmp_path / "scratch")

    taken = take_over(spec, Prints(fingerprints(spec), {}), Localizer(str(tmp_path / "scratch")), said.append)

    assert said == ["taking over results: 100 of 200", "taking over results: 200 of 200", "writing outputs of results that were taken over: 1 of 1"]
    assert (len(taken.reused), taken.unwritten, (tmp_path / "out7").read_text()) == (200, {}, "7\n")
    assert taken.reused[7].files == first.snapshot().jobs[6].files


def test_what_is_done_before_a_run_begins_is_in_its_journal_from_the_first_moment(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "events.jsonl")
    say = Saying(journal, wonder_s=0.0)

    say("taking over results: 1 of 2")
    say("taking over results: 2 of 2")

    events = read_events(tmp_path / "events.jsonl")
    assert [(event.phase, event.reason) for event in events] == [("start", "taking over results: 1 of 2"), ("note", "taking over results: 2 of 2")]
    Saying(journal, wonder_s=3600.0)("nobody wonders yet")
    journal.close()
    assert read_events(tmp_path / "events.jsonl") == events

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hail_batch_jupyter.compile.remote import Images, Scratch, Sending, remote_run, renumbered
from hail_batch_jupyter.core.retry import Retry
from hail_batch_jupyter.core.spec import BatchSpec, Edge, GroupSpec, JobSpec, Request, Transfer, Upload
from hail_batch_jupyter.errors import CapabilityError

IMAGES = Images("bash:1", "python:1", "tools:1")
CLOUD = Scratch("/io/batch/t", "gs://b/tmp/t")
TMP = "${BATCH_TMPDIR}"


def job(number: int, **settings: object) -> JobSpec:
    values = {"kind": "bash", "command": ("/bin/bash", "-c", "true\n"), "directory": f"d{number}", **settings}
    return JobSpec(number, "", f"j{number}", **values)  # type: ignore[arg-type]  # settings of each test


def spec(*jobs: JobSpec, **settings: object) -> BatchSpec:
    return BatchSpec("b", jobs, **settings)  # type: ignore[arg-type]  # as above


def test_a_job_that_says_nothing_gets_a_folder_an_image_and_its_scratch() -> None:
    run = remote_run(spec(job(1)), CLOUD, IMAGES, keep_files=False)

    made = run.spec.jobs[0]
    assert made.command == ("/bin/bash", "-c", 'set -e\nmkdir -p "${BATCH_TMPDIR}"/d1\ntrue\n')
    assert (made.image, made.env, made.inputs, made.outputs) == ("bash:1", {"BATCH_TMPDIR": "/io/batch/t"}, (), ())
    assert (len(run.spec.jobs), run.sendings) == (1, ())


def test_local_inputs_are_sent_once_and_a_second_name_is_a_link() -> None:
    reads = (Transfer("/data/a b", f"{TMP}/inputs/x/a b"), Transfer("/data/a b", f"{TMP}/inputs/x.a"), Transfer("gs://c/y", f"{TMP}/inputs/z/y"))
    run = remote_run(spec(job(1, inputs=reads), job(2, inputs=reads[:1])), CLOUD, IMAGES, keep_files=False)

    first, second, last = run.spec.jobs
    assert run.sendings == (Sending("gs://b/tmp/t/inputs/x/a b", "/data/a b"),)
    assert first.inputs == (Transfer("gs://b/tmp/t/inputs/x/a b", "/io/batch/t/inputs/x/a b"), Transfer("gs://c/y", "/io/batch/t/inputs/z/y"))
    assert second.inputs == first.inputs[:1]
    assert 'ln -sfn "${BATCH_TMPDIR}"/inputs/x/\'a b\' "${BATCH_TMPDIR}"/inputs/x.a\n' in first.command[2]
    assert last.name == "remove_tmpdir"


def test_only_what_others_read_is_left_behind_unless_files_are_kept() -> None:
    jobs = (job(1, promises=("d1/read", "d1/written"), results=("d1/result1",)), job(2, needs=("d1/read",), parents=(Edge(1),)))

    lean = remote_run(spec(*jobs), CLOUD, IMAGES, keep_files=False).spec.jobs
    kept = remote_run(spec(*jobs), CLOUD, IMAGES, keep_files=True).spec.jobs

    assert lean[0].outputs == (Transfer("/io/batch/t/d1/read", "gs://b/tmp/t/d1/read"),)
    assert [copy.dest for copy in kept[0].outputs] == [f"gs://b/tmp/t/d1/{name}" for name in ("read", "written", "result1")]
    assert lean[1].inputs == kept[1].inputs == (Transfer("gs://b/tmp/t/d1/read", "/io/batch/t/d1/read"),)
    assert (len(lean), len(kept)) == (3, 2)


def test_a_python_job_brings_its_code() -> None:
    code = ("args/d1.calls", "functions/call_runner.py", "functions/f")
    python = job(1, kind="python", command=("python3", f"{TMP}/functions/call_runner.py", f"{TMP}/args/d1.calls"), code=code)
    uploads = tuple(Upload(f"{TMP}/{path}", path.encode()) for path in code)

    run = remote_run(spec(python, uploads=uploads), CLOUD, IMAGES, keep_files=True)

    made = run.spec.jobs[0]
    assert made.command[2].endswith('exec python3 "${BATCH_TMPDIR}"/functions/call_runner.py "${BATCH_TMPDIR}"/args/d1.calls\n')
    assert (made.image, [copy.source for copy in made.inputs]) == ("python:1", [f"gs://b/tmp/t/{path}" for path in code])
    assert run.sendings == tuple(Sending(f"gs://b/tmp/t/{path}", path.encode()) for path in code)
    assert run.spec.uploads == ()


def test_helpers_shift_numbers_and_leave_earlier_runs_alone() -> None:
    copies = (Transfer("gs://c/in", "gs://c/out"),)
    run = remote_run(spec(job(5, parents=(Edge(4),)), job(6, parents=(Edge(5),)), external=copies), CLOUD, IMAGES, keep_files=True)

    assert [(made.name, made.job_id, [edge.job_id for edge in made.parents]) for made in run.spec.jobs] == [
        ("write_external_inputs", 5, []),
        ("j5", 6, [4]),
        ("j6", 7, [6]),
    ]
    assert [(made.job_id, made.parents) for made in renumbered(run.spec.jobs, 5, 12)] == [(12, ()), (13, (Edge(4),)), (14, (Edge(13),))]


def test_the_folder_is_cleared_after_the_jobs_that_nobody_waits_for() -> None:
    jobs = (job(1, promises=("d1/o",)), job(2, needs=("d1/o",), parents=(Edge(1),)), job(3, parents=(Edge(1),)), job(4))

    last = remote_run(spec(*jobs), CLOUD, IMAGES, keep_files=False).spec.jobs[-1]

    assert last.parents == (Edge(2), Edge(3), Edge(4))
    assert (last.always_run, last.image, last.command[-1]) == (True, "tools:1", "gs://b/tmp/t")


def test_on_this_machine_helpers_are_plain_commands(tmp_path: Path) -> None:
    here = Scratch("/io/batch/t", f"file://{tmp_path}/re mote/t")
    (tmp_path / "in 'x'").write_text("text")
    (tmp_path / "re mote" / "t" / "deep").mkdir(parents=True)
    copies = (Transfer(f"file://{tmp_path}/in 'x'", f"{tmp_path}/out/b c"),)

    run = remote_run(spec(job(1, code=("code/x",)), external=copies), here, IMAGES, keep_files=False)
    for made in (run.spec.jobs[0], run.spec.jobs[-1]):
        subprocess.run(made.command, check=True)

    assert (tmp_path / "out" / "b c").read_text() == "text"
    assert list((tmp_path / "re mote").iterdir()) == []


def test_in_the_storage_of_a_service_a_job_makes_its_folder_only_when_its_command_names_it() -> None:
    own = Scratch("/io", "hbj://ada/tmp/t")
    quiet, names = job(1), job(2, command=("/bin/bash", "-c", 'echo > "${BATCH_TMPDIR}"/d2/o'))

    made = [each.command[-1] for each in remote_run(spec(quiet, names), own, IMAGES, keep_files=False).spec.jobs]

    assert ["mkdir" in command for command in made] == [False, True]
    assert "mkdir" in remote_run(spec(quiet), CLOUD, IMAGES, keep_files=False).spec.jobs[0].command[-1]


def test_what_a_service_cannot_do_is_refused() -> None:
    with pytest.raises(CapabilityError, match="waits for the end of another job, .* use always_run"):
        remote_run(spec(job(1), job(2, parents=(Edge(1, "end"),))), CLOUD, IMAGES, keep_files=False)
    with pytest.raises(CapabilityError, match="the batch writes '/x', .* name a place such as gs://bucket/file"):
        remote_run(spec(external=(Transfer("gs://c/in", "/x"),)), CLOUD, IMAGES, keep_files=False)


def test_making_it_twice_gives_the_same() -> None:
    whole = spec(job(1, promises=("d1/o",)), job(2, needs=("d1/o",), parents=(Edge(1),)), external=(Transfer("/x", "gs://c/y"),))

    assert remote_run(whole, CLOUD, IMAGES, keep_files=False) == remote_run(whole, CLOUD, IMAGES, keep_files=False)


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (spec(job(1, retry=Retry())), "'j1' has a retry policy"),
        (spec(job(1, request=Request(gpus=1))), "'j1' asks for GPUs"),
        (spec(job(1), at_most=2), "the batch has at_most"),
        (spec(job(1), groups=(GroupSpec(1, "chr1", at_most=1),)), "group 'chr1' has at_most"),
    ],
)
def test_what_only_our_engine_does_is_refused(batch: BatchSpec, words: str) -> None:
    with pytest.raises(CapabilityError, match=words):
        remote_run(batch, CLOUD, IMAGES, keep_files=False)
